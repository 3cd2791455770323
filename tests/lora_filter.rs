//! Every filter of lists of LoRAs: the same with words, in the order of the index and in that of the database.

use atelier_domain::{
    entities::compatibility,
    id::{Noun, decode},
};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set};
use serde_json::{Value, json};

use crate::{
    files,
    house::{Engine, House, Person, eventually, nodes, on_each_engine, text},
};

on_each_engine!(every_filter_does_the_same_with_words_and_without);

/// Publishes a LoRA of a team, or of the person's own, with these tags.
async fn published(
    house: &House,
    person: &Person,
    team: Option<&str>,
    (name, license, file): (&str, &str, &[u8]),
    tags: &[&str],
) -> Value {
    let lora = house.lora_from_file(person, team, name, file).await;
    house.done(person, "updateLora", json!({ "id": lora.id, "tags": tags }), "lora { id }").await;
    let fields = "lora { id publishedAt latestVersion { id baseModel { id } } }";
    let publish = json!({ "id": lora.id, "license": license });
    house.done(person, "publishLora", publish, fields).await["lora"].clone()
}

/// That a version was measured to be safe at these strengths on the model that it was made for.
async fn measured(house: &House, version: &Value, (low, high): (f64, f64)) {
    let ctx = &house.service.house;
    let key = |noun, value: &Value| decode(noun, value["id"].as_str().unwrap()).unwrap();
    let row = compatibility::ActiveModel {
        id: Set(ctx.new_id()),
        lora_version_id: Set(key(Noun::LoraVersion, version)),
        base_model_id: Set(key(Noun::BaseModel, &version["baseModel"])),
        matched_share: Set(1.0),
        by_clip: Set(false),
        strengths: Set(json!([])),
        safe_low: Set(Some(low)),
        safe_high: Set(Some(high)),
        sheet_sha256: Set(None),
        measured_at: Set(ctx.now()),
    };
    row.insert(ctx.db.writer()).await.unwrap();
}

/// The last words of the names of what passes a filter, in alphabetical order, each way of asking for it alike.
async fn passing(house: &House, person: &Person, filter: &Value) -> Vec<String> {
    let query = "query ($words: String, $sort: LoraSortOrder, $filter: LoraFilterInput) { \
                 loras(search: $words, sort: $sort, filter: $filter, first: 10) { edges { node { name } } } }";
    let mut ways = Vec::new();
    for (words, sort) in [
        (Some("gouache"), "RELEVANCE"),
        (Some("gouache"), "NEWEST"),
        (None, "TRENDING"),
        (None, "NEWEST"),
        (None, "RATING"),
    ] {
        let variables = json!({ "words": words, "sort": sort, "filter": filter });
        let found = house.data_of(Some(&person.token), query, variables).await["loras"].clone();
        let names = nodes(&found).into_iter().map(|node| text(&node["name"]));
        let mut names: Vec<_> = names.map(|name| name.rsplit(' ').next().unwrap().to_owned()).collect();
        names.sort();
        ways.push(names);
    }
    assert!(ways.iter().all(|names| *names == ways[0]), "{filter}: {ways:?}");
    ways.remove(0)
}

async fn every_filter_does_the_same_with_words_and_without(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, cyd) = (house.person("ada").await, house.person("bob").await, house.person("cyd").await);
    let team = json!({ "name": "Inks", "slug": "inks" });
    let team = text(&house.done(&ada, "createTeam", team, "team { id }").await["team"]["id"]);
    let starter = |seed: u8| files::lora(house.starter_widths(), seed);
    let fox = ("Gouache fox", "CC0-1.0", &*starter(1));
    let fox = published(&house, &ada, None, fox, &["ink", "moody"]).await;
    let hare = ("Gouache hare", "Apache-2.0", &*files::foreign_lora("bfl"));
    published(&house, &bob, None, hare, &["ink"]).await;
    let owl = ("Gouache owl", "CC-BY-4.0", &*starter(2));
    let owl = published(&house, &ada, Some(&team), owl, &["moody"]).await;
    // Nobody but its team finds it, whatever is asked for.
    house.lora_from_file(&ada, None, "Gouache draft", &starter(3)).await;
    for person in [&bob, &cyd] {
        house.done(person, "rateLora", json!({ "loraId": fox["id"], "stars": 5 }), "rating { id }").await;
    }
    house.done(&cyd, "rateLora", json!({ "loraId": owl["id"], "stars": 1 }), "rating { id }").await;
    measured(&house, &fox["latestVersion"], (0.5, 0.75)).await;
    measured(&house, &owl["latestVersion"], (0.75, 1.5)).await;
    // The index hears of what was measured with a change of the card.
    for lora in [&fox, &owl] {
        let change = json!({ "id": lora["id"], "description": "On cold-pressed paper." });
        house.done(&ada, "updateLora", change, "lora { id }").await;
    }
    eventually("the last change is in the index", async || {
        let query = "{ loras(search: \"gouache\", filter: { safeStrength: 1.5 }, first: 5) { edges { node { id } } } }";
        let found = house.data_of(None, query, json!({})).await;
        (nodes(&found["loras"]).len() == 1).then_some(())
    })
    .await;

    let model = &fox["latestVersion"]["baseModel"]["id"];
    let cases = [
        (json!({}), &["fox", "hare", "owl"][..]),
        (json!({ "tags": [" INK "] }), &["fox", "hare"]),
        (json!({ "tags": ["ink", "moody"] }), &["fox"]),
        (json!({ "tags": ["in"] }), &[]),
        (json!({ "baseModelIds": [model] }), &["fox", "owl"]),
        (json!({ "creatorId": bob.id }), &["hare"]),
        (json!({ "creatorId": ada.id }), &["fox", "owl"]),
        (json!({ "teamId": team }), &["owl"]),
        (json!({ "teamId": ada.team }), &["fox"]),
        (json!({ "licenses": ["cc0-1.0", "unheard-of"] }), &["fox"]),
        (json!({ "licenses": ["APACHE-2.0", "CC-BY-4.0"] }), &["hare", "owl"]),
        (json!({ "minimumRating": 0.5 }), &["fox", "owl"]),
        (json!({ "minimumRating": 3.5 }), &["fox"]),
        (json!({ "publishedAfter": fox["publishedAt"] }), &["hare", "owl"]),
        (json!({ "publishedAfter": owl["publishedAt"] }), &[]),
        (json!({ "safeStrength": 0.5 }), &["fox"]),
        (json!({ "safeStrength": 0.75 }), &["fox", "owl"]),
        (json!({ "safeStrength": 1.51 }), &[]),
        (json!({ "state": "PUBLISHED", "tags": ["moody"] }), &["fox", "owl"]),
        (json!({ "tags": ["moody"], "baseModelIds": [model], "creatorId": ada.id, "safeStrength": 1.0 }), &["owl"]),
    ];
    for (filter, expected) in &cases {
        assert_eq!(passing(&house, &cyd, filter).await, *expected, "{filter}");
    }
    house.close().await;
}

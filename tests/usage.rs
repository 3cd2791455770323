//! How much LoRAs are used: counted once, shown to their team, counted again to the same.

use std::process::Command;

use atelier_domain::{
    entities::kinds::JobKind,
    generation::{self, RenderedAsset},
    id::{Noun, decode},
    jobs::claim::{Takes, claim},
};
use atelier_migration::{Migrator, MigratorTrait as _, SchemaManager};
use serde_json::{Value, json};

use crate::{
    files,
    house::{Engine, House, ImportedLora, Person, eventually, nodes, on_each_engine, text},
};

on_each_engine!(use_is_counted_once_and_counted_again_comes_to_the_same);

const USAGE: &str = "query ($id: ID!, $from: NaiveDate, $to: NaiveDate) { loraUsage(loraId: $id, from: $from, to: $to) { \
                     from to totals { downloads generations picturesMade picturesKept teams } \
                     days { day figures { generations } } versions { version { number } figures { picturesKept } } } }";
const DASHBOARD: &str = "query ($team: ID, $days: Int) { creatorDashboard(teamId: $team, days: $days) { team { slug } from to \
                         totals { downloads generations picturesMade picturesKept teams } previousTotals { generations } \
                         days { day figures { downloads } } ratings { count average } followersGained \
                         loras { lora { name } figures { generations } ratings { count } trendingRank } } }";

/// A generation with a version, done as a worker does it; gives its pictures.
async fn generated(house: &House, person: &Person, version: &str, pictures: usize) -> Vec<String> {
    let wish = json!({ "prompt": "a fox", "count": pictures, "loras": [{ "versionId": version }] });
    let made =
        house.done(person, "generatePictures", wish, "generation { id baseModel { id } }").await["generation"].clone();
    let ctx = &house.service.house;
    let model = decode(Noun::BaseModel, &text(&made["baseModel"]["id"])).unwrap();
    let takes = Takes { kinds: &[JobKind::Generate], base_models: &[model] };
    let claimed = claim(ctx, "a worker", takes).await.unwrap().unwrap();
    let mut rendered = Vec::new();
    for seed in 0..i64::try_from(pictures).unwrap() {
        let picture = ctx.blobs.put(format!("{} {seed}", made["id"]).into_bytes(), "image/png").await.unwrap();
        let (thumbnail, blurhash, recipe) = (picture.clone(), String::new(), json!({}));
        rendered.push(RenderedAsset { picture, thumbnail, blurhash, width: 64, height: 64, seed, recipe });
    }
    generation::complete(ctx, claimed.lease, rendered).await.unwrap();
    let query = "query ($id: ID!) { generation(id: $id) { assets { id } } }";
    let data = house.data_of(Some(&person.token), query, json!({ "id": made["id"] })).await;
    data["generation"]["assets"].as_array().unwrap().iter().map(|asset| text(&asset["id"])).collect()
}

async fn usage(house: &House, person: &Person, lora: &ImportedLora) -> Value {
    house.data_of(Some(&person.token), USAGE, json!({ "id": lora.id })).await["loraUsage"].clone()
}

async fn trending(house: &House) -> Vec<String> {
    let query = "{ loras(sort: TRENDING, first: 5) { edges { node { name } } } }";
    nodes(&house.data_of(None, query, json!({})).await["loras"]).iter().map(|lora| text(&lora["name"])).collect()
}

/// Takes the counting away and brings it back, as an update does: what happened before is told of then.
async fn told_anew(house: &House) {
    let ctx = &house.service.house;
    let migrations = Migrator::migrations();
    let brings_it = migrations.iter().find(|migration| migration.name().ends_with("_usage")).unwrap();
    let tx = ctx.db.write().await.unwrap();
    let manager = SchemaManager::new(&tx);
    brings_it.down(&manager).await.unwrap();
    brings_it.up(&manager).await.unwrap();
    ctx.commit(tx).await.unwrap();
}

async fn use_is_counted_once_and_counted_again_comes_to_the_same(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob, cyd) = (house.person("ada").await, house.person("bob").await, house.person("cyd").await);
    let widths = house.starter_widths();
    let felt = house.published_lora(&ada, "Wool felt", &files::lora(widths, 2)).await;
    let ink = house.published_lora(&ada, "Ink wash", &files::lora(widths, 1)).await;
    eventually("the index", async || (trending(&house).await == ["Ink wash", "Wool felt"]).then_some(())).await;
    for person in [&bob, &bob, &cyd] {
        house.done(person, "downloadLora", json!({ "versionId": ink.version }), "file { url }").await;
    }
    let made = generated(&house, &bob, &ink.version, 3).await;
    generated(&house, &bob, &ink.version, 1).await;
    generated(&house, &cyd, &ink.version, 1).await;
    house.done(&bob, "deleteAsset", json!({ "id": made[1] }), "asset { id }").await;
    assert_eq!(house.refused(&bob, "deleteAsset", json!({ "id": made[1] })).await, "NOT_FOUND");
    house.done(&cyd, "rateLora", json!({ "loraId": felt.id, "stars": 4 }), "rating { id }").await;
    house.done(&cyd, "followUser", json!({ "userId": ada.id }), "user { id }").await;

    let expected = json!({ "downloads": 2, "generations": 3, "picturesMade": 5, "picturesKept": 4, "teams": 2 });
    let counted = eventually("the counts", async || {
        let usage = usage(&house, &ada, &ink).await;
        (usage["totals"] == expected).then_some(usage)
    })
    .await;
    assert_eq!(counted["versions"], json!([{ "version": { "number": 1 }, "figures": { "picturesKept": 4 } }]));
    let days = counted["days"].as_array().unwrap();
    assert_eq!((days.len(), &days[29]["day"]), (30, &counted["to"]));
    assert_eq!(days.iter().map(|day| day["figures"]["generations"].as_i64().unwrap()).sum::<i64>(), 3);
    // Two downloads and two teams' days are less than the first rating, 5, and both have their publication.
    eventually("what trends", async || (trending(&house).await == ["Wool felt", "Ink wash"]).then_some(())).await;

    let board = eventually("the rating", async || {
        let board = house.data_of(Some(&ada.token), DASHBOARD, json!({ "days": 7 })).await["creatorDashboard"].clone();
        (board["loras"][0]["trendingRank"] == 2).then_some(board)
    })
    .await;
    assert_eq!((&board["totals"], &board["previousTotals"]["generations"]), (&expected, &json!(0)));
    assert_eq!((&board["ratings"], &board["followersGained"]), (&json!({ "count": 1, "average": 4.0 }), &json!(1)));
    assert_eq!(board["days"].as_array().unwrap().len(), 7);
    let row = |name: &str, generations: i32, ratings: i32, rank: i32| {
        let (figures, ratings) = (json!({ "generations": generations }), json!({ "count": ratings }));
        json!({ "lora": { "name": name }, "figures": figures, "ratings": ratings, "trendingRank": rank })
    };
    assert_eq!(board["loras"], json!([row("Ink wash", 3, 0, 2), row("Wool felt", 0, 1, 1)]));

    // A team's figures are its own.
    for token in [None, Some(bob.token.as_str())] {
        let code = house.refusal(token, USAGE, json!({ "id": ink.id })).await;
        assert!(["FORBIDDEN", "UNAUTHENTICATED"].contains(&code.as_str()), "{code}");
    }
    assert_eq!(house.refusal(Some(&bob.token), DASHBOARD, json!({ "team": ada.team })).await, "NOT_FOUND");
    for wrong in [json!({ "days": 0 }), json!({ "days": 367 })] {
        assert_eq!(house.refusal(Some(&ada.token), DASHBOARD, wrong).await, "BAD_REQUEST");
    }
    for (from, to) in [("2030-01-02", "2030-01-01"), ("2020-01-01", "2030-01-01"), ("0001-01-01", "0001-01-02")] {
        let wrong = json!({ "id": ink.id, "from": from, "to": to });
        assert_eq!(house.refusal(Some(&ada.token), USAGE, wrong).await, "BAD_REQUEST", "{from} {to}");
    }

    told_anew(&house).await;
    eventually("the counts of an installation that is brought up to date", async || {
        (usage(&house, &ada, &ink).await == counted).then_some(())
    })
    .await;

    // Counted again it comes to the same, while the service runs.
    let output = Command::new(env!("CARGO_BIN_EXE_atelier"))
        .args(["usage", "rebuild", "--database-url", &house.database_url, "--data"])
        .arg(house.data())
        .output()
        .unwrap();
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("All counts were right."), "{said} {complaints}");
    assert_eq!(usage(&house, &ada, &ink).await, counted);
    generated(&house, &bob, &felt.version, 1).await;
    eventually("the counter goes on", async || {
        (usage(&house, &ada, &felt).await["totals"]["generations"] == 1).then_some(())
    })
    .await;
    house.close().await;
}

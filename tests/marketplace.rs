//! A LoRA's page and its neighbours: how it goes with base models, what looks like it, who brought the same file.

use serde_json::{Value, json};

use crate::{
    files,
    house::{Engine, House, ImportedLora, Person, eventually, least_statements, nodes, on_each_engine, text},
};

on_each_engine!(
    a_published_lora_is_measured_and_found_by_how_it_looks,
    with_clip_looks_are_what_pictures_show,
    a_file_that_is_brought_again_is_recognised,
    the_marketplace_page_costs_a_bounded_number_of_statements,
);

const MEASURED: &str =
    "query ($id: ID!) { loraVersion(id: $id) { previews { id url prompt seed strength } compatibility {
    baseModel { name } matchedShare isByClip strengths { strength effect retention lost } safeStrengths { low high }
    sheetUrl measuredAt } } }";

async fn found(house: &House, person: &Person, arguments: Value) -> Vec<String> {
    let query = "query ($like: PictureSourceInput, $filter: LoraFilterInput) { \
        loras(like: $like, filter: $filter, first: 5) { edges { node { id } } facets { licenses { count } } } }";
    let data = house.data_of(Some(&person.token), query, arguments).await;
    nodes(&data["loras"]).iter().map(|node| text(&node["id"])).collect()
}

/// Waits until a version's previews are rendered and it is measured.
async fn measured(house: &House, person: &Person, version: &str) -> Value {
    eventually("the version is measured", async || {
        let data = house.data_of(Some(&person.token), MEASURED, json!({ "id": version })).await;
        let version = data["loraVersion"].clone();
        let is_done = |field: &str| version[field].as_array().is_some_and(|rows| !rows.is_empty());
        (is_done("previews") && is_done("compatibility")).then_some(version)
    })
    .await
}

async fn a_published_lora_is_measured_and_found_by_how_it_looks(engine: Engine) {
    let house = House::open_with(engine, &["--measure-compatibility", "on"]).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let one = recommended_at(&house, &ada, "Strong", &files::lora(house.starter_widths(), 250), 2.0).await;
    let other = house.published_lora(&ada, "Weak", &files::lora(house.starter_widths(), 1)).await;
    let strong = measured(&house, &bob, &one.version).await;
    let weak = measured(&house, &bob, &other.version).await;

    let found_strong = &strong["compatibility"][0];
    assert_eq!(found_strong["baseModel"]["name"], "starter");
    assert_eq!((found_strong["matchedShare"].as_f64(), &found_strong["isByClip"]), (Some(1.0), &json!(false)));
    let effects = |found: &Value| -> Vec<f64> {
        let rows = found["compatibility"][0]["strengths"].as_array().unwrap();
        rows.iter().map(|row| row["effect"].as_f64().unwrap()).collect()
    };
    let (strong_effects, weak_effects) = (effects(&strong), effects(&weak));
    assert_eq!(strong_effects.len(), 5);
    assert!(strong_effects[4] > strong_effects[0] && strong_effects[4] > 0.05, "{strong_effects:?}");
    assert!(weak_effects.iter().all(|effect| *effect < 0.05), "next to nothing has no effect: {weak_effects:?}");
    assert_eq!(weak["compatibility"][0]["safeStrengths"], Value::Null, "what does nothing is nowhere safe");
    let sheet = house.fetch(found_strong["sheetUrl"].as_str().unwrap()).await;
    assert!(atelier_worker::inference::Picture::decode(&sheet).unwrap().width > 200);

    // By a picture that was made with it.
    let wish = json!({ "id": strong["previews"][0]["id"] });
    let made = house.done(&bob, "reproduceAsset", wish, "generation { id }").await["generation"]["id"].clone();
    let asset = eventually("the picture is made", async || {
        let query = "query ($id: ID!) { generation(id: $id) { assets { id } } }";
        let data = house.data_of(Some(&bob.token), query, json!({ "id": made })).await;
        data["generation"]["assets"].as_array()?.first().map(|asset| text(&asset["id"]))
    })
    .await;
    let like = json!({ "like": { "assetId": asset } });
    eventually("it is found by its look", async || {
        let found = found(&house, &bob, like.clone()).await;
        (found.first() == Some(&one.id) && found.contains(&other.id)).then_some(())
    })
    .await;
    let carol = house.person("carol").await;
    let query = "query ($like: PictureSourceInput) { loras(like: $like, first: 5) { edges { node { id } } } }";
    assert_eq!(house.refusal(Some(&carol.token), query, like.clone()).await, "NOT_FOUND", "the picture is bob's");
    let both = "query ($like: PictureSourceInput) { loras(like: $like, search: \"strong\", first: 5) { edges { node { id } } } }";
    let (_, answer) = house.send(Some(&bob.token), both, like).await;
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("at once"), "{answer}");

    // By what was measured.
    let safe = &found_strong["safeStrengths"];
    let (low, high) = (safe["low"].as_f64().unwrap(), safe["high"].as_f64().unwrap());
    assert!(0.5 <= low && low <= high && high <= 1.5, "{safe}");
    let safe_at = |strength: f64| json!({ "filter": { "safeStrength": strength } });
    eventually("it is found by its safe strength", async || {
        (found(&house, &bob, safe_at(low)).await == [one.id.clone()]).then_some(())
    })
    .await;
    assert_eq!(found(&house, &bob, safe_at(high)).await, std::slice::from_ref(&one.id));
    for beside in [-1.0, low - 0.01, high + 0.01] {
        assert!(found(&house, &bob, safe_at(beside)).await.is_empty(), "{beside}");
    }

    // The strength that nobody says is a safe one, although its creator recommends more.
    let wish = json!({ "prompt": "a fox", "loras": [{ "versionId": one.version }] });
    let used = house.done(&bob, "generatePictures", wish, "generation { loras { strength } }").await;
    let used = used["generation"]["loras"][0]["strength"].as_f64().unwrap();
    assert_eq!(used, high);

    let query = "query ($id: ID!) { relatedLoras(loraId: $id, first: 5) { id } }";
    let related = house.data_of(None, query, json!({ "id": one.id })).await;
    assert_eq!(related["relatedLoras"], json!([{ "id": other.id }]), "the other one looks like it");

    // What was taken back is found by its team as it was by everybody.
    house.done(&ada, "unpublishLora", json!({ "id": one.id }), "lora { id }").await;
    for (strength, expected) in [(low, vec![one.id.clone()]), (high + 0.01, Vec::new())] {
        let taken_back = json!({ "filter": { "safeStrength": strength, "state": "UNPUBLISHED" } });
        assert_eq!(found(&house, &ada, taken_back).await, expected, "{strength}");
    }
    house.close().await;
}

async fn with_clip_looks_are_what_pictures_show(engine: Engine) {
    let house = House::open_with(engine, &[]).await;
    let ada = house.person("ada").await;
    let first = house.published_lora(&ada, "First", &files::lora(house.starter_widths(), 250)).await;
    let shown = eventually("previews are rendered", async || {
        let query = "query ($id: ID!) { loraVersion(id: $id) { previews { url } } }";
        let data = house.data_of(None, query, json!({ "id": first.version })).await;
        data["loraVersion"]["previews"].as_array()?.first().map(|preview| text(&preview["url"]))
    })
    .await;
    let picture = house.fetch(&shown).await;
    let upload = house.upload(&ada, "GENERATION_PICTURE", None, "preview.png", &picture).await;
    let like = json!({ "like": { "uploadId": upload } });
    let finds = async |house: &House, person: &Person| {
        eventually("it is found by its look", async || {
            (found(house, person, like.clone()).await.first() == Some(&first.id)).then_some(())
        })
        .await;
    };
    finds(&house, &ada).await;

    // What was rendered before is described anew.
    let clip = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../inference/tests/fixtures/clip");
    let house = house.restarted(&["--clip", clip.to_str().unwrap(), "--measure-compatibility", "on"]).await;
    // It has another address now, for which the tokens are no good.
    let ada = house.sign_in(&ada.email).await;
    finds(&house, &ada).await;
    let described = house.service.house.inspector.describer().to_owned();
    assert!(described.starts_with("clip-"), "{described}");
    let second = house.published_lora(&ada, "Second", &files::lora(house.starter_widths(), 200)).await;
    assert_eq!(measured(&house, &ada, &second.version).await["compatibility"][0]["isByClip"], json!(true));

    let house = house.restarted(&[]).await;
    finds(&house, &house.sign_in(&ada.email).await).await;
    house.close().await;
}

/// Brings a file whose creator recommends a strength, and publishes it.
async fn recommended_at(house: &House, person: &Person, name: &str, file: &[u8], strength: f64) -> ImportedLora {
    let announced = json!({ "purpose": "LORA_FILE", "fileName": "style.safetensors", "size": file.len() });
    let upload = house.send_file(person, announced, file).await;
    let import = json!({ "uploadId": upload, "name": name, "recommendedStrength": strength });
    let version = house.done(person, "importLora", import, "version { id lora { id } }").await["version"].clone();
    let lora = ImportedLora { id: text(&version["lora"]["id"]), version: text(&version["id"]), upload };
    house.done(person, "publishLora", json!({ "id": lora.id, "license": "CC0-1.0" }), "lora { id }").await;
    lora
}

async fn a_file_that_is_brought_again_is_recognised(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let file = files::foreign_lora("bfl");
    let first = house.published_lora(&ada, "Ink wash", &file).await;
    // The same tensors behind another header.
    let length = usize::try_from(u64::from_le_bytes(file[..8].try_into().unwrap())).unwrap();
    let mut header = files::header(&file);
    header.insert("__metadata__".to_owned(), json!({ "modelspec.title": "All my own work" }));
    let header = serde_json::to_vec(&header).unwrap();
    let mut edited = (header.len() as u64).to_le_bytes().to_vec();
    edited.extend(&header);
    edited.extend(&file[8 + length..]);
    let second = house.lora_from_file(&bob, None, "All my own work", &edited).await;

    let query = "query ($id: ID!) { loraVersion(id: $id) { duplicates { id lora { name } } } }";
    let of = async |person: &Person, version: &str| {
        house.data_of(Some(&person.token), query, json!({ "id": version })).await["loraVersion"]["duplicates"].clone()
    };
    assert_eq!(of(&bob, &second.version).await, json!([{ "id": first.version, "lora": { "name": "Ink wash" } }]));
    assert_eq!(of(&ada, &first.version).await, json!([]), "a draft of others is not shown");
    house.done(&bob, "publishLora", json!({ "id": second.id, "license": "CC0-1.0" }), "lora { id }").await;
    assert_eq!(of(&ada, &first.version).await[0]["id"], json!(second.version));
    house.close().await;
}

const PAGE: &str = "query ($first: Int!) { loras(first: $first) { edges { node { \
    id name license tags ratingAverage ratingCount downloadCount creator { handle displayName } \
    latestVersion { id triggerWords recommendedStrength baseModel { name title } \
        compatibility { matchedShare safeStrengths { low high } baseModel { name } } } \
    previews { thumbnailUrl blurhash width height } } } \
    facets { tags { value count } licenses { value count } baseModels { count baseModel { name } } } \
    pageInfo { hasNextPage endCursor } } }";

/// One a level and relation, whatever the number of cards; four of them say who asks.
const MOST_STATEMENTS: u64 = 12;

async fn the_marketplace_page_costs_a_bounded_number_of_statements(engine: Engine) {
    let house = House::open_patient(engine).await;
    let ada = house.person("ada").await;
    for number in 0..24 {
        let file = files::lora(house.starter_widths(), number);
        house.published_lora(&ada, &format!("LoRA {number}"), &file).await;
    }
    let page = async || house.data_of(Some(&ada.token), PAGE, json!({ "first": 24 })).await;
    eventually("all are found", async || (nodes(&page().await["loras"]).len() == 24).then_some(())).await;
    let least = least_statements(&house, MOST_STATEMENTS, async || {
        assert_eq!(nodes(&page().await["loras"]).len(), 24);
    });
    let least = least.await;
    assert!(least <= MOST_STATEMENTS, "24 cards cost {least} statements");
    house.close().await;
}

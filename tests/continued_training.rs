//! A training continues a version: it begins with that version's matrices, and refuses what it cannot begin with.

use serde_json::{Value, json};

use crate::{
    files,
    house::{Engine, House, Person, on_each_engine, text},
    watch::Watch,
};

on_each_engine!(a_training_continues_a_version, what_cannot_be_continued_is_refused);

/// What is said of a training that has ended.
const RUN: &str = "query ($id: ID!) { trainingRun(id: $id) {
    rank alpha layers continuedVersion { id } validationLossBase validationLoss
    version { id number parent { id } metadata layout }
} }";

/// Trains, and gives the run, its losses step by step among them.
async fn trained(house: &House, person: &Person, input: Value) -> Value {
    let run = house.done(person, "startTraining", input, "trainingRun { id job { id } }").await["trainingRun"].clone();
    let progress =
        "subscription ($id: ID!) { jobProgress(id: $id) { progress { __typename ... on JobTraining { loss } } } }";
    let events = Watch::begin(house, &person.token, progress, json!({ "id": run["job"]["id"] })).await.all().await;
    let losses: Vec<_> = events.iter().filter_map(|event| event["jobProgress"]["progress"]["loss"].as_f64()).collect();
    assert_eq!(events.last().unwrap()["jobProgress"]["progress"]["__typename"], "JobSucceeded", "{events:?}");
    let mut run = house.data_of(Some(&person.token), RUN, json!({ "id": run["id"] })).await["trainingRun"].clone();
    run["losses"] = json!(losses);
    run
}

/// The names of the layers that a version's file adapts.
async fn layers(house: &House, person: &Person, run: &Value) -> Vec<String> {
    let input = json!({ "versionId": run["version"]["id"] });
    let file = house.done(person, "downloadLora", input, "file { url }").await["file"].clone();
    let header = files::header(&house.fetch(&text(&file["url"])).await);
    header.keys().filter_map(|name| name.strip_suffix(".lora_A.weight")).map(str::to_owned).collect()
}

async fn a_training_continues_a_version(engine: Engine) {
    let house = House::open_with(engine, &[]).await;
    let ada = house.person("ada").await;
    let dataset = house.dataset(&ada, "Felt and paper", 6).await;
    let input = json!({
        "datasetId": dataset, "triggerWord": "feltpaper", "epochs": 2, "rank": 4, "alpha": 2.0, "layers": "ATTENTION",
        "batchSize": 16, "seed": 7, "samplePrompts": ["a house"],
    });
    let first = trained(&house, &ada, input).await;
    assert_eq!((&first["layers"], &first["continuedVersion"]), (&json!("ATTENTION"), &Value::Null));
    assert_eq!(first["version"]["metadata"]["ss_network_args"], "{\"layers\":\"ATTENTION\"}");
    let adapted = layers(&house, &ada, &first).await;
    let is_attention = |name: &String| {
        name.contains("_attn.") || name.contains(".single_blocks.") || name.ends_with(".double_blocks.0.img_mlp.0")
    };
    assert!(!adapted.is_empty() && adapted.iter().all(is_attention), "{adapted:?}");

    // The base model, rank, alpha and layers are the version's own. In its file alpha is the rank: it was folded in.
    let input = json!({
        "datasetId": dataset, "triggerWord": "feltpaper", "epochs": 1, "batchSize": 16, "seed": 7, "samplePrompts": ["a house"],
        "continueFromVersionId": first["version"]["id"],
    });
    let second = trained(&house, &ada, input).await;
    assert_eq!((&second["rank"], &second["alpha"], &second["layers"]), (&json!(4), &json!(4.0), &Value::Null));
    assert_eq!(second["continuedVersion"]["id"], first["version"]["id"]);
    assert_eq!(second["version"]["parent"]["id"], first["version"]["id"]);
    assert_eq!(second["version"]["metadata"]["ss_network_args"], "{\"layers\":\"ATTENTION\"}");
    assert_eq!(layers(&house, &ada, &second).await, adapted);
    // Both draw the same pictures, noise and times for their first step: one of them begins with what was learnt.
    let begins = |run: &Value| run["losses"][0].as_f64().unwrap();
    assert!(begins(&second) < begins(&first), "{} is not below {}", begins(&second), begins(&first));
    assert_eq!(second["validationLossBase"], first["validationLossBase"], "measured without any LoRA");
    house.close().await;
}

async fn what_cannot_be_continued_is_refused(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let dataset = house.dataset(&bob, "Foxes", 4).await;
    let (hidden, context) = house.starter_widths();
    let wish = |version: &str, more: Value| {
        let mut wish = json!({ "datasetId": dataset, "triggerWord": "inkfox", "continueFromVersionId": version });
        wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        wish
    };
    let fields = "trainingRun { baseModel { name } continuedVersion { id } }";
    let refusal =
        async |version: &str, more: Value| house.user_error(&bob, "startTraining", wish(version, more), fields).await;

    // Others' versions: as they are shown, and as their terms say.
    let draft = house.lora_from_file(&ada, None, "Draft", &files::lora((hidden, context), 1)).await;
    assert_eq!(house.refused(&bob, "startTraining", wish(&draft.version, json!({}))).await, "NOT_FOUND");
    let publish = |license: &str| json!({ "id": draft.id, "license": license });
    house.done(&ada, "publishLora", publish("CC-BY-ND-4.0"), "lora { id }").await;
    assert_eq!(refusal(&draft.version, json!({})).await, "NO_DERIVATIVES");
    house.done(&ada, "updateLora", json!({ "id": draft.id, "license": "CC-BY-4.0" }), "lora { id }").await;
    let run = house.done(&bob, "startTraining", wish(&draft.version, json!({})), fields).await["trainingRun"].clone();
    assert_eq!(run["continuedVersion"]["id"].as_str(), Some(&*draft.version));

    for kept in [json!({ "rank": 8 }), json!({ "alpha": 8.0 }), json!({ "layers": "BLOCKS" })] {
        assert_eq!(refusal(&draft.version, kept.clone()).await, "KEPT_BY_VERSION", "{kept}");
    }
    // For another model, and with a layer that no training trains.
    let other = house.lora_from_file(&bob, None, "Other", &files::foreign_lora("bfl")).await;
    assert_eq!(refusal(&other.version, json!({})).await, "LORA_MISMATCH");
    let last_modulation = [
        ("transformer.norm_out.linear.lora_A.weight", [2, hidden]),
        ("transformer.norm_out.linear.lora_B.weight", [2 * hidden, 2]),
        ("transformer.context_embedder.lora_A.weight", [2, context]),
        ("transformer.context_embedder.lora_B.weight", [hidden, 2]),
    ];
    let file = files::safetensors(&last_modulation, 0.01, json!({ "format": "pt" }));
    let strange = house.lora_from_file(&bob, None, "Strange", &file).await;
    let payload = house.call(&bob, "startTraining", wish(&strange.version, json!({})), fields).await;
    let error = &payload["userErrors"][0];
    assert_eq!((&error["code"], &error["field"]), (&json!("NOT_CONTINUABLE"), &json!("continueFromVersionId")));
    assert!(text(&error["message"]).contains("norm_out.linear"), "{error}");
    let deleted = json!({ "id": strange.id });
    house.done(&bob, "deleteLora", deleted, "lora { state }").await;
    assert_eq!(house.refused(&bob, "startTraining", wish(&strange.version, json!({}))).await, "NOT_FOUND");
    house.close().await;
}

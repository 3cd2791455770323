//! Base models beside the starter: every architecture that is read generates pictures, and LoRAs are trained on SDXL.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use atelier_worker::inference::{
    Picture, Recipe,
    image::{Part, read_png_text},
};
use serde_json::{Value, json};

use crate::house::{Engine, House, Person, eventually, on_each_engine};

on_each_engine!(
    models_of_every_architecture_generate,
    loras_of_sdxl_are_used_with_it,
    pictures_are_made_from_references,
    pictures_are_drawn_over_in_part,
    a_picture_is_carried_on_beyond_its_edges,
    a_picture_is_drawn_as_if_it_were_cut_from_another,
    a_lora_is_trained_on_sdxl_and_used
);

/// Cases of the reference implementation whose models are small, and their families.
/// A case, the family of its model, and the sampler that its scheduler is.
const MODELS: [(&str, &str, &str); 3] =
    [("dev-several-references", "flux2", "Euler"), ("sdxl", "sdxl", "Euler"), ("sdxl-turbo", "sdxl", "Euler a")];

async fn models_of_every_architecture_generate(engine: Engine) {
    let house = House::open_with(engine, &[]).await;
    let ada = house.person("ada").await;
    for (case, family, sampler) in MODELS {
        let model = add(&house, case).await;
        assert_eq!(model["family"], family);

        let (picture, asset) = generate(&house, &ada, &model["id"], json!({})).await;
        assert_eq!((picture.width, picture.height), (64, 96), "{case}");
        let query = "query ($id: ID!) { asset(id: $id) { recipe } }";
        let shown = house.data_of(Some(&ada.token), query, json!({ "id": asset })).await;
        assert_eq!(shown["asset"]["recipe"]["sampler"], sampler, "{case}");
    }
    house.close().await;
}

async fn loras_of_sdxl_are_used_with_it(engine: Engine) {
    let house = House::open_with(engine, &[]).await;
    let ada = house.person("ada").await;
    let model = add(&house, "sdxl-turbo").await;
    let file = std::fs::read(folder("sdxl-turbo").join("lora.safetensors")).unwrap();
    let lora = house.lora_from_file(&ada, None, "Ink", &file).await;

    let (without, _) = generate(&house, &ada, &model["id"], json!({})).await;
    let with = |strength: f64| json!({ "loras": [{ "versionId": lora.version, "strength": strength }] });
    let (at_zero, _) = generate(&house, &ada, &model["id"], with(0.0)).await;
    let (at_one, _) = generate(&house, &ada, &model["id"], with(1.0)).await;
    assert_eq!(without.rgb, at_zero.rgb, "at strength 0 a LoRA changes nothing");
    assert_ne!(without.rgb, at_one.rgb, "at strength 1 it does");

    let starter = house.data_of(None, "{ baseModels { id name } }", json!({})).await["baseModels"][0]["id"].clone();
    assert_eq!(refusal(&house, &ada, &starter, with(1.0)).await, "LORA_MISMATCH");
    house.close().await;
}

async fn pictures_are_made_from_references(engine: Engine) {
    let house = House::open_with(engine, &[]).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let model = add(&house, "dev-several-references").await;
    let red = uploaded(&house, &ada, &Picture::filled(64, 64, [200, 20, 20])).await;

    let (without, asset) = generate(&house, &ada, &model["id"], json!({})).await;
    let references = json!({ "references": [{ "uploadId": red }, { "assetId": asset }] });
    let (with, made) = generate(&house, &ada, &model["id"], references.clone()).await;
    assert_ne!(without.rgb, with.rgb, "the references are seen");
    let query = "query ($id: ID!) { asset(id: $id) { recipe generation { pictures { role sha256 url } } } }";
    let shown = house.data_of(Some(&ada.token), query, json!({ "id": made })).await["asset"].clone();
    let pictures = shown["generation"]["pictures"].as_array().unwrap();
    assert_eq!(pictures.iter().map(|one| &one["role"]).collect::<Vec<_>>(), ["REFERENCE", "REFERENCE"]);
    let hashes: Vec<_> = pictures.iter().map(|one| one["sha256"].clone()).collect();
    assert_eq!(shown["recipe"]["references"], json!(hashes));
    let first = house.fetch(pictures[0]["url"].as_str().unwrap()).await;
    assert_eq!(Picture::decode(&first).unwrap(), Picture::filled(64, 64, [200, 20, 20]));

    // What belongs to somebody else is not there, and what a model makes nothing of is refused.
    assert_eq!(house.refused(&bob, "generatePictures", wish(&model["id"], references.clone())).await, "NOT_FOUND");
    let sdxl = add(&house, "sdxl").await;
    assert_eq!(refusal(&house, &ada, &sdxl["id"], references).await, "NOT_SUPPORTED");
    let start = json!({ "start": { "picture": { "assetId": asset } } });
    assert_eq!(refusal(&house, &ada, &model["id"], start).await, "NOT_SUPPORTED");
    house.close().await;
}

async fn pictures_are_drawn_over_in_part(engine: Engine) {
    let house = House::open_with(engine, &[]).await;
    let ada = house.person("ada").await;
    let model = add(&house, "sdxl").await;
    let below = Picture::filled(64, 96, [20, 120, 200]);
    let picture = uploaded(&house, &ada, &below).await;
    // The lower half is drawn anew.
    let rgb = (0..96).flat_map(|y| [if y < 48 { 0 } else { 255 }; 3 * 64]).collect();
    let mask = uploaded(&house, &ada, &Picture::new(64, 96, rgb).unwrap()).await;

    let start = |strength: f64, mask: Value| json!({ "start": { "picture": { "uploadId": picture }, "mask": mask, "strength": strength } });
    let (drawn, made) = generate(&house, &ada, &model["id"], start(1.0, json!({ "uploadId": mask }))).await;
    let half = drawn.rgb.len() / 2;
    assert_eq!(drawn.rgb[..half], below.rgb[..half], "what is black in the mask stays");
    assert_ne!(drawn.rgb[half..], below.rgb[half..], "what is white is drawn");
    let query = "query ($id: ID!) { asset(id: $id) { recipe generation { startStrength pictures { role } } } }";
    let shown = house.data_of(Some(&ada.token), query, json!({ "id": made })).await["asset"].clone();
    assert_eq!(shown["generation"]["startStrength"], 1.0);
    assert_eq!(shown["generation"]["pictures"], json!([{ "role": "START" }, { "role": "MASK" }]));
    assert_eq!(shown["recipe"]["start"]["strength"], 1.0);
    assert_eq!(refusal(&house, &ada, &model["id"], start(0.0, Value::Null)).await, "OUT_OF_RANGE");
    house.close().await;
}

async fn a_picture_is_carried_on_beyond_its_edges(engine: Engine) {
    let house = House::open_with(engine, &[]).await;
    let ada = house.person("ada").await;
    let model = add(&house, "sdxl").await;
    let rgb = (0..32 * 64 * 3).map(|place| (place * 7 % 251) as u8).collect();
    let small = Picture::new(32, 64, rgb).unwrap();
    let picture = uploaded(&house, &ada, &small).await;
    let start = |margins: Value, more: Value| {
        let mut start = json!({ "picture": { "uploadId": picture }, "margins": margins });
        start.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "start": start })
    };
    let margins = json!({ "left": 16, "right": 16, "bottom": 32 });
    let (drawn, made) = generate(&house, &ada, &model["id"], start(margins, json!({}))).await;
    assert_eq!((drawn.width, drawn.height), (64, 96));
    assert_eq!(drawn.cropped(Part { left: 16, top: 0, width: 32, height: 64 }), small, "it stands there as it was");
    let (other, _) = generate(&house, &ada, &model["id"], start(json!({ "bottom": 32 }), json!({}))).await;
    assert_ne!(drawn, other, "elsewhere it is drawn");
    let query = "query ($id: ID!) { asset(id: $id) { recipe generation {
        startStrength startMargins { left top right bottom } } } }";
    let shown = house.data_of(Some(&ada.token), query, json!({ "id": made })).await["asset"].clone();
    let whole = json!({ "left": 16, "top": 0, "right": 16, "bottom": 32 });
    let generation = &shown["generation"];
    assert_eq!((&generation["startStrength"], &generation["startMargins"]), (&json!(1.0), &whole));
    assert_eq!(shown["recipe"]["start"]["margins"], json!([16, 0, 16, 32]));
    let fields = "generation { startMargins { left top right bottom } job { id } }";
    let again = house.done(&ada, "reproduceAsset", json!({ "id": made }), fields).await["generation"].clone();
    assert_eq!(again["startMargins"], whole, "what is made again is made with them");

    let wrong = [
        (json!({ "left": -1 }), json!({}), "OUT_OF_RANGE"),
        (json!({ "left": i32::MAX, "right": i32::MAX }), json!({}), "OUT_OF_RANGE"),
        (json!({}), json!({}), "NO_MARGINS"),
        (json!({ "left": 32, "right": 31 }), json!({}), "NO_ROOM_LEFT"),
        (json!({ "left": 16 }), json!({ "mask": { "uploadId": picture } }), "MASK_WITH_MARGINS"),
    ];
    for (margins, more, code) in wrong {
        assert_eq!(refusal(&house, &ada, &model["id"], start(margins.clone(), more)).await, code, "{margins}");
    }
    house.close().await;
}

async fn a_picture_is_drawn_as_if_it_were_cut_from_another(engine: Engine) {
    let house = House::open_with(engine, &[]).await;
    let ada = house.person("ada").await;
    let model = add(&house, "sdxl").await;
    let told = |original_width: i32, crop_top: i32| {
        let sizes =
            json!({ "originalWidth": original_width, "originalHeight": 96, "cropLeft": 0, "cropTop": crop_top });
        json!({ "sizeConditioning": sizes })
    };
    let (plain, _) = generate(&house, &ada, &model["id"], json!({})).await;
    let (whole, _) = generate(&house, &ada, &model["id"], told(64, 0)).await;
    let (cut, made) = generate(&house, &ada, &model["id"], told(1024, 32)).await;
    assert_eq!(plain, whole);
    assert_ne!(plain, cut);
    let query =
        "query ($id: ID!) { asset(id: $id) { recipe generation { sizeConditioning { originalWidth cropTop } } } }";
    let shown = house.data_of(Some(&ada.token), query, json!({ "id": made })).await["asset"].clone();
    assert_eq!(shown["generation"]["sizeConditioning"], json!({ "originalWidth": 1024, "cropTop": 32 }));
    assert_eq!(shown["recipe"]["size_conditioning"]["original_width"], 1024);
    let fields = "generation { sizeConditioning { originalWidth } job { id } }";
    let again = house.done(&ada, "reproduceAsset", json!({ "id": made }), fields).await["generation"].clone();
    assert_eq!(again["sizeConditioning"]["originalWidth"], 1024);
    assert_eq!(refusal(&house, &ada, &model["id"], told(0, 0)).await, "OUT_OF_RANGE");
    assert_eq!(refusal(&house, &ada, &model["id"], told(64, -1)).await, "OUT_OF_RANGE");
    let starter = house.data_of(None, "{ baseModels { id name } }", json!({})).await["baseModels"][0]["id"].clone();
    assert_eq!(refusal(&house, &ada, &starter, told(64, 0)).await, "NOT_SUPPORTED");
    house.close().await;
}

/// Uploads a picture to generate from.
async fn uploaded(house: &House, person: &Person, picture: &Picture) -> String {
    house.upload(person, "GENERATION_PICTURE", None, "picture.png", &picture.encode_png(&[])).await
}

/// What a refused wish for pictures is answered.
async fn refusal(house: &House, person: &Person, model: &Value, more: Value) -> String {
    house.user_error(person, "generatePictures", wish(model, more), "generation { id }").await
}

/// A wish for one small picture.
fn wish(model: &Value, more: Value) -> Value {
    let mut input = json!({
        "prompt": "a red fox", "baseModelId": model, "width": 64, "height": 96, "seed": 5, "steps": 2, "count": 1,
        "guidance": 2.0,
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

async fn a_lora_is_trained_on_sdxl_and_used(engine: Engine) {
    let house = House::open_with(engine, &[]).await;
    let ada = house.person("ada").await;
    let model = add(&house, "sdxl").await;
    let dataset = house.dataset(&ada, "Foxes", 4).await;
    let training = json!({
        "datasetId": dataset, "triggerWord": "inkfox", "baseModelId": model["id"], "epochs": 2, "rank": 4, "resolution": 64,
        "learningRate": 0.01, "seed": 7, "samplePrompts": ["a red fox"],
    });
    let fields = "trainingRun { id batchSize alpha }";
    let run = house.done(&ada, "startTraining", training, fields).await["trainingRun"].clone();
    assert_eq!((&run["batchSize"], &run["alpha"]), (&json!(1), &json!(4.0)));

    let query = "query ($id: ID!) { trainingRun(id: $id) {
        job { state error } validationLossBase validationLoss finishedEpochs { epoch sampleUrls }
        version { id rank matchedShare layout detectedFamily } } }";
    let trained = eventually("the training has ended", async || {
        let data = house.data_of(Some(&ada.token), query, json!({ "id": run["id"] })).await;
        let run = data["trainingRun"].clone();
        // The run may be read before its end, and its job after it.
        let is_under_way = ["QUEUED", "RUNNING"].iter().any(|state| run["job"]["state"] == *state);
        let is_between = run["job"]["state"] == "SUCCEEDED" && run["version"].is_null();
        (!is_under_way && !is_between).then_some(run)
    })
    .await;
    assert_eq!(trained["job"]["state"], "SUCCEEDED", "{trained}");
    let version = &trained["version"];
    assert_eq!(
        (&version["rank"], &version["matchedShare"], &version["layout"], &version["detectedFamily"]),
        (&json!(4), &json!(1.0), &json!("KOHYA"), &json!("sdxl"))
    );
    assert_eq!(trained["finishedEpochs"].as_array().unwrap().len(), 2);
    assert_ne!(trained["validationLoss"], trained["validationLossBase"]);
    let sample = house.fetch(trained["finishedEpochs"][1]["sampleUrls"][0].as_str().unwrap()).await;
    assert_eq!(Picture::decode(&sample).unwrap().width, 128);

    let (without, _) = generate(&house, &ada, &model["id"], json!({})).await;
    let with = json!({ "loras": [{ "versionId": version["id"], "strength": 1.0 }] });
    assert_ne!(without.rgb, generate(&house, &ada, &model["id"], with).await.0.rgb);
    house.close().await;
}

/// Folder of a case.
fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity").join(case)
}

/// Makes the model of a case known, as an administrator does beside the running service; gives it as the service does.
async fn add(house: &House, case: &str) -> Value {
    let folder = folder(case).join("model");
    let added = Command::new(env!("CARGO_BIN_EXE_atelier"))
        .args(["models", "add", "--name", case, "--database-url", &house.database_url, "--data"])
        .args([&house.data(), &folder])
        .output()
        .unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let models = house.data_of(None, "{ baseModels { id name family } }", json!({})).await;
    let mut models = models["baseModels"].as_array().unwrap().iter();
    models.find(|model| model["name"] == case).expect("the model that was added").clone()
}

/// Generates one picture with a base model and what else is wished; gives it and its id.
async fn generate(house: &House, person: &Person, model: &Value, more: Value) -> (Picture, Value) {
    let wish = wish(model, more);
    let id = house.done(person, "generatePictures", wish, "generation { id }").await["generation"]["id"].clone();
    let query = "query ($id: ID!) { generation(id: $id) { job { state error } assets { id url } } }";
    let generation = eventually("the picture is there", async || {
        let data = house.data_of(Some(&person.token), query, json!({ "id": id })).await;
        let generation = data["generation"].clone();
        // The pictures may be read before its end, and the job after it.
        let is_under_way = ["QUEUED", "RUNNING"].iter().any(|state| generation["job"]["state"] == *state);
        let is_between = generation["job"]["state"] == "SUCCEEDED" && generation["assets"] == json!([]);
        (!is_under_way && !is_between).then_some(generation)
    })
    .await;
    assert_eq!(generation["job"]["state"], "SUCCEEDED", "{generation}");
    let url = generation["assets"][0]["url"].as_str().unwrap();
    let bytes = house.fetch(url).await;
    let (_, recipe) = Recipe::from_text_chunks(&read_png_text(&bytes).unwrap()).unwrap();
    assert_eq!((recipe.seed, recipe.steps), (Some(5), Some(2)));
    (Picture::decode(&bytes).unwrap(), generation["assets"][0]["id"].clone())
}

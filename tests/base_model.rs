//! Base models beside the starter: every architecture that is read generates pictures.

use std::{path::Path, process::Command};

use atelier_worker::inference::{Picture, Recipe, image::read_png_text};
use serde_json::{Value, json};

use crate::house::{Engine, House, Person, eventually, on_each_engine};

on_each_engine!(models_of_every_architecture_generate);

/// Cases of the reference implementation whose models are small, and their families.
const MODELS: [(&str, &str); 3] = [("dev-several-references", "flux2"), ("sdxl", "sdxl"), ("sdxl-turbo", "sdxl")];

async fn models_of_every_architecture_generate(engine: Engine) {
    let house = House::open_with(engine, &[]).await;
    let ada = house.person("ada").await;
    let dataset = house.dataset(&ada, "Foxes", 4).await;
    for (case, family) in MODELS {
        add(&house, case);
        let models = house.data_of(None, "{ baseModels { id name family } }", json!({})).await;
        let models = models["baseModels"].as_array().unwrap().clone();
        let model = models.into_iter().find(|model| model["name"] == case).expect("the model that was added");
        assert_eq!(model["family"], family);

        let picture = generate(&house, &ada, &model["id"]).await;
        assert_eq!((picture.width, picture.height), (64, 96), "{case}");
        if family != "flux2" {
            let training = json!({ "datasetId": dataset, "triggerWord": "inkfox", "baseModelId": model["id"] });
            assert_eq!(house.user_error(&ada, "startTraining", training, "trainingRun { id }").await, "NOT_TRAINABLE");
        }
    }
    house.close().await;
}

/// Makes the model of a case known, as an administrator does beside the running service.
fn add(house: &House, case: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity").join(case).join("model");
    let added = Command::new(env!("CARGO_BIN_EXE_atelier"))
        .args(["models", "add", "--name", case, "--database-url", &house.database_url, "--data"])
        .args([&house.data(), &folder])
        .output()
        .unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
}

/// Generates one picture with a base model.
async fn generate(house: &House, person: &Person, model: &Value) -> Picture {
    let input = json!({
        "prompt": "a red fox", "baseModelId": model, "width": 64, "height": 96, "seed": 5, "steps": 2, "count": 1,
        "guidance": 2.0,
    });
    let id = house.done(person, "generatePictures", input, "generation { id }").await["generation"]["id"].clone();
    let query = "query ($id: ID!) { generation(id: $id) { job { state error } assets { url } } }";
    let generation = eventually("the picture is there", async || {
        let data = house.data_of(Some(&person.token), query, json!({ "id": id })).await;
        (!["QUEUED", "RUNNING"].iter().any(|state| data["generation"]["job"]["state"] == *state))
            .then(|| data["generation"].clone())
    })
    .await;
    assert_eq!(generation["job"]["state"], "SUCCEEDED", "{generation}");
    let url = generation["assets"][0]["url"].as_str().unwrap();
    let bytes = house.fetch(url).await;
    let (_, recipe) = Recipe::from_text_chunks(&read_png_text(&bytes).unwrap()).unwrap();
    assert_eq!((recipe.seed, recipe.steps), (Some(5), Some(2)));
    Picture::decode(&bytes).unwrap()
}

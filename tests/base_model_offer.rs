//! Base models for chosen teams: they are not there for anybody else, and a team has a default of its own.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    house::{Engine, House, Person, on_each_engine, pictures, text},
    models::{Ended, command},
};

on_each_engine!(
    a_model_for_one_team_is_not_there_for_others,
    what_names_a_model_that_is_not_offered_shows_it_and_does_nothing_with_it,
    a_team_has_a_default_of_its_own,
);

/// The model that not everybody may use.
const MODEL: &str = "sdxl-turbo";

/// Somebody with a team that may use the model, and somebody else.
struct Studio {
    house: House,
    ada: Person,
    bob: Person,
    team: String,
    model: Value,
}

impl Studio {
    async fn open(engine: Engine) -> Self {
        let house = House::open(engine).await;
        let (ada, bob) = (house.person("ada").await, house.person("bob").await);
        let input = json!({ "name": "Inks", "slug": "inks" });
        let team = text(&house.done(&ada, "createTeam", input, "team { id }").await["team"]["id"]);
        models(&house, &["add", fixture("model").to_str().unwrap(), "--name", MODEL]).await.well();
        let offered = house.data_of(None, "{ baseModels { id name } }", json!({})).await["baseModels"].clone();
        let mut offered = offered.as_array().unwrap().iter();
        let model = offered.find(|model| model["name"] == MODEL).expect("what is added is for everyone")["id"].clone();
        let said = models(&house, &["share", MODEL, "--team", "inks"]).await.well();
        assert!(said.contains("these teams only: `inks`"), "{said}");
        Self { house, ada, bob, team, model }
    }

    /// The names of the base models that somebody is shown.
    async fn names(&self, person: Option<&Person>, team: Option<&str>) -> Vec<String> {
        let query = "query ($team: ID) { baseModels(teamId: $team) { name } }";
        let token = person.map(|person| person.token.as_str());
        let data = self.house.data_of(token, query, json!({ "team": team })).await;
        data["baseModels"].as_array().unwrap().iter().map(|model| text(&model["name"])).collect()
    }

    /// A wish of the team's for a picture.
    fn wish(&self, more: Value) -> Value {
        let mut wish = json!({ "prompt": "a red fox", "count": 1, "teamId": self.team });
        wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        wish
    }

    /// The base model that the team uses when nobody names one.
    async fn taken(&self) -> String {
        let fields = "generation { baseModel { name } }";
        let made = self.house.done(&self.ada, "generatePictures", self.wish(json!({})), fields).await;
        text(&made["generation"]["baseModel"]["name"])
    }

    /// A data set of somebody's team with pictures enough to train on.
    async fn dataset(&self, person: &Person, team: &str) -> String {
        let input = json!({ "name": "Foxes", "teamId": team });
        let made = self.house.done(person, "createDataset", input, "dataset { id }").await;
        let dataset = text(&made["dataset"]["id"]);
        for (number, file) in pictures().iter().take(4).enumerate() {
            let bytes = fs::read(file).unwrap();
            self.house.upload(person, "DATASET_PICTURE", Some(&dataset), &format!("{number}.jpg"), &bytes).await;
        }
        dataset
    }
}

/// Runs `atelier models` beside the service.
async fn models(house: &House, arguments: &[&str]) -> Ended {
    Ended::of(command(&house.data(), Some(&house.database_url), arguments).output().await.unwrap())
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity/sdxl-turbo").join(name)
}

async fn a_model_for_one_team_is_not_there_for_others(engine: Engine) {
    let studio = Studio::open(engine).await;
    let Studio { house, ada, bob, team, model } = &studio;
    for (person, asked, expected) in [
        (None, None, &["starter"][..]),
        (Some(bob), None, &["starter"]),
        (Some(ada), None, &["starter", MODEL]),
        (Some(ada), Some(team.as_str()), &["starter", MODEL]),
        (Some(ada), Some(ada.team.as_str()), &["starter"]),
        (Some(bob), Some(bob.team.as_str()), &["starter"]),
        (Some(bob), Some(team.as_str()), &[]),
        (None, Some(team.as_str()), &[]),
    ] {
        assert_eq!(studio.names(person, asked).await, expected, "{person:?} of {asked:?}");
    }
    let by_id = "query ($id: ID!) { baseModel(id: $id) { name } node(id: $id) { id } }";
    let seen = house.data_of(Some(&ada.token), by_id, json!({ "id": model })).await;
    assert_eq!(seen, json!({ "baseModel": { "name": MODEL }, "node": { "id": model } }));
    for token in [Some(bob.token.as_str()), None] {
        assert_eq!(house.refusal(token, by_id, json!({ "id": model })).await, "NOT_FOUND");
        let node = house.data_of(token, "query ($id: ID!) { node(id: $id) { id } }", json!({ "id": model })).await;
        assert_eq!(node["node"], Value::Null);
    }

    let wish = |team: &str| json!({ "prompt": "a red fox", "teamId": team, "baseModelId": model });
    assert_eq!(house.refused(bob, "generatePictures", wish(&bob.team)).await, "NOT_FOUND");
    assert_eq!(house.refused(ada, "generatePictures", wish(&ada.team)).await, "NOT_FOUND", "not for her own team");
    let made = house.done(ada, "generatePictures", wish(team), "generation { baseModel { name } }").await;
    assert_eq!(made["generation"]["baseModel"]["name"], MODEL);

    let training = |dataset: &str| json!({ "datasetId": dataset, "triggerWord": "inkfox", "baseModelId": model });
    let theirs = studio.dataset(bob, &bob.team).await;
    assert_eq!(house.refused(bob, "startTraining", training(&theirs)).await, "NOT_FOUND");
    let ours = studio.dataset(ada, team).await;
    let run = house.done(ada, "startTraining", training(&ours), "trainingRun { baseModel { name } }").await;
    assert_eq!(run["trainingRun"]["baseModel"]["name"], MODEL);

    // A file finds its base model among those that its team may use.
    let file = fs::read(fixture("lora.safetensors")).unwrap();
    let query = "query ($id: ID!) { loraVersion(id: $id) { baseModel { name } } }";
    for (person, team, expected) in
        [(bob, bob.team.as_str(), Value::Null), (ada, team.as_str(), json!({ "name": MODEL }))]
    {
        let lora = house.lora_from_file(person, Some(team), "Ink", &file).await;
        let version = house.data_of(Some(&person.token), query, json!({ "id": lora.version })).await;
        assert_eq!(version["loraVersion"]["baseModel"], expected);
    }
    let upload = house.upload(bob, "LORA_FILE", None, "ink.safetensors", &file).await;
    let import = json!({ "uploadId": upload, "baseModelId": model });
    assert_eq!(house.refused(bob, "importLora", import).await, "NOT_FOUND");
    studio.house.close().await;
}

async fn what_names_a_model_that_is_not_offered_shows_it_and_does_nothing_with_it(engine: Engine) {
    let studio = Studio::open(engine).await;
    let Studio { house, ada, bob, team, model } = &studio;
    let file = fs::read(fixture("lora.safetensors")).unwrap();
    let lora = house.lora_from_file(ada, Some(team), "Ink", &file).await;
    house.done(ada, "publishLora", json!({ "id": lora.id, "license": "CC0-1.0" }), "lora { id }").await;
    let query = "query ($id: ID!) { lora(id: $id) { latestVersion { baseModel { title } } } }";
    let shown = house.data_of(Some(&bob.token), query, json!({ "id": lora.id })).await;
    assert_eq!(shown["lora"]["latestVersion"]["baseModel"]["title"], MODEL);

    let fields = "generation { id job { id } }";
    let with = json!({ "prompt": "a red fox", "loras": [{ "versionId": lora.version }] });
    let payload = house.call(bob, "generatePictures", with.clone(), fields).await;
    let error = &payload["userErrors"][0];
    assert_eq!((&error["code"], &error["field"]), (&json!("BASE_MODEL_NOT_OFFERED"), &json!("baseModelId")));
    assert!(text(&error["message"]).contains("made for sdxl-turbo, which is not offered to this team"), "{error}");

    // What is asked for again needs what it needed the first time.
    let wish = studio.wish(json!({ "baseModelId": model }));
    let job = house.done(ada, "generatePictures", wish, fields).await["generation"]["job"].clone();
    house.done(ada, "cancelJob", json!({ "id": job["id"] }), "job { id }").await;
    let said = models(house, &["unshare", MODEL, "--team", "inks"]).await.well();
    assert!(said.contains("to no team any more"), "{said}");
    let again = json!({ "id": job["id"] });
    assert_eq!(house.user_error(ada, "retryJob", again.clone(), "job { id }").await, "BASE_MODEL_NOT_OFFERED");
    assert_eq!(studio.names(Some(ada), None).await, ["starter"]);
    models(house, &["share", MODEL, "--team", "inks", "bob"]).await.well();
    house.done(ada, "retryJob", again, "job { id }").await;
    assert_eq!(studio.names(Some(bob), None).await, ["starter", MODEL]);
    house.done(bob, "generatePictures", with, fields).await;
    let entries = "query ($id: ID!) { auditEntries(teamId: $id, first: 20) { edges { node { action detail } } } }";
    let entries = house.data_of(Some(&bob.token), entries, json!({ "id": bob.team })).await.to_string();
    assert!(entries.contains("BaseModelManage") && entries.contains(MODEL), "{entries}");
    studio.house.close().await;
}

async fn a_team_has_a_default_of_its_own(engine: Engine) {
    let studio = Studio::open(engine).await;
    let Studio { house, ada, team, .. } = &studio;
    let refused = async |arguments: &[&str], why: &str| {
        let said = models(house, arguments).await.refused();
        assert!(said.contains(why), "{arguments:?}: {said}");
    };
    refused(&["default", MODEL], "offered to chosen teams only").await;
    refused(&["default", MODEL, "--team", "bob"], "not offered to the team `bob`").await;
    refused(&["share", "starter", "--team", "inks"], "Make another the default first").await;
    refused(&["share", MODEL, "--team", "nobody"], "There is no team `nobody`").await;
    refused(&["unshare", "starter", "--team", "inks"], "offered to everyone").await;
    refused(&["unshare", MODEL, "--team", "bob"], "not offered to the team `bob`").await;
    assert_eq!(studio.taken().await, "starter", "the installation's, as long as the team has none");

    models(house, &["default", MODEL, "--team", "inks"]).await.well();
    assert_eq!(studio.taken().await, MODEL);
    assert_eq!(studio.names(Some(ada), Some(team)).await, [MODEL, "starter"]);
    assert_eq!(studio.names(Some(ada), None).await, ["starter", MODEL]);
    let fields = "generation { baseModel { name } }";
    let own = house.done(ada, "generatePictures", json!({ "prompt": "a red fox" }), fields).await;
    assert_eq!(own["generation"]["baseModel"]["name"], "starter", "other teams use the installation's");
    let listed: Value = serde_json::from_str(&models(house, &["list", "--json"]).await.well()).unwrap();
    let ours = listed.as_array().unwrap().iter().find(|model| model["name"] == MODEL).unwrap();
    assert_eq!((&ours["offered_to"], &ours["default_of"]), (&json!({ "teams": ["inks"] }), &json!(["inks"])));
    let said = models(house, &["list"]).await.well();
    assert!(said.contains("sdxl-turbo (default of `inks`)") && said.contains("offered to `inks`"), "{said}");

    models(house, &["unshare", MODEL, "--team", "inks"]).await.well();
    assert_eq!(studio.taken().await, "starter", "what is not offered any more is nobody's default");
    models(house, &["share", MODEL, "--everyone"]).await.well();
    assert_eq!(studio.names(None, None).await, ["starter", MODEL]);
    assert_eq!(studio.taken().await, MODEL);
    models(house, &["remove", MODEL]).await.well();
    assert_eq!(studio.taken().await, "starter");
    models(house, &["default", "--team", "inks", "--reset"]).await.well();
    models(house, &["add", fixture("model").to_str().unwrap(), "--name", MODEL]).await.well();
    assert_eq!(studio.taken().await, "starter");
    studio.house.close().await;
}

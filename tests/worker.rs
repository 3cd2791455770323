//! A worker says which base models it has the files of, and does the jobs of these alone. What nobody can do waits, and
//! says why.

use std::{path::Path, process::Command};

use atelier_domain::{
    entities::{kinds::JobKind, worker},
    id::{Noun, decode},
    jobs::workers::{self, Card},
};
use chrono::TimeDelta;
use sea_orm::{EntityTrait as _, sea_query::Expr};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    house::{Engine, House, Person, eventually, nodes, on_each_engine, text},
    models::{Ended, command},
    process::Process,
};

on_each_engine!(
    a_job_waits_until_a_worker_has_the_folder_of_its_model,
    a_worker_that_ended_or_went_silent_serves_nothing,
);

/// The id of the base model of a name.
async fn model(house: &House, name: &str) -> String {
    let models = house.data_of(None, "{ baseModels { id name } }", json!({})).await["baseModels"].clone();
    text(&models.as_array().unwrap().iter().find(|model| model["name"] == name).unwrap()["id"])
}

/// Asks for one small picture of a base model; gives its job.
async fn ask(house: &House, person: &Person, model: &str) -> Value {
    let input = json!({ "prompt": "a red fox", "baseModelId": model, "count": 1, "steps": 1, "guidance": 1.0 });
    let fields = "generation { job { id } }";
    house.done(person, "generatePictures", input, fields).await["generation"]["job"]["id"].clone()
}

/// A job as its team sees it.
async fn job(house: &House, person: &Person, id: &Value) -> Value {
    let query = "query ($id: ID!) { job(id: $id) { state attempts waitingFor error } }";
    house.data_of(Some(&person.token), query, json!({ "id": id })).await["job"].clone()
}

async fn ended(house: &House, person: &Person, id: &Value) -> Value {
    eventually("the job has ended", async || {
        let job = job(house, person, id).await;
        (!["QUEUED", "RUNNING"].contains(&job["state"].as_str().unwrap())).then_some(job)
    })
    .await
}

/// The workers that have a base model.
async fn serving(house: &House, model: &str) -> Vec<String> {
    let model = decode(Noun::BaseModel, model).unwrap();
    let running = workers::running(&house.service.house).await.unwrap();
    running.into_iter().filter(|worker| worker.has(model)).map(|worker| worker.name).collect()
}

async fn wait_for_serving(house: &House, model: &str, expected: &[&str]) {
    eventually("the workers say so", async || (serving(house, model).await == expected).then_some(())).await;
}

fn sentence(title: &str) -> Value {
    json!(format!("No worker that is running has the model {title}. Start one that has its folder."))
}

async fn a_job_waits_until_a_worker_has_the_folder_of_its_model(engine: Engine) {
    let house = House::open_with(engine, &["--model-check-seconds", "1"]).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity/sdxl-turbo/model");
    let (folder, away) = (house.data().join("late"), house.data().join("away"));
    assert!(Command::new("cp").arg("-r").args([&fixture, &folder]).status().unwrap().success());
    let models = async |arguments: &[&str]| {
        Ended::of(command(&house.data(), Some(&house.database_url), arguments).output().await.unwrap()).well()
    };
    models(&["add", folder.to_str().unwrap()]).await;
    let late = model(&house, "late").await;
    wait_for_serving(&house, &late, &["server"]).await;
    assert!(models(&["list"]).await.contains("workers that have it: `server`"));

    std::fs::rename(&folder, &away).unwrap();
    wait_for_serving(&house, &late, &[]).await;
    let waiting = ask(&house, &ada, &late).await;
    // It waits alone: what comes after it and can be done is done.
    let starter = ask(&house, &ada, &model(&house, "starter").await).await;
    let done = ended(&house, &ada, &starter).await;
    assert_eq!(done, json!({ "state": "SUCCEEDED", "attempts": 1, "waitingFor": null, "error": null }));
    let seen = job(&house, &ada, &waiting).await;
    assert_eq!(seen, json!({ "state": "QUEUED", "attempts": 0, "waitingFor": sentence("late"), "error": null }));
    let jobs = "{ jobs(first: 5) { edges { node { waitingFor } } } }";
    let of_ada = nodes(&house.data_of(Some(&ada.token), jobs, json!({})).await["jobs"]);
    assert_eq!(of_ada, [json!({ "waitingFor": null }), json!({ "waitingFor": sentence("late") })]);
    assert_eq!(nodes(&house.data_of(Some(&bob.token), jobs, json!({})).await["jobs"]), Vec::<Value>::new());
    assert!(models(&["list"]).await.contains("its folder is missing here, no running worker has it"));

    std::fs::rename(&away, &folder).unwrap();
    let done = ended(&house, &ada, &waiting).await;
    assert_eq!(done, json!({ "state": "SUCCEEDED", "attempts": 1, "waitingFor": null, "error": null }));
    house.close().await;
}

async fn a_worker_that_ended_or_went_silent_serves_nothing(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let starter = model(&house, "starter").await;
    let first = ask(&house, &ada, &starter).await;
    assert_eq!(job(&house, &ada, &first).await["waitingFor"], sentence("Atelier starter"), "nobody works here");
    let process = Process::start(&house, &house.data(), &["worker", "--name", "second"]);
    wait_for_serving(&house, &starter, &["second"]).await;
    assert_eq!(ended(&house, &ada, &first).await["state"], "SUCCEEDED");
    process.end();
    assert_eq!(serving(&house, &starter).await, Vec::<String>::new(), "who ends in order signs off");

    let ctx = &house.service.house;
    let card = Card {
        name: "silent".to_owned(),
        device: "cpu".to_owned(),
        precision: "f32".to_owned(),
        kinds: vec![JobKind::Generate],
        started_at: ctx.now(),
    };
    let id: Uuid = decode(Noun::BaseModel, &starter).unwrap();
    workers::announce(ctx, &card, &[id]).await.unwrap();
    let next = ask(&house, &ada, &starter).await;
    assert_eq!(job(&house, &ada, &next).await["waitingFor"], Value::Null, "it waits for its turn");
    let tx = ctx.db.write().await.unwrap();
    let long_ago = ctx.now() - workers::GONE_AFTER - TimeDelta::seconds(1);
    let silent = worker::Entity::update_many().col_expr(worker::Column::LastSeenAt, Expr::value(long_ago));
    silent.exec(&tx).await.unwrap();
    ctx.commit(tx).await.unwrap();
    assert_eq!(job(&house, &ada, &next).await["waitingFor"], sentence("Atelier starter"));
    assert_eq!(serving(&house, &starter).await, Vec::<String>::new());
    // One that begins under a name that was taken keeps it when the earlier one ends.
    let again = Card { started_at: ctx.now() + TimeDelta::seconds(1), ..card.clone() };
    workers::announce(ctx, &again, &[id]).await.unwrap();
    workers::leave(ctx, &card).await.unwrap();
    assert_eq!(serving(&house, &starter).await, ["silent"]);
    house.close().await;
}

//! Workers die and sleep at the worst moments: nothing is lost, nothing is done or paid for twice.

use std::time::Duration;

use atelier_domain::{
    entities::{asset, job, kinds::JobState, ledger_entry, training_epoch},
    id::{self, Noun},
    ledger,
};
use chrono::TimeDelta;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sea_orm::{ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _};
use serde_json::json;

use crate::{
    house::{Engine, House, Person, on_each_engine},
    process::Process,
    watch::Watch,
};

on_each_engine!(
    killed_workers_lose_and_double_nothing,
    a_worker_that_slept_through_its_lease_writes_nothing,
    a_training_whose_worker_was_killed_ends_as_if_nothing_had_been,
);

/// Short jobs, and how often a worker is killed while they are done.
const JOBS: usize = 200;
const KILLS: usize = 20;

/// A lease that is short enough to run out in a test.
const LEASE_SECONDS: i64 = 5;

/// A worker in a process of its own.
fn worker(house: &House, name: &str) -> Process {
    let lease = LEASE_SECONDS.to_string();
    Process::start(house, &house.data(), &["worker", "--name", name, "--lease-seconds", &lease])
}

async fn house(engine: Engine) -> House {
    House::open_with(engine, &["--worker", "off", "--lease-seconds", &LEASE_SECONDS.to_string()]).await
}

/// Asks for one small picture.
async fn ask_for_picture(house: &House, person: &Person, seed: usize, steps: u32) -> serde_json::Value {
    let input = json!({ "prompt": "a red circle", "seed": seed, "steps": steps, "guidance": 1.0 });
    house.done(person, "generatePictures", input, "generation { id job { id } }").await["generation"].clone()
}

async fn killed_workers_lose_and_double_nothing(engine: Engine) {
    let house = house(engine).await;
    let person = house.person("painter").await;
    let before = house.credits(&person, &person.team).await.0;
    for seed in 0..JOBS {
        ask_for_picture(&house, &person, seed, 1).await;
    }
    let mut random = ChaCha8Rng::seed_from_u64(20);
    let mut running = worker(&house, "worker-0");
    for kill in 1..=KILLS {
        // A worker that has not begun yet is no worker to kill: it must have touched a job.
        let done = count_ended(&house).await;
        while count_ended(&house).await == done && done < JOBS as u64 {
            check_nothing_is_stuck(&house).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
        drop(running);
        running = worker(&house, &format!("worker-{kill}"));
    }
    while count_ended(&house).await < JOBS as u64 {
        check_nothing_is_stuck(&house).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(running);

    let db = house.service.house.db.read();
    let jobs = job::Entity::find().all(db).await.unwrap();
    assert_eq!(jobs.len(), JOBS);
    let failed: Vec<_> = jobs.iter().filter(|job| job.state != JobState::Succeeded).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(asset::Entity::find().count(db).await.unwrap(), JOBS as u64, "one picture a job");
    let again = jobs.iter().filter(|job| job.attempts > 1).count();
    println!("{again} of {JOBS} jobs were begun again after {KILLS} kills");
    assert!(again > 0, "no kill hit a job: the test shows nothing");
    assert_eq!(ledger::audit(db).await.unwrap(), Vec::<String>::new());
    assert_eq!(house.credits(&person, &person.team).await.0, before - JOBS as i64);
    let settled = ledger_entry::Entity::find().filter(ledger_entry::Column::Operation.starts_with("settle:"));
    // Two entries an operation: out of one account and into another.
    assert_eq!(settled.count(db).await.unwrap(), 2 * JOBS as u64);
    house.close().await;
}

/// No job is held for longer than twice its lease without a sign of life.
async fn check_nothing_is_stuck(house: &House) {
    let context = &house.service.house;
    let late = context.now() - TimeDelta::seconds(LEASE_SECONDS);
    let stuck = job::Entity::find()
        .filter(job::Column::State.eq(JobState::Running))
        .filter(job::Column::LeaseExpiresAt.lt(late))
        .all(context.db.read())
        .await
        .unwrap();
    assert!(stuck.is_empty(), "{stuck:?}");
}

async fn count_ended(house: &House) -> u64 {
    let ended = [JobState::Succeeded, JobState::Failed, JobState::Cancelled];
    job::Entity::find().filter(job::Column::State.is_in(ended)).count(house.service.house.db.read()).await.unwrap()
}

async fn a_worker_that_slept_through_its_lease_writes_nothing(engine: Engine) {
    let house = house(engine).await;
    let person = house.person("painter").await;
    let generation = ask_for_picture(&house, &person, 1, 100).await;
    let job = &generation["job"]["id"];
    let sleeper = worker(&house, "sleeper");
    let progress =
        "subscription ($id: ID!) { jobProgress(id: $id) { progress { __typename ... on JobStarted { attempt } } } }";
    let mut watch = Watch::begin(&house, &person.token, progress, json!({ "id": job })).await;
    while watch.next().await.unwrap()["jobProgress"]["progress"]["__typename"] != "JobRendering" {}
    sleeper.signal("-STOP");
    let successor = worker(&house, "successor");
    let rest = watch.all().await;
    let kinds: Vec<_> = rest.iter().map(|event| &event["jobProgress"]["progress"]["__typename"]).collect();
    assert_eq!(kinds.last().unwrap().as_str(), Some("JobSucceeded"), "{kinds:?}");

    let db = house.service.house.db.read();
    let events = "query ($id: ID!) { job(id: $id) { lastSequence attempts state } }";
    let ended = house.data_of(Some(&person.token), events, json!({ "id": job })).await;
    assert_eq!(ended["job"]["attempts"], 2);
    sleeper.signal("-CONT");
    // The sleeper finishes its picture now, and must find that it is not its to hand in: it then takes the next job.
    drop(successor);
    let next = ask_for_picture(&house, &person, 2, 1).await;
    let watch = Watch::begin(&house, &person.token, progress, json!({ "id": next["job"]["id"] })).await;
    watch.all().await;
    let rows = job::Entity::find().all(db).await.unwrap();
    assert!(
        rows.iter().any(|row| row.worker.as_deref() == Some("sleeper") && row.state == JobState::Succeeded),
        "{rows:?}"
    );
    assert!(rows.iter().any(|row| row.worker.as_deref() == Some("successor") && row.attempts == 2), "{rows:?}");
    let after = house.data_of(Some(&person.token), events, json!({ "id": job })).await;
    assert_eq!(after, ended, "the sleeper wrote to a job that was no longer its own");
    assert_eq!(asset::Entity::find().count(db).await.unwrap(), 2);
    assert_eq!(ledger::audit(db).await.unwrap(), Vec::<String>::new());
    house.close().await;
}

/// The SHA-256 of the adapter of every epoch of a run.
async fn adapters(house: &House, run: &serde_json::Value) -> Vec<String> {
    let id = id::decode(Noun::TrainingRun, run["id"].as_str().unwrap()).unwrap();
    let rows = training_epoch::Entity::find()
        .filter(training_epoch::Column::TrainingRunId.eq(id))
        .order_by_asc(training_epoch::Column::Epoch)
        .all(house.service.house.db.read())
        .await
        .unwrap();
    rows.into_iter().map(|row| row.adapter_sha256).collect()
}

async fn a_training_whose_worker_was_killed_ends_as_if_nothing_had_been(engine: Engine) {
    let house = house(engine).await;
    let person = house.person("creator").await;
    let dataset = house.dataset(&person, "Felt and paper", 6).await;
    let input = json!({
        "datasetId": dataset, "triggerWord": "feltpaper", "epochs": 3, "rank": 2, "batchSize": 16, "seed": 7,
        "samplePrompts": ["a house"],
    });
    let start = async || {
        let fields = "trainingRun { id job { id credits } }";
        house.done(&person, "startTraining", input.clone(), fields).await["trainingRun"].clone()
    };
    let run = start().await;
    let before = house.credits(&person, &person.team).await.0;
    let progress =
        "subscription ($id: ID!) { jobProgress(id: $id) { progress { __typename ... on JobTraining { epoch } } } }";
    let mut watch = Watch::begin(&house, &person.token, progress, json!({ "id": run["job"]["id"] })).await;
    let first = worker(&house, "first");
    while watch.next().await.unwrap()["jobProgress"]["progress"]["epoch"] != 2 {}
    drop(first);
    let second = worker(&house, "second");
    let rest = watch.all().await;
    let epochs: Vec<_> = rest.iter().filter_map(|event| event["jobProgress"]["progress"]["epoch"].as_i64()).collect();
    assert_eq!(rest.last().unwrap()["jobProgress"]["progress"]["__typename"], "JobSucceeded");
    drop(second);

    let fields =
        "query ($id: ID!) { trainingRun(id: $id) { finishedEpochs { epoch } job { attempts } version { number } } }";
    let ended = house.data_of(Some(&person.token), fields, json!({ "id": run["id"] })).await["trainingRun"].clone();
    assert_eq!(ended["job"]["attempts"], 2);
    assert_eq!(ended["version"]["number"], 1);
    assert_eq!(ended["finishedEpochs"], json!([{ "epoch": 1 }, { "epoch": 2 }, { "epoch": 3 }]));
    // The second worker began where the first had left: it did not train the first epoch again.
    assert!(!epochs.contains(&1) && epochs.contains(&3), "{epochs:?}");
    assert_eq!(ledger::audit(house.service.house.db.read()).await.unwrap(), Vec::<String>::new());
    // What was set aside when it began is what it cost.
    assert_eq!(house.credits(&person, &person.team).await.0, before);

    // The same training without a kill ends with the same files, to the bit.
    let whole = start().await;
    let third = worker(&house, "third");
    Watch::begin(&house, &person.token, progress, json!({ "id": whole["job"]["id"] })).await.all().await;
    drop(third);
    let (parted, whole) = (adapters(&house, &run).await, adapters(&house, &whole).await);
    assert_eq!((parted.len(), parted), (3, whole));
    house.close().await;
}

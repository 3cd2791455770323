//! Jobs before a worker takes them: what they cost, how they are cancelled and asked for again, and what is refused.

use atelier_domain::ledger;
use serde_json::{Value, json};

use crate::{
    files,
    house::{Engine, House, Person, nodes, on_each_engine, text},
    watch::Watch,
};

on_each_engine!(
    a_cancelled_job_gives_its_credits_back_and_can_be_tried_again,
    a_repeated_call_is_harmless,
    who_cannot_pay_is_told_before_anything_is_queued,
    a_lora_for_another_base_model_is_refused_before_anything_is_queued,
);

const GENERATION: &str = "generation { id seed job { id state credits lastSequence } }";
const TRAINING: &str = "trainingRun { id job { id state credits } lora { id } }";
const PROGRESS: &str = "subscription ($id: ID!, $after: BigInt) { jobProgress(id: $id, after: $after) { \
                        jobId sequence progress { __typename } } }";

fn step(event: &Value) -> (i64, String) {
    let event = &event["jobProgress"];
    (event["sequence"].as_i64().unwrap(), text(&event["progress"]["__typename"]))
}

fn steps(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|(sequence, name)| (*sequence, (*name).to_owned())).collect()
}

async fn number_of(house: &House, person: &Person, list: &str) -> usize {
    let query = format!("{{ {list} {{ edges {{ node {{ id }} }} }} }}");
    let data = house.data_of(Some(&person.token), &query, json!({})).await;
    nodes(data.as_object().unwrap().values().next().unwrap()).len()
}

async fn books_are_clean(house: &House) {
    let wrong = ledger::audit(house.service.house.db.read()).await.unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
}

async fn a_cancelled_job_gives_its_credits_back_and_can_be_tried_again(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let (all, nothing) = house.credits(&ada, &ada.team).await;
    assert_eq!(nothing, 0);
    let wish = json!({ "prompt": "a fox", "count": 3, "seed": 7 });
    let generation = house.done(&ada, "generatePictures", wish, GENERATION).await["generation"].clone();
    let job = generation["job"].clone();
    assert_eq!((&job["state"], &job["credits"], &job["lastSequence"]), (&json!("QUEUED"), &json!(3), &json!(1)));
    assert_eq!(house.credits(&ada, &ada.team).await, (all - 3, 3));

    let id = json!({ "id": job["id"] });
    let mut watch = Watch::begin(&house, &ada.token, PROGRESS, id.clone()).await;
    assert_eq!(step(&watch.next().await.unwrap()), (1, "JobQueued".to_owned()));
    let cancelled = house.done(&ada, "cancelJob", id.clone(), "job { state finishedAt }").await;
    assert_eq!(cancelled["job"]["state"], "CANCELLED");
    let rest: Vec<_> = watch.all().await.iter().map(step).collect();
    assert_eq!(rest, steps(&[(2, "JobCancelled")]), "then the stream is over");
    assert_eq!(house.credits(&ada, &ada.team).await, (all, 0));
    assert_eq!(house.user_error(&ada, "cancelJob", id.clone(), "job { id }").await, "JOB_ENDED");

    // Who was there until the first event hears the second one, and who has heard both hears that it is over.
    for (after, expected) in [
        (json!(0), steps(&[(1, "JobQueued"), (2, "JobCancelled")])),
        (json!(1), steps(&[(2, "JobCancelled")])),
        (json!(2), vec![]),
    ] {
        let variables = json!({ "id": job["id"], "after": after });
        let events = Watch::begin(&house, &ada.token, PROGRESS, variables).await.all().await;
        assert_eq!(events.iter().map(step).collect::<Vec<_>>(), expected, "after {after}");
    }

    let again = house.done(&ada, "retryJob", id.clone(), "job { state lastSequence error }").await;
    assert_eq!(again["job"], json!({ "state": "QUEUED", "lastSequence": 3, "error": null }));
    assert_eq!(house.credits(&ada, &ada.team).await, (all - 3, 3));
    assert_eq!(house.user_error(&ada, "retryJob", id.clone(), "job { id }").await, "JOB_NOT_FAILED");
    house.done(&ada, "cancelJob", id, "job { id }").await;
    let entries = "query ($id: ID!) { ledgerEntries(teamId: $id, first: 10) { edges { node { amount job { id } } } } }";
    let entries = house.data_of(Some(&ada.token), entries, json!({ "id": ada.team })).await;
    let amounts: Vec<_> =
        nodes(&entries["ledgerEntries"]).iter().map(|entry| entry["amount"].as_i64().unwrap()).collect();
    assert_eq!(amounts, [3, -3, 3, -3, all], "every booking stays");
    books_are_clean(&house).await;
    house.close().await;
}

async fn a_repeated_call_is_harmless(engine: Engine) {
    let house = House::open(engine).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let dataset = house.dataset(&ada, "Foxes", 4).await;
    let (all, _) = house.credits(&ada, &ada.team).await;
    let wish = json!({ "prompt": "a fox", "count": 2, "idempotencyKey": "once" });
    let mut other = wish.clone();
    other["count"] = json!(3);
    let first = house.done(&ada, "generatePictures", wish.clone(), GENERATION).await;
    assert_eq!(house.done(&ada, "generatePictures", wish.clone(), GENERATION).await, first, "even its random seed");
    assert_eq!(house.refused(&ada, "generatePictures", other).await, "CONFLICT");
    assert_eq!(house.credits(&ada, &ada.team).await, (all - 2, 2), "paid once");
    assert_ne!(house.done(&bob, "generatePictures", wish.clone(), GENERATION).await, first, "a key is one's own");

    let training = json!({ "datasetId": dataset, "triggerWord": "inkfox", "epochs": 2, "idempotencyKey": "train" });
    let mut other = training.clone();
    other["triggerWord"] = json!("foxink");
    let begun = house.done(&ada, "startTraining", training.clone(), TRAINING).await;
    assert_eq!(house.done(&ada, "startTraining", training.clone(), TRAINING).await, begun);
    assert_eq!(house.refused(&ada, "startTraining", other).await, "CONFLICT");
    let mut reused = training;
    reused["idempotencyKey"] = json!("once");
    assert_eq!(house.refused(&ada, "startTraining", reused.clone()).await, "CONFLICT", "nor for something else");
    reused["idempotencyKey"] = json!(" ");
    assert_eq!(house.user_error(&ada, "startTraining", reused, TRAINING).await, "REQUIRED");
    assert_eq!(house.credits(&ada, &ada.team).await, (all - 22, 22));
    assert_eq!(number_of(&house, &ada, "jobs(first: 10)").await, 2);

    // Two at the same moment are one as well.
    let wish = json!({ "prompt": "a hare", "count": 1, "idempotencyKey": "at once" });
    let ask = || house.done(&ada, "generatePictures", wish.clone(), "generation { id }");
    let (one, two) = tokio::join!(ask(), ask());
    assert_eq!(one, two);
    assert_eq!(house.credits(&ada, &ada.team).await, (all - 23, 23));
    books_are_clean(&house).await;
    house.close().await;
}

async fn who_cannot_pay_is_told_before_anything_is_queued(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let dataset = house.dataset(&ada, "Foxes", 3).await;
    let mut input = json!({ "datasetId": dataset, "triggerWord": "inkfox", "epochs": 200 });
    assert_eq!(house.user_error(&ada, "startTraining", input.clone(), TRAINING).await, "TOO_FEW_PICTURES");
    let file = std::fs::read(&crate::house::pictures()[3]).unwrap();
    house.upload(&ada, "DATASET_PICTURE", Some(&dataset), "fourth.jpg", &file).await;
    for (name, value) in [
        ("epochs", json!(201)),
        ("epochs", json!(0)),
        ("rank", json!(129)),
        ("learningRate", json!(1)),
        ("seed", json!(-1)),
    ] {
        let mut wrong = input.clone();
        wrong[name] = value;
        assert_eq!(house.user_error(&ada, "startTraining", wrong, TRAINING).await, "OUT_OF_RANGE", "{name}");
    }

    let (mut available, _) = house.credits(&ada, &ada.team).await;
    let price = 2_000;
    while available >= price {
        house.done(&ada, "startTraining", input.clone(), TRAINING).await;
        available -= price;
        assert_eq!(house.credits(&ada, &ada.team).await.0, available);
    }
    input["epochs"] = json!(1 + available / 10);
    let lists = ["jobs(first: 50)", "trainingRuns(first: 50)", "loras(filter: { state: DRAFT }, first: 50)"];
    let mut before = Vec::new();
    for list in lists {
        before.push(number_of(&house, &ada, list).await);
    }
    let payload = house.call(&ada, "startTraining", input, TRAINING).await;
    assert_eq!(
        (&payload["trainingRun"], &payload["userErrors"][0]["code"]),
        (&Value::Null, &json!("NOT_ENOUGH_CREDITS"))
    );
    let message = text(&payload["userErrors"][0]["message"]);
    assert!(
        message.contains(&format!("has {available}")) && message.contains(&format!("needs {}", 10 + available)),
        "{message}"
    );
    for (list, before) in lists.into_iter().zip(before) {
        assert_eq!(number_of(&house, &ada, list).await, before, "{list}: a refusal leaves nothing");
    }
    books_are_clean(&house).await;
    house.close().await;
}

async fn a_lora_for_another_base_model_is_refused_before_anything_is_queued(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let widths = house.starter_widths();
    let foreign = house.lora_from_file(&ada, None, "Foreign", &files::foreign_lora("bfl")).await;
    let own = house.lora_from_file(&ada, None, "Own", &files::lora(widths, 1)).await;
    let model = house.data_of(None, "{ baseModels { id name isDefault } }", json!({})).await["baseModels"][0].clone();
    assert_eq!(model["isDefault"], true);
    let jobs = number_of(&house, &ada, "jobs(first: 10)").await;
    let (all, _) = house.credits(&ada, &ada.team).await;

    // Together with one that fits, and with the model named or not.
    for base_model in [Value::Null, model["id"].clone()] {
        let loras = json!([{ "versionId": own.version }, { "versionId": foreign.version, "strength": 0.5 }]);
        let wish = json!({ "prompt": "a fox", "baseModelId": base_model, "loras": loras });
        let payload = house.call(&ada, "generatePictures", wish, GENERATION).await;
        let error = &payload["userErrors"][0];
        assert_eq!((&payload["generation"], &error["code"]), (&Value::Null, &json!("LORA_MISMATCH")));
        let message = text(&error["message"]);
        assert!(message.contains("32") && message.contains(&widths.0.to_string()), "both are named: {message}");
    }
    let again = house.upload(&ada, "LORA_FILE", None, "foreign.safetensors", &files::foreign_lora("peft")).await;
    let import = json!({ "uploadId": again, "baseModelId": model["id"] });
    assert_eq!(house.user_error(&ada, "importLora", import, "version { id }").await, "BASE_MODEL_MISMATCH");
    assert_eq!(number_of(&house, &ada, "jobs(first: 10)").await, jobs);
    assert_eq!(number_of(&house, &ada, "generations(first: 10)").await, 0);
    assert_eq!(house.credits(&ada, &ada.team).await, (all, 0));

    for (wish, code) in [
        (json!({ "prompt": "p".repeat(4_001) }), "TOO_LONG"),
        (json!({ "prompt": "a fox", "count": 17 }), "OUT_OF_RANGE"),
        (json!({ "prompt": "a fox", "width": 65 }), "NOT_A_MULTIPLE"),
        (json!({ "prompt": "a fox", "height": 4_096 }), "OUT_OF_RANGE"),
        (json!({ "prompt": "a fox", "loras": [{ "versionId": own.version, "strength": 9.0 }] }), "OUT_OF_RANGE"),
        (json!({ "prompt": "a fox", "loras": vec![json!({ "versionId": own.version }); 2] }), "REPEATED_LORA"),
        (json!({ "prompt": "a fox", "loras": vec![json!({ "versionId": own.version }); 9] }), "TOO_MANY"),
    ] {
        assert_eq!(house.user_error(&ada, "generatePictures", wish, GENERATION).await, code);
    }
    let wish = json!({ "prompt": "a fox", "loras": [{ "versionId": own.version }] });
    let payload =
        house.done(&ada, "generatePictures", wish, "generation { baseModel { id } loras { strength } }").await;
    assert_eq!(payload["generation"], json!({ "baseModel": { "id": model["id"] }, "loras": [{ "strength": 1.0 }] }));
    house.close().await;
}

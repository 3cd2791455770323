//! The main job: a LoRA is trained, watched, published, found, rated, used; with the starter model itself.

use atelier_worker::inference::{Picture, Recipe, image::read_png_text};
use serde_json::{Value, json};

use crate::{
    files,
    house::{Engine, House, Person, on_each_engine},
    watch::Watch,
};

on_each_engine!(a_lora_is_trained_published_found_and_used, a_training_is_cancelled_and_tried_again);

/// What a subscription to a job's progress asks for.
const PROGRESS: &str = "subscription ($id: ID!, $after: BigInt) {
  jobProgress(id: $id, after: $after) {
    sequence
    progress {
      __typename
      ... on JobTraining { epoch epochs step steps loss }
      ... on JobRendering { step steps preview }
      ... on JobFailed { reason }
    }
  }
}";

/// Starts a training of two short epochs.
async fn start_training(house: &House, creator: &Person, dataset: &str) -> Value {
    let input = json!({
        "datasetId": dataset, "triggerWord": "feltpaper", "name": "Felt and paper", "epochs": 2, "rank": 4, "batchSize": 16, "seed": 7,
        "samplePrompts": ["a house beside a tree"],
    });
    let fields = "trainingRun { id job { id credits } lora { id } }";
    house.done(creator, "startTraining", input, fields).await["trainingRun"].clone()
}

/// Every event of a job until it has ended.
async fn events(house: &House, person: &Person, job: &Value) -> Vec<Value> {
    let watch = Watch::begin(house, &person.token, PROGRESS, json!({ "id": job })).await;
    watch.all().await.into_iter().map(|event| event["jobProgress"].clone()).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["progress"]["__typename"].as_str().unwrap()).collect()
}

fn sequence(event: &Value) -> i64 {
    event["sequence"].as_i64().unwrap()
}

async fn a_lora_is_trained_published_found_and_used(engine: Engine) {
    let house = House::open_with(engine, &[]).await;
    let creator = house.person("creator").await;
    let follower = house.person("follower").await;
    house.done(&follower, "followUser", json!({ "userId": creator.id }), "user { id }").await;
    let told = "subscription { notificationAdded(after: 0) { kind message lora { id } } }";
    let mut notifications = Watch::begin(&house, &follower.token, told, json!({})).await;

    let dataset = house.dataset(&creator, "Felt and paper", 12).await;
    let run = start_training(&house, &creator, &dataset).await;
    let (lora, version) = check_training(&house, &creator, &run).await;
    check_previews(&house, &creator, &version).await;

    house.done(&creator, "publishLora", json!({ "id": lora, "license": "CC-BY-4.0" }), "lora { state }").await;
    check_header(&house, &follower, &version).await;
    let event = notifications.next().await.unwrap()["notificationAdded"].clone();
    assert_eq!((event["kind"].as_str(), &event["lora"]["id"]), (Some("LORA_PUBLISHED"), &lora), "{event}");
    check_search(&house, &follower, &lora).await;
    let input = json!({ "loraId": lora, "stars": 5, "review": "Soft and warm." });
    house.done(&follower, "rateLora", input, "rating { stars }").await;
    house.done(&follower, "addComment", json!({ "loraId": lora, "body": "Lovely." }), "comment { id }").await;
    let page = "query ($id: ID!) { lora(id: $id) { ratingAverage ratingCount } comments(loraId: $id, first: 5) { edges { node { body } } } }";
    let page = house.data_of(Some(&follower.token), page, json!({ "id": lora })).await;
    assert_eq!(page["lora"]["ratingCount"], 1);
    assert_eq!(page["comments"]["edges"][0]["node"]["body"], "Lovely.");
    check_pictures(&house, &follower, &version).await;
    check_reproduction(&house, &follower, &version).await;
    house.close().await;
}

/// Watches the training, from the beginning and from the middle; gives the LoRA and its version.
async fn check_training(house: &House, creator: &Person, run: &Value) -> (Value, Value) {
    let seen = events(house, creator, &run["job"]["id"]).await;
    let kinds = kinds(&seen);
    for kind in
        ["JobQueued", "JobStarted", "JobCachingLatents", "JobTraining", "JobEpochFinished", "JobSampling", "JobSaving"]
    {
        assert!(kinds.contains(&kind), "no {kind} in {kinds:?}");
    }
    assert_eq!(kinds.last(), Some(&"JobSucceeded"));
    let numbers: Vec<i64> = seen.iter().map(sequence).collect();
    assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>(), "numbers grow without gaps");
    let losses: Vec<f64> = seen.iter().filter_map(|event| event["progress"]["loss"].as_f64()).collect();
    assert!(!losses.is_empty() && losses.iter().all(|loss| loss.is_finite() && *loss > 0.0), "{losses:?}");
    // Whoever comes back with a number sees what follows it and nothing else.
    let middle = numbers[numbers.len() / 2];
    let variables = json!({ "id": run["job"]["id"], "after": middle });
    let rest = Watch::begin(house, &creator.token, PROGRESS, variables).await.all().await;
    assert_eq!(
        rest.iter().map(|event| sequence(&event["jobProgress"])).collect::<Vec<_>>(),
        numbers[numbers.len() / 2 + 1..]
    );

    let fields = "query ($id: ID!) { trainingRun(id: $id) {
        steps bestEpoch validationLossBase validationLoss version { id rank triggerWords matchedShare }
        finishedEpochs { id epoch isBest validationLoss sampleUrls } lora { id state } } }";
    let done = house.data_of(Some(&creator.token), fields, json!({ "id": run["id"] })).await["trainingRun"].clone();
    assert_eq!(done["version"]["rank"], 4);
    assert_eq!(done["version"]["matchedShare"], 1.0);
    assert_eq!(done["version"]["triggerWords"], json!(["feltpaper"]));
    assert_eq!(done["lora"]["state"], "DRAFT");
    let epochs = done["finishedEpochs"].as_array().unwrap();
    assert_eq!(epochs.len(), 2);
    for epoch in epochs {
        let sample = house.fetch(epoch["sampleUrls"][0].as_str().unwrap()).await;
        assert_eq!(Picture::decode(&sample).unwrap().width, 64);
    }
    let lowest = epochs.iter().map(|epoch| epoch["validationLoss"].as_f64().unwrap()).fold(f64::MAX, f64::min);
    assert!((done["validationLoss"].as_f64().unwrap() - lowest).abs() < 1e-9, "the best epoch is the version: {done}");
    let other = epochs.iter().find(|epoch| epoch["isBest"] == false).unwrap();
    let chosen = json!({ "epochId": other["id"], "changeNote": "The other one." });
    let fields = "trainingRun { chosenEpoch version { id number } }";
    let again = house.done(creator, "chooseEpoch", chosen.clone(), fields).await["trainingRun"].clone();
    assert_eq!((&again["chosenEpoch"], &again["version"]["number"]), (&other["epoch"], &json!(2)));
    assert_eq!(
        house.done(creator, "chooseEpoch", chosen, fields).await["trainingRun"],
        again,
        "chosen twice is chosen once"
    );
    (done["lora"]["id"].clone(), again["version"]["id"].clone())
}

/// Waits until the previews of a version are there, and looks at them.
async fn check_previews(house: &House, creator: &Person, version: &Value) {
    let query = "query ($id: ID!) { loraVersion(id: $id) { previews { url prompt seed strength } } }";
    for _ in 0..1_200 {
        let found = house.data_of(Some(&creator.token), query, json!({ "id": version })).await;
        let previews = found["loraVersion"]["previews"].as_array().unwrap().clone();
        if !previews.is_empty() {
            for preview in &previews {
                let bytes = house.fetch(preview["url"].as_str().unwrap()).await;
                assert_eq!(Picture::decode(&bytes).unwrap().height, 64);
            }
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("no previews were rendered");
}

/// A file in another layout says what the card says, with the first picture of the gallery; the original stays as it was made.
async fn check_header(house: &House, person: &Person, version: &Value) {
    for (layout, says) in [("BFL", false), ("KOHYA", true)] {
        let input = json!({ "versionId": version, "layout": layout });
        let file = house.done(person, "downloadLora", input, "file { url }").await["file"].clone();
        let header = files::header(&house.fetch(file["url"].as_str().unwrap()).await);
        let metadata = &header["__metadata__"];
        assert_eq!(metadata["modelspec.license"] == "CC-BY-4.0", says, "{layout}");
        let thumbnail = metadata["modelspec.thumbnail"].as_str();
        assert_eq!(thumbnail.is_some_and(|url| url.starts_with("data:image/webp;base64,")), says, "{layout}");
    }
}

/// Waits until words find the LoRA.
async fn check_search(house: &House, person: &Person, lora: &Value) {
    let query =
        "query ($words: String!) { loras(search: $words, first: 5) { edges { node { id previews { url } } } } }";
    for _ in 0..400 {
        let found = house.data_of(Some(&person.token), query, json!({ "words": "flet and paper" })).await;
        if found["loras"]["edges"][0]["node"]["id"] == *lora {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the LoRA is not found");
}

/// Generates with the LoRA and without, from the same seeds.
async fn check_pictures(house: &House, person: &Person, version: &Value) {
    let mut rows = Vec::new();
    for loras in [json!([]), json!([{ "versionId": version, "strength": 1.0 }])] {
        let input = json!({
            "prompt": "feltpaper, a house beside a tree", "negativePrompt": "night", "loras": loras, "seed": 11,
            "steps": 4, "count": 2, "guidance": 3.0,
        });
        let fields = "generation { id job { id } }";
        let generation = house.done(person, "generatePictures", input, fields).await["generation"].clone();
        let seen = events(house, person, &generation["job"]["id"]).await;
        assert_eq!(kinds(&seen).last(), Some(&"JobSucceeded"), "{seen:?}");
        assert!(
            seen.iter().any(|event| event["progress"]["preview"]
                .as_str()
                .is_some_and(|uri| uri.starts_with("data:image/webp")))
        );
        let query = "query ($id: ID!) { generation(id: $id) { assets { url seed } } }";
        let made = house.data_of(Some(&person.token), query, json!({ "id": generation["id"] })).await;
        let assets = made["generation"]["assets"].as_array().unwrap().clone();
        assert_eq!(assets.iter().map(|asset| asset["seed"].as_i64().unwrap()).collect::<Vec<_>>(), [11, 12]);
        let bytes = house.fetch(assets[0]["url"].as_str().unwrap()).await;
        let (_, recipe) = Recipe::from_text_chunks(&read_png_text(&bytes).unwrap()).unwrap();
        assert_eq!(
            (recipe.seed, recipe.steps, recipe.loras.len()),
            (Some(11), Some(4), loras.as_array().unwrap().len())
        );
        rows.push(Picture::decode(&bytes).unwrap());
    }
    assert_ne!(rows[0], rows[1], "the LoRA changes the picture");
}

/// Generates one picture and gives it.
async fn one_picture(house: &House, person: &Person, operation: &str, input: Value) -> (Value, Picture) {
    let fields = "generation { id job { id } }";
    let generation = house.done(person, operation, input, fields).await["generation"].clone();
    let seen = events(house, person, &generation["job"]["id"]).await;
    assert_eq!(kinds(&seen).last(), Some(&"JobSucceeded"), "{seen:?}");
    let query = "query ($id: ID!) { generation(id: $id) { assets { id url } } }";
    let made = house.data_of(Some(&person.token), query, json!({ "id": generation["id"] })).await;
    let assets = made["generation"]["assets"].as_array().unwrap().clone();
    let bytes = house.fetch(assets.last().unwrap()["url"].as_str().unwrap()).await;
    (assets.last().unwrap()["id"].clone(), Picture::decode(&bytes).unwrap())
}

/// The largest difference of two pictures of one size, of 255.
fn difference(one: &Picture, other: &Picture) -> u8 {
    one.rgb.iter().zip(&other.rgb).map(|(one, other)| one.abs_diff(*other)).max().unwrap()
}

/// A picture of several, and one of the gallery, become the same picture again; so does one with a merged LoRA, nearly.
async fn check_reproduction(house: &House, person: &Person, version: &Value) {
    let wish = |count: u32, merge: bool| {
        json!({
            "prompt": "feltpaper, a house beside a tree", "loras": [{ "versionId": version, "strength": 0.8 }], "seed": 41,
            "steps": 3, "count": count, "guidance": 3.0, "mergeLoras": merge,
        })
    };
    let (asset, original) = one_picture(house, person, "generatePictures", wish(3, false)).await;
    let (_, again) = one_picture(house, person, "reproduceAsset", json!({ "id": asset })).await;
    // Sums of more rows at a time may be rounded otherwise.
    assert!(difference(&again, &original) <= 1, "{} apart", difference(&again, &original));
    let (_, apart) = one_picture(house, person, "generatePictures", wish(1, false)).await;
    let (_, merged) = one_picture(house, person, "generatePictures", wish(1, true)).await;
    assert!(difference(&apart, &merged) <= 2 && difference(&apart, &original) > 20);
    for (prompt, expected) in
        [("a tree", "feltpaper a tree"), ("a FeltPaper tree", "a FeltPaper tree"), ("", "feltpaper")]
    {
        let wish = json!({ "prompt": prompt, "loras": [{ "versionId": version }], "insertTriggerWords": true });
        let made = house.done(person, "generatePictures", wish, "generation { prompt job { id } }").await;
        assert_eq!(made["generation"]["prompt"], expected);
        let job = json!({ "id": made["generation"]["job"]["id"] });
        house.done(person, "cancelJob", job, "job { state }").await;
    }
    let query = "query ($id: ID!) { node(id: $id) { ... on LoraVersion { previews { id url } } } }";
    let version = house.data_of(Some(&person.token), query, json!({ "id": version })).await;
    let preview = &version["node"]["previews"][1];
    let shown = Picture::decode(&house.fetch(preview["url"].as_str().unwrap()).await).unwrap();
    let (_, again) = one_picture(house, person, "reproduceAsset", json!({ "id": preview["id"] })).await;
    assert!(again == shown, "{} apart", difference(&again, &shown));
}

async fn a_training_is_cancelled_and_tried_again(engine: Engine) {
    let house = House::open_with(engine, &[]).await;
    let creator = house.person("creator").await;
    let dataset = house.dataset(&creator, "Felt and paper", 5).await;
    let before = house.credits(&creator, &creator.team).await.0;
    let run = start_training(&house, &creator, &dataset).await;
    let job = &run["job"]["id"];
    let mut watch = Watch::begin(&house, &creator.token, PROGRESS, json!({ "id": job })).await;
    while watch.next().await.unwrap()["jobProgress"]["progress"]["__typename"] != "JobTraining" {}
    house.done(&creator, "cancelJob", json!({ "id": job }), "job { isCancelling }").await;
    let rest = watch.all().await;
    assert_eq!(rest.last().unwrap()["jobProgress"]["progress"]["__typename"], "JobCancelled");
    assert_eq!(house.credits(&creator, &creator.team).await.0, before, "a cancelled training costs nothing");

    house.done(&creator, "retryJob", json!({ "id": job }), "job { state }").await;
    let seen = events(&house, &creator, job).await;
    assert_eq!(kinds(&seen).last(), Some(&"JobSucceeded"));
    let price: i64 = run["job"]["credits"].as_i64().unwrap();
    assert_eq!(house.credits(&creator, &creator.team).await.0, before - price);
    house.close().await;
}

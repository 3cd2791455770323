//! One of everything that a team can own, and of what others say of it.

use std::collections::HashMap;

use atelier_domain::{
    blob,
    entities::{asset, preview, training_epoch},
    id::{self, Noun},
};
use sea_orm::{ActiveModelTrait as _, IntoActiveModel as _};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    files,
    house::{House, Person, eventually, nodes, pictures, text},
};

/// The ids of one thing of each noun.
pub struct Everything {
    ids: HashMap<Noun, String>,
    /// SHA-256 of the LoRA's file.
    pub hash: String,
    /// A version that is not published, of a LoRA that is.
    pub hidden_version: String,
    /// That LoRA.
    pub shown_lora: String,
}

impl Everything {
    /// The id of the thing of a noun.
    pub fn id(&self, noun: Noun) -> &str {
        self.ids.get(&noun).unwrap_or_else(|| panic!("there is no {} among everything", noun.name()))
    }

    fn put(&mut self, noun: Noun, id: &Value) {
        self.ids.insert(noun, text(id));
    }

    fn uuid(&self, noun: Noun) -> Uuid {
        id::decode(noun, self.id(noun)).unwrap()
    }
}

/// Makes a team of `owner`'s that has one of everything. `guest` is somebody else, who speaks of what was published
/// for a while.
pub async fn furnish(house: &House, owner: &Person, guest: &Person) -> Everything {
    let mut all = Everything {
        ids: HashMap::new(),
        hash: String::new(),
        hidden_version: String::new(),
        shown_lora: String::new(),
    };
    let input = json!({ "name": "Inks", "slug": "inks" });
    all.put(Noun::Team, &house.done(owner, "createTeam", input, "team { id }").await["team"]["id"]);
    all.put(Noun::User, &json!(owner.id));
    dataset(house, owner, &mut all).await;
    lora(house, owner, guest, &mut all).await;
    work(house, owner, &mut all).await;
    people(house, owner, guest, &mut all).await;
    what_workers_write(house, &mut all).await;
    all
}

async fn dataset(house: &House, owner: &Person, all: &mut Everything) {
    let input = json!({ "name": "Foxes", "teamId": all.id(Noun::Team) });
    let dataset = house.done(owner, "createDataset", input, "dataset { id }").await["dataset"]["id"].clone();
    all.put(Noun::Dataset, &dataset);
    for file in pictures().iter().take(4) {
        let bytes = std::fs::read(file).unwrap();
        let upload = house.upload(owner, "DATASET_PICTURE", dataset.as_str(), "fox.jpg", &bytes).await;
        all.put(Noun::Upload, &json!(upload));
    }
    let query = "query ($id: ID!) { dataset(id: $id) { pictures(first: 1) { edges { node { id } } } } }";
    let data = house.data_of(Some(&owner.token), query, json!({ "id": dataset })).await;
    all.put(Noun::DatasetPicture, &nodes(&data["dataset"]["pictures"])[0]["id"]);
}

/// A LoRA that was published, spoken of and taken back; and one that is shown, with a version that is not.
async fn lora(house: &House, owner: &Person, guest: &Person, all: &mut Everything) {
    let team = all.id(Noun::Team).to_owned();
    let widths = house.starter_widths();
    let lora = house.lora_from_file(owner, Some(&team), "Ink", &files::lora(widths, 1)).await;
    all.put(Noun::Lora, &json!(lora.id));
    all.put(Noun::LoraVersion, &json!(lora.version));
    let publish = json!({ "id": lora.id, "license": "CC0-1.0" });
    let fields = "lora { latestVersion { hashes { sha256 } baseModel { id } } }";
    let published = house.done(owner, "publishLora", publish, fields).await["lora"]["latestVersion"].clone();
    all.hash = text(&published["hashes"]["sha256"]);
    all.put(Noun::BaseModel, &published["baseModel"]["id"]);
    let rating = json!({ "loraId": lora.id, "stars": 4 });
    all.put(Noun::Rating, &house.done(guest, "rateLora", rating, "rating { id }").await["rating"]["id"]);
    let input = json!({ "name": "Inks", "teamId": team });
    let collection = house.done(owner, "createCollection", input, "collection { id }").await["collection"].clone();
    all.put(Noun::Collection, &collection["id"]);
    let entry = json!({ "collectionId": collection["id"], "loraId": lora.id });
    house.done(owner, "addToCollection", entry, "collection { id }").await;
    let comment = json!({ "loraId": lora.id, "body": "Fine lines." });
    all.put(Noun::Comment, &house.done(guest, "addComment", comment, "comment { id }").await["comment"]["id"]);
    house.done(owner, "unpublishLora", json!({ "id": lora.id }), "lora { id }").await;

    let shown = house.lora_from_file(owner, Some(&team), "Wash", &files::lora(widths, 2)).await;
    let publish = json!({ "id": shown.id, "license": "CC0-1.0" });
    house.done(owner, "publishLora", publish, "lora { id }").await;
    let file = files::lora(widths, 3);
    let announced =
        json!({ "purpose": "LORA_FILE", "fileName": "w.safetensors", "size": file.len(), "targetId": shown.id });
    let next = json!({ "uploadId": house.send_file(owner, announced, &file).await });
    let next = house.done(owner, "importLora", next, "version { id number }").await["version"].clone();
    assert_eq!(next["number"], 2);
    (all.shown_lora, all.hidden_version) = (shown.id, text(&next["id"]));
}

async fn work(house: &House, owner: &Person, all: &mut Everything) {
    let training = json!({
        "datasetId": all.id(Noun::Dataset), "triggerWord": "inkfox", "loraId": all.id(Noun::Lora),
    });
    let run = house.done(owner, "startTraining", training, "trainingRun { id }").await;
    all.put(Noun::TrainingRun, &run["trainingRun"]["id"]);
    let wish = json!({
        "prompt": "a fox", "teamId": all.id(Noun::Team), "loras": [{ "versionId": all.id(Noun::LoraVersion) }],
    });
    let made = house.done(owner, "generatePictures", wish, "generation { id job { id } }").await["generation"].clone();
    all.put(Noun::Generation, &made["id"]);
    all.put(Noun::Job, &made["job"]["id"]);
}

async fn people(house: &House, owner: &Person, guest: &Person, all: &mut Everything) {
    let invitation = json!({ "teamId": all.id(Noun::Team), "email": "new@atelier.test", "role": "VIEWER" });
    let invitation = house.done(owner, "inviteMember", invitation, "invitation { id }").await;
    all.put(Noun::Invitation, &invitation["invitation"]["id"]);
    house.done(guest, "followUser", json!({ "userId": owner.id }), "user { id }").await;
    let report = json!({ "subjectId": guest.id, "reason": "SPAM" });
    all.put(Noun::Report, &house.done(owner, "reportContent", report, "report { id }").await["report"]["id"]);
    let query = "query ($team: ID!, $user: ID!) { team(id: $team) { members(first: 1) { edges { node { id } } } } \
                 ledgerEntries(teamId: $team, first: 1) { edges { node { id } } } \
                 auditEntries(teamId: $team, first: 1) { edges { node { id } } } \
                 user(id: $user) { followers(first: 1) { edges { node { id } } } } }";
    let variables = json!({ "team": all.id(Noun::Team), "user": owner.id });
    let data = house.data_of(Some(&owner.token), query, variables).await;
    for (noun, list) in [
        (Noun::Membership, &data["team"]["members"]),
        (Noun::LedgerEntry, &data["ledgerEntries"]),
        (Noun::AuditEntry, &data["auditEntries"]),
        (Noun::Follow, &data["user"]["followers"]),
    ] {
        all.put(noun, &nodes(list)[0]["id"]);
    }
    let notification = eventually("a notification", async || {
        let query = "{ notifications(first: 1) { edges { node { id } } } }";
        let data = house.data_of(Some(&owner.token), query, json!({})).await;
        nodes(&data["notifications"]).first().map(|one| one["id"].clone())
    })
    .await;
    all.put(Noun::Notification, &notification);
}

/// What only a worker makes, written as it would.
async fn what_workers_write(house: &House, all: &mut Everything) {
    let ctx = &house.service.house;
    let (team, now) = (all.uuid(Noun::Team), ctx.now());
    let picture = ctx.blobs.put(std::fs::read(&pictures()[0]).unwrap(), "image/jpeg").await.unwrap();
    let asset = asset::Model {
        id: ctx.new_id(),
        team_id: team,
        generation_id: all.uuid(Noun::Generation),
        created_by: all.uuid(Noun::User),
        blob_sha256: picture.sha256.clone(),
        thumbnail_sha256: picture.sha256.clone(),
        blurhash: String::new(),
        width: 64,
        height: 64,
        seed: 7,
        position: 0,
        recipe: json!({}),
        created_at: now,
        deleted_at: None,
    };
    let preview = preview::Model {
        id: ctx.new_id(),
        lora_version_id: all.uuid(Noun::LoraVersion),
        team_id: team,
        blob_sha256: picture.sha256.clone(),
        thumbnail_sha256: picture.sha256.clone(),
        blurhash: String::new(),
        width: 64,
        height: 64,
        prompt: "a fox".to_owned(),
        seed: 7,
        strength: 1.0,
        steps: 4,
        guidance: 1.0,
        base_model_id: all.uuid(Noun::BaseModel),
        look: None,
        describer: None,
        position: 0,
        created_at: now,
        hidden_at: None,
    };
    let epoch = training_epoch::Model {
        id: ctx.new_id(),
        training_run_id: all.uuid(Noun::TrainingRun),
        team_id: team,
        epoch: 1,
        training_loss: 0.5,
        validation_loss: None,
        adapter_sha256: all.hash.clone(),
        sample_sha256s: json!([]),
        created_at: now,
    };
    for (noun, id) in [(Noun::Asset, asset.id), (Noun::Preview, preview.id), (Noun::TrainingEpoch, epoch.id)] {
        all.ids.insert(noun, id::encode(noun, id));
    }
    let tx = ctx.db.write().await.unwrap();
    blob::record(&tx, ctx, &picture).await.unwrap();
    asset.into_active_model().reset_all().insert(&tx).await.unwrap();
    preview.into_active_model().reset_all().insert(&tx).await.unwrap();
    epoch.into_active_model().reset_all().insert(&tx).await.unwrap();
    ctx.commit(tx).await.unwrap();
}

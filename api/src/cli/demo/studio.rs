//! What the creator does: fill a data set, train, look at what came of it, publish.

use std::time::Instant;

use anyhow::{Context as _, bail};
use atelier_worker::inference::Picture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    client::{Identified, Link, Page},
    person::Person,
    pictures::{Material, SourcePicture},
    report::Album,
    stage::{self, Stage},
    watch,
};

/// A word that no caption holds; in few pieces, for a prompt has room for few.
pub const TRIGGER_WORD: &str = "demostyle";

/// Licence of the weights; a LoRA without one is not published.
const LICENSE: &str = "Apache-2.0";

/// So many captions go into one request, which may have 256 KB.
const CAPTIONS_AT_ONCE: usize = 50;

/// A data set that was filled.
pub struct Dataset {
    /// Its id.
    pub id: String,
    /// Those pictures of the material that the service took, in their order.
    pub pictures: Vec<SourcePicture>,
}

/// Makes a data set, sends the pictures, writes their captions, and shows what the service finds wrong with it.
///
/// # Errors
/// The service's own sentences.
pub async fn fill_dataset(creator: &mut Person, material: &Material, stage: &Stage) -> anyhow::Result<Dataset> {
    let input = json!({ "name": material.name, "description": material.description });
    let dataset: Identified = creator.change("createDataset", "dataset { id }", input).await?;
    let bar = stage.bar("uploading", material.pictures.len() as u64);
    let mut pictures = Vec::with_capacity(material.pictures.len());
    for picture in &material.pictures {
        let was_taken = upload(creator, &dataset.id, picture).await;
        if was_taken.with_context(|| format!("`{}` could not be uploaded.", picture.file_name))? {
            pictures.push(picture.clone());
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let dataset = Dataset { id: dataset.id, pictures };
    write_captions(creator, &dataset).await?;
    show_findings(creator, &dataset.id, stage).await?;
    Ok(dataset)
}

#[derive(Deserialize)]
struct Announced {
    id: String,
    url: String,
}

/// Sends one picture. Whether the service could read it; why not is among the data set's findings.
async fn upload(creator: &mut Person, dataset: &str, picture: &SourcePicture) -> anyhow::Result<bool> {
    let reading = picture.clone();
    let bytes = tokio::task::spawn_blocking(move || reading.read()).await??;
    let input = json!({
        "purpose": "DATASET_PICTURE", "fileName": picture.file_name, "size": bytes.len(), "targetId": dataset,
    });
    let upload: Announced = creator.change("createUpload", "upload { id url }", input).await?;
    creator.api().put(&upload.url, bytes).await?;
    // The answer to the last byte comes when the picture was checked.
    let document = "query($id: ID!) { upload(id: $id) { state } }";
    let upload: Value = creator.read("upload", document, json!({ "id": upload.id })).await?;
    match upload["state"].as_str() {
        Some("READY") => Ok(true),
        Some("REJECTED") => Ok(false),
        state => bail!("The service has not checked it: its state is {}.", state.unwrap_or("unknown")),
    }
}

/// Writes the captions: those that the service reads from names go by other rules.
async fn write_captions(creator: &mut Person, dataset: &Dataset) -> anyhow::Result<()> {
    let ids = picture_ids(creator, &dataset.id).await?;
    if ids.len() != dataset.pictures.len() {
        let (held, sent) = (ids.len(), dataset.pictures.len());
        bail!("The data set holds {held} pictures, but the service took {sent}. Start the demo again.");
    }
    let captions: Vec<Value> = ids
        .iter()
        .zip(&dataset.pictures)
        .map(|(id, picture)| json!({ "pictureId": id, "caption": picture.caption }))
        .collect();
    for captions in captions.chunks(CAPTIONS_AT_ONCE) {
        let input = json!({ "datasetId": dataset.id, "captions": captions });
        let _: Identified = creator.change("setCaptions", "dataset { id }", input).await?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Pictures {
    pictures: Page<Identified>,
}

/// The pictures of a data set, in the order in which they came.
async fn picture_ids(creator: &mut Person, dataset: &str) -> anyhow::Result<Vec<String>> {
    let document = "query($id: ID!, $after: String) { dataset(id: $id) { pictures(first: 100, after: $after) { \
        nodes { id } pageInfo { hasNextPage endCursor } } } }";
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let variables = json!({ "id": dataset, "after": after });
        let Pictures { pictures } = creator.read("dataset", document, variables).await?;
        ids.extend(pictures.nodes.into_iter().map(|picture| picture.id));
        if !pictures.page_info.has_next_page {
            return Ok(ids);
        }
        after = pictures.page_info.end_cursor;
    }
}

async fn show_findings(creator: &mut Person, dataset: &str, stage: &Stage) -> anyhow::Result<()> {
    let document = "query($id: ID!) { dataset(id: $id) { lint { message } } }";
    let dataset: Value = creator.read("dataset", document, json!({ "id": dataset })).await?;
    let findings = dataset["lint"].as_array().map(Vec::as_slice).unwrap_or_default();
    for message in findings.iter().filter_map(|finding| finding["message"].as_str()) {
        stage.warn(format!("  {message}"));
    }
    if findings.is_empty() {
        stage.tell("  The service finds nothing wrong with the pictures.");
    }
    Ok(())
}

#[derive(Deserialize)]
struct Started {
    id: String,
    job: Identified,
    lora: Identified,
}

/// A training that has ended.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Pictures trained on and held out together.
    pub picture_count: u32,
    /// How often each was seen.
    pub epochs: u32,
    /// Optimiser steps.
    pub steps: u32,
    /// Seconds of training.
    pub seconds: f64,
    /// Held-out loss without the LoRA.
    pub validation_loss_base: Option<f64>,
    /// Held-out loss of the best epoch.
    pub validation_loss: Option<f64>,
    /// The LoRA.
    pub lora: Identified,
    /// The version that came of it.
    pub version: Identified,
    finished_epochs: Vec<Epoch>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Epoch {
    epoch: u32,
    is_best: bool,
    sample_urls: Vec<String>,
}

/// Trains a LoRA, showing its progress. Gives the run and the number of its progress events.
///
/// # Errors
/// The service's own sentences: too few pictures, too many, why the training failed.
pub async fn train(
    creator: &mut Person,
    dataset: &Dataset,
    prompts: &[String],
    epochs: Option<i32>,
    stage: &Stage,
) -> anyhow::Result<(Run, u64)> {
    let input = json!({
        "datasetId": dataset.id, "triggerWord": TRIGGER_WORD, "epochs": epochs, "samplePrompts": prompts,
    });
    let object = "trainingRun { id job { id } lora { id } }";
    let started: Started = creator.change("startTraining", object, input).await?;
    stage.tell(format!("  {} is queued; it will make a version of {}.", started.id, started.lora.id));
    let bar = stage.bar("training", 1);
    let events = watch::job(creator, &started.job.id, |progress| stage::show(&bar, progress)).await;
    bar.finish_and_clear();
    let events = events.context("The training came to nothing.")?;
    let document = "query($id: ID!) { trainingRun(id: $id) { pictureCount epochs steps seconds validationLossBase \
        validationLoss lora { id } version { id } finishedEpochs { epoch isBest sampleUrls } } }";
    let run: Run = creator.read("trainingRun", document, json!({ "id": started.id })).await?;
    look_at_samples(creator, &run, stage).await?;
    Ok((run, events))
}

/// Looks at the sample pictures of the best epoch: they must be pictures.
async fn look_at_samples(creator: &Person, run: &Run, stage: &Stage) -> anyhow::Result<()> {
    let Some(best) = run.finished_epochs.iter().find(|epoch| epoch.is_best) else {
        bail!("The training has no best epoch. Start the demo again.");
    };
    for url in &best.sample_urls {
        let sample = creator.api().get(url).await?;
        let sample = tokio::task::spawn_blocking(move || Picture::decode(&sample)).await?;
        sample.with_context(|| format!("A sample of epoch {} is no picture.", best.epoch))?;
    }
    let (epoch, count) = (best.epoch, best.sample_urls.len());
    stage.tell(format!("  {} steps. Epoch {epoch} is the best; it has {count} sample pictures.", run.steps));
    Ok(())
}

#[derive(Deserialize)]
struct Previewed {
    previews: Vec<Link>,
}

/// Waits for the previews of a version and keeps them. Gives the paths of their files.
///
/// # Errors
/// Why they could not be rendered or kept.
pub async fn previews(
    creator: &mut Person,
    version: &str,
    album: &Album<'_>,
    stage: &Stage,
) -> anyhow::Result<Vec<String>> {
    // Nobody else renders previews here: the last job is the one.
    let document = "{ jobs(kind: PREVIEW, first: 1) { nodes { id } } }";
    let jobs: Page<Identified> = creator.read("jobs", document, json!({})).await?;
    let job = jobs.nodes.first().context("The service has no job that renders the previews.")?;
    let bar = stage.bar("previews", 1);
    let ended = watch::job(creator, &job.id, |progress| stage::show(&bar, progress)).await;
    bar.finish_and_clear();
    ended.context("The previews came to nothing.")?;
    let document = "query($id: ID!) { loraVersion(id: $id) { previews { url } } }";
    let version: Previewed = creator.read("loraVersion", document, json!({ "id": version })).await?;
    let mut paths = Vec::with_capacity(version.previews.len());
    for (number, preview) in (1..).zip(version.previews) {
        let bytes = creator.api().get(&preview.url).await?;
        paths.push(album.keep(&format!("preview-{number}.png"), &bytes).await?);
    }
    Ok(paths)
}

/// When a publication was asked for, and when the answer was there.
pub struct Published {
    /// The request went out.
    pub sent: Instant,
    /// The answer has arrived.
    pub answered: Instant,
}

/// Describes the LoRA and shows it to everybody.
///
/// # Errors
/// The service's own sentences.
pub async fn publish(creator: &mut Person, lora: &str, material: &Material) -> anyhow::Result<Published> {
    let input = json!({ "id": lora, "description": material.description, "license": LICENSE });
    let _: Identified = creator.change("updateLora", "lora { id }", input).await?;
    let sent = Instant::now();
    let _: Identified = creator.change("publishLora", "lora { id }", json!({ "id": lora })).await?;
    Ok(Published { sent, answered: Instant::now() })
}

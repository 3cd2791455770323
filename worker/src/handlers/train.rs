//! Trains a LoRA.

use std::path::{Path, PathBuf};

use atelier_domain::{
    context::Context,
    entities::kinds,
    jobs::{Lease, Step, claim::Claim},
    lora::header,
    ports::inspector::{Inspector, inspect, model_folder},
    training::{self, EpochResult, TrainingResult, TrainingWork, defaults::Defaults},
};
use atelier_inference::{EpochOutput, TrainedLayers, TrainingPicture, TrainingReport, TrainingSpec};

use super::Failure;
use crate::{
    device::Device,
    files::local_copy,
    sink::{JobSink, Message, StopFlag, report},
};

/// Media type of a LoRA's file.
const SAFETENSORS: &str = "application/octet-stream";

/// The share of pictures that is held out to measure by.
const VALIDATION_SHARE: f64 = 0.15;

/// Trains what a run asks for. A run that was begun before goes on from its last checkpoint.
///
/// # Errors
/// [`Failure`].
pub async fn train(ctx: &Context, device: &Device, claim: &Claim, stop: &StopFlag) -> Result<(), Failure> {
    let work = training::load(ctx, claim.job.subject_id).await?;
    let folder = model_folder(&ctx.settings.models, &work.base_model.folder);
    let directory = ctx.settings.work.join("training").join(work.run.id.to_string());
    report(ctx, claim.lease, stop, &Step::Preparing { what: "the pictures".to_owned() }).await?;
    let spec = spec(ctx, &work, &directory).await?;
    let trained = run(ctx, device, claim.lease, stop, folder, spec).await?;
    complete(ctx, claim.lease, &trained).await?;
    // The results are in the store; what is left on the disk is of no more use.
    if let Err(error) = tokio::fs::remove_dir_all(&directory).await {
        tracing::warn!(directory = %directory.display(), %error, "a training's working files could not be removed");
    }
    Ok(())
}

async fn spec(ctx: &Context, work: &TrainingWork, directory: &Path) -> Result<TrainingSpec, Failure> {
    let mut pictures = Vec::with_capacity(work.pictures.len());
    for picture in &work.pictures {
        let path = local_copy(ctx, &picture.blob_sha256, &directory.join("pictures"), "png").await?;
        pictures.push(TrainingPicture { path, caption: picture.caption.clone() });
    }
    let run = &work.run;
    let continued = match &work.continued {
        Some(version) => {
            Some(local_copy(ctx, &version.blob_sha256, &directory.join("continued"), "safetensors").await?)
        }
        None => None,
    };
    let layers = match run.layers {
        kinds::TrainedLayers::All => TrainedLayers::All,
        kinds::TrainedLayers::Blocks => TrainedLayers::Blocks,
        kinds::TrainedLayers::Attention => TrainedLayers::Attention,
    };
    let mut metadata = header::card(&work.lora);
    metadata.insert("modelspec.title".to_owned(), work.lora.name.clone());
    Ok(TrainingSpec {
        directory: directory.to_owned(),
        pictures,
        trigger_word: run.trigger_word.clone(),
        epochs: run.epochs.unsigned_abs(),
        rank: run.rank.unsigned_abs(),
        alpha: run.alpha,
        layers,
        learning_rate: run.learning_rate,
        batch_size: run.batch_size.unsigned_abs(),
        resolution: run.resolution.map(i32::unsigned_abs),
        seed: run.seed.unsigned_abs(),
        validation_share: VALIDATION_SHARE,
        repeats: Defaults::of(&work.base_model).repeats,
        sample_prompts: work.sample_prompts.clone(),
        sample_seed: run.seed.unsigned_abs(),
        samples_strength: run.strength,
        init_lora: continued,
        checkpointing: None,
        metadata,
    })
}

/// Trains on the device, passing steps and epochs on.
async fn run(
    ctx: &Context,
    device: &Device,
    lease: Lease,
    stop: &StopFlag,
    folder: PathBuf,
    spec: TrainingSpec,
) -> Result<TrainingReport, Failure> {
    let (mut sink, mut messages) = JobSink::new(stop.clone());
    let training = device.run(move |models| models.get(&folder)?.train(&spec, &mut sink));
    tokio::pin!(training);
    loop {
        tokio::select! {
            biased;
            Some(message) = messages.recv() => match message {
                Message::Step(step) => report(ctx, lease, stop, &step).await?,
                Message::Epoch(output, answer) => {
                    let result = record_epoch(ctx, lease, &output).await;
                    // The device's thread waits for the answer; a failure ends the training there.
                    let _ = answer.send(result.as_ref().copied().map_err(ToString::to_string));
                    result?;
                }
            },
            trained = &mut training => return Ok(trained??),
        }
    }
}

async fn record_epoch(ctx: &Context, lease: Lease, output: &EpochOutput) -> Result<(), Failure> {
    let mut samples = Vec::with_capacity(output.samples.len());
    for sample in &output.samples {
        samples.push(ctx.blobs.put_file(sample, "image/png").await?);
    }
    let result = EpochResult {
        epoch: i32::try_from(output.epoch).unwrap_or(i32::MAX),
        training_loss: f64::from(output.training_loss),
        validation_loss: output.validation_loss.map(f64::from),
        adapter: ctx.blobs.put_file(&output.adapter, SAFETENSORS).await?,
        samples,
    };
    Ok(training::record_epoch(ctx, lease, result).await?)
}

async fn complete(ctx: &Context, lease: Lease, trained: &TrainingReport) -> Result<(), Failure> {
    let best = trained.epochs_output.iter().find(|output| output.epoch == trained.best_epoch);
    let best = best.ok_or_else(|| anyhow::anyhow!("The training reports no best epoch."))?;
    let path = best.adapter.clone();
    let facts = inspect(&ctx.inspector, move |inspector: &dyn Inspector| inspector.lora(&path)).await?;
    let facts = facts.map_err(|rejected| Failure::Hopeless(rejected.0))?;
    let has_held_out = best.validation_loss.is_some();
    let result = TrainingResult {
        steps: i32::try_from(trained.steps).unwrap_or(i32::MAX),
        seconds: trained.seconds,
        validation_loss_base: has_held_out.then(|| f64::from(trained.validation_loss_base)),
        validation_loss: has_held_out.then(|| f64::from(trained.validation_loss)),
        best_epoch: i32::try_from(trained.best_epoch).unwrap_or(i32::MAX),
        adapter: ctx.blobs.put_file(&best.adapter, SAFETENSORS).await?,
        facts,
    };
    Ok(training::complete(ctx, lease, result).await?)
}

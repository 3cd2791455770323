//! What a worker writes of a training: each epoch as it ends, then the version.

use atelier_entities::{lora, training_epoch as epoch, training_run as run};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel, sea_query::OnConflict};
use serde_json::json;

use crate::{
    actor::Actor,
    blob,
    context::Context,
    error::Refused,
    jobs::{Lease, LeaseError, claim, progress},
    lora::{NewVersion, VersionSource, add_version, announce_draft},
    policy::{Action, Resource as _, authorize},
    ports::{blobs::Stored, inspector::InspectedLora},
    preview,
};

/// An epoch that has ended. Its files are in the store already.
#[derive(Clone, Debug)]
pub struct EpochResult {
    /// Epoch, from 1.
    pub epoch: i32,
    /// Mean loss of its steps.
    pub training_loss: f64,
    /// Loss on held-out pictures.
    pub validation_loss: Option<f64>,
    /// The adapter after it.
    pub adapter: Stored,
    /// Sample pictures, as PNG.
    pub samples: Vec<Stored>,
}

/// Writes an epoch. A resumed training reports its epochs again; the first report stays.
///
/// # Errors
/// [`LeaseError::Lost`] when the lease has run out: nothing was written.
pub async fn record_epoch(ctx: &Context, lease: Lease, result: EpochResult) -> Result<(), LeaseError> {
    let tx = ctx.db.write().await?;
    let job = progress::hold(&tx, lease).await?;
    for stored in result.samples.iter().chain([&result.adapter]) {
        blob::record(&tx, ctx, stored).await?;
    }
    let samples: Vec<&str> = result.samples.iter().map(|stored| stored.sha256.as_str()).collect();
    let row = epoch::ActiveModel {
        id: Set(ctx.new_id()),
        training_run_id: Set(job.subject_id),
        team_id: Set(job.team_id),
        epoch: Set(result.epoch),
        training_loss: Set(result.training_loss),
        validation_loss: Set(result.validation_loss),
        adapter_sha256: Set(result.adapter.sha256),
        sample_sha256s: Set(json!(samples)),
        created_at: Set(ctx.now()),
    };
    let again = OnConflict::columns([epoch::Column::TrainingRunId, epoch::Column::Epoch]).do_nothing().to_owned();
    epoch::Entity::insert(row).on_conflict(again).exec_without_returning(&tx).await?;
    Ok(ctx.commit(tx).await?)
}

/// A training that has ended well. Its file is in the store already.
#[derive(Clone, Debug)]
pub struct TrainingResult {
    /// Optimiser steps.
    pub steps: i32,
    /// Seconds of training, over all attempts.
    pub seconds: f64,
    /// Held-out loss without the LoRA.
    pub validation_loss_base: Option<f64>,
    /// Held-out loss of the best epoch.
    pub validation_loss: Option<f64>,
    /// The epoch with the lowest held-out loss.
    pub best_epoch: i32,
    /// Its adapter.
    pub adapter: Stored,
    /// What the inspector found in it.
    pub facts: InspectedLora,
}

/// Ends a training: job, credits, run, version and the job that renders its previews, in one transaction.
///
/// # Errors
/// [`LeaseError::Lost`] when the lease has run out: nothing was written.
pub async fn complete(ctx: &Context, lease: Lease, result: TrainingResult) -> Result<(), LeaseError> {
    let tx = ctx.db.write().await?;
    let job = claim::succeed(&tx, ctx, lease).await?;
    let missing = || anyhow::Error::from(Refused::NotFound(run::Model::NAME));
    let run = run::Entity::find_by_id(job.subject_id).one(&tx).await?.ok_or_else(missing)?;
    let lora = lora::Entity::find_by_id(run.lora_id).one(&tx).await?.ok_or_else(missing)?;
    let permit = authorize(&Actor::System, Action::LoraWrite, &lora).map_err(anyhow::Error::from)?;
    let new = NewVersion {
        lora: run.lora_id,
        change_note: run.change_note.clone(),
        parent: run.continued_version_id.or(lora.latest_version_id),
        base_model: Some(run.base_model_id),
        trigger_words: vec![run.trigger_word.clone()],
        file: result.adapter,
        facts: result.facts,
        recommended_strength: run.strength,
        source: VersionSource::Training(run.id),
    };
    let version = add_version(&tx, ctx, &permit, new).await.map_err(anyhow::Error::from)?;
    preview::enqueue(&tx, ctx, &version, run.created_by).await?;
    let mut row = run.into_active_model();
    row.steps = Set(Some(result.steps));
    row.seconds = Set(Some(result.seconds));
    row.validation_loss_base = Set(result.validation_loss_base);
    row.validation_loss = Set(result.validation_loss);
    row.best_epoch = Set(Some(result.best_epoch));
    row.chosen_epoch = Set(Some(result.best_epoch));
    row.version_id = Set(Some(version.id));
    row.finished_at = Set(Some(ctx.now()));
    row.update(&tx).await?;
    announce_draft(&tx, ctx, &Actor::System, &lora).await?;
    Ok(ctx.commit(tx).await?)
}

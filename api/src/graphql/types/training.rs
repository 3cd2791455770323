//! Training runs and their epochs.

use async_graphql::{Context, Enum, ID, Object, Result};
use atelier_domain::{
    blob,
    entities::{kinds, training_epoch, training_run},
    id::Noun,
    lora::versions::words,
};
use chrono::{DateTime, Utc};

use super::{base_model::BaseModel, dataset::Dataset, job::Job, lora::Lora, lora_version::LoraVersion};
use crate::graphql::{
    context::{Resolve, encode},
    loaders::load,
    scalars::BigInt,
};

/// Which layers of a network a training gives matrices to.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "kinds::TrainedLayers")]
pub enum TrainedLayers {
    /// All that are ever trained: of FLUX.2 the blocks, what leads into them and out of them, and the modulations; of SDXL
    /// the transformers of the UNet with what leads into them and out of them. FLUX.2's modulations are left out by diffusers
    /// where a file has the names of kohya's sd-scripts.
    All,
    /// The layers of the blocks alone: attention and feed-forward.
    Blocks,
    /// The layers of attention alone. FLUX.2's single blocks have one product for attention and feed-forward, which is
    /// trained; and so is the first feed-forward layer of its first block, by whose width programs tell it from FLUX.1.
    Attention,
}

/// A training of a LoRA.
pub struct TrainingRun(pub training_run::Model);

#[Object]
impl TrainingRun {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::TrainingRun, self.0.id)
    }

    /// The job that does it: watch it with `jobProgress`.
    async fn job(&self, ctx: &Context<'_>) -> Result<Option<Job>> {
        match self.0.job_id {
            Some(id) => load(ctx, |loaders| &loaders.jobs, id).await.map(|row| row.map(Job)),
            None => Ok(None),
        }
    }

    /// The LoRA that gets the version.
    async fn lora(&self, ctx: &Context<'_>) -> Result<Option<Lora>> {
        load(ctx, |loaders| &loaders.loras, self.0.lora_id).await.map(|row| row.map(Lora))
    }

    /// The version that it made, once it is done.
    async fn version(&self, ctx: &Context<'_>) -> Result<Option<LoraVersion>> {
        match self.0.version_id {
            Some(id) => load(ctx, |loaders| &loaders.lora_versions, id).await.map(|row| row.map(LoraVersion)),
            None => Ok(None),
        }
    }

    /// The pictures.
    async fn dataset(&self, ctx: &Context<'_>) -> Result<Option<Dataset>> {
        load(ctx, |loaders| &loaders.datasets, self.0.dataset_id).await.map(|row| row.map(Dataset))
    }

    /// The model that it is trained on.
    async fn base_model(&self, ctx: &Context<'_>) -> Result<Option<BaseModel>> {
        load(ctx, |loaders| &loaders.base_models, self.0.base_model_id).await.map(|row| row.map(BaseModel))
    }

    /// The word that calls the style up.
    async fn trigger_word(&self) -> &str {
        &self.0.trigger_word
    }

    /// Strength of samples and previews.
    async fn strength(&self) -> f64 {
        self.0.strength
    }

    /// How often each picture is seen.
    async fn epochs(&self) -> i32 {
        self.0.epochs
    }

    /// Rank of the matrices.
    async fn rank(&self) -> i32 {
        self.0.rank
    }

    /// Alpha: the LoRA's scale is strength × alpha / rank.
    async fn alpha(&self) -> f64 {
        self.0.alpha
    }

    /// Which layers get matrices; none where it continues a version, whose own are trained.
    async fn layers(&self) -> Option<TrainedLayers> {
        self.0.continued_version_id.is_none().then(|| self.0.layers.into())
    }

    /// The version that it continues; none where it began with new matrices, or you may not see it any more.
    async fn continued_version(&self, ctx: &Context<'_>) -> Result<Option<LoraVersion>> {
        match self.0.continued_version_id {
            Some(id) => load(ctx, |loaders| &loaders.lora_versions, id).await.map(|row| row.map(LoraVersion)),
            None => Ok(None),
        }
    }

    /// Learning rate at its peak.
    async fn learning_rate(&self) -> f64 {
        self.0.learning_rate
    }

    /// Pictures a step.
    async fn batch_size(&self) -> i32 {
        self.0.batch_size
    }

    /// Edge, in pixels, of a square with as many pixels as the pictures are brought to; none is the model's own.
    async fn resolution(&self) -> Option<i32> {
        self.0.resolution
    }

    /// Seed of everything random: same seed, same device, same result.
    async fn seed(&self) -> BigInt {
        BigInt(self.0.seed)
    }

    /// Prompts of the sample pictures.
    async fn sample_prompts(&self) -> Vec<String> {
        words(&self.0.sample_prompts)
    }

    /// Pictures trained on and held out together.
    async fn picture_count(&self) -> i32 {
        self.0.picture_count
    }

    /// Optimiser steps that were made.
    async fn steps(&self) -> Option<i32> {
        self.0.steps
    }

    /// Seconds of training.
    async fn seconds(&self) -> Option<f64> {
        self.0.seconds
    }

    /// Loss on held-out pictures without the LoRA.
    async fn validation_loss_base(&self) -> Option<f64> {
        self.0.validation_loss_base
    }

    /// Loss on held-out pictures of the best epoch.
    async fn validation_loss(&self) -> Option<f64> {
        self.0.validation_loss
    }

    /// The epoch with the lowest held-out loss.
    async fn best_epoch(&self) -> Option<i32> {
        self.0.best_epoch
    }

    /// The epoch that became the version.
    async fn chosen_epoch(&self) -> Option<i32> {
        self.0.chosen_epoch
    }

    /// The epochs that have ended, in order.
    async fn finished_epochs(&self, ctx: &Context<'_>) -> Result<Vec<TrainingEpoch>> {
        let best = self.0.best_epoch;
        let rows = load(ctx, |loaders| &loaders.training_epochs, self.0.id).await?.unwrap_or_default();
        Ok(rows.into_iter().map(|row| TrainingEpoch { is_best: Some(row.epoch) == best, row }).collect())
    }

    /// When it was asked for.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it ended well.
    async fn finished_at(&self) -> Option<DateTime<Utc>> {
        self.0.finished_at
    }
}

/// One epoch of a training.
pub struct TrainingEpoch {
    /// The row.
    pub row: training_epoch::Model,
    /// Whether its held-out loss is the lowest.
    pub is_best: bool,
}

#[Object]
impl TrainingEpoch {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::TrainingEpoch, self.row.id)
    }

    /// Its number, from 1.
    async fn epoch(&self) -> i32 {
        self.row.epoch
    }

    /// Mean loss of its steps.
    async fn training_loss(&self) -> f64 {
        self.row.training_loss
    }

    /// Loss on held-out pictures, with fixed noise and times: comparable between epochs.
    async fn validation_loss(&self) -> Option<f64> {
        self.row.validation_loss
    }

    /// Whether its held-out loss is the lowest.
    async fn is_best(&self) -> bool {
        self.is_best
    }

    /// Links to its sample pictures: the same prompts and seeds in every epoch.
    async fn sample_urls(&self, ctx: &Context<'_>) -> Vec<String> {
        let house = ctx.house();
        let names = words(&self.row.sample_sha256s);
        let link = |(index, sha256): (usize, String)| {
            blob::link(house, &sha256, &format!("epoch-{}-sample-{}.png", self.row.epoch, index + 1))
        };
        names.into_iter().enumerate().map(link).collect()
    }

    /// When it ended.
    async fn created_at(&self) -> DateTime<Utc> {
        self.row.created_at
    }
}

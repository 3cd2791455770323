//! Starting trainings. A training is cancelled and tried again through its job.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{
    id::Noun,
    training::{self, StartTraining},
};

use crate::{
    graphql::{
        context::{Resolve, decode},
        scalars::BigInt,
        types::training::{TrainedLayers, TrainingRun},
    },
    payload,
};

/// What a training needs to know; what is left out has good defaults.
#[derive(InputObject)]
pub struct StartTrainingInput {
    /// The pictures, 10 to 30 do best.
    pub dataset_id: ID,
    /// A word that will call the style up, such as `inkwash`.
    pub trigger_word: String,
    /// The model to train on; the default one without it.
    pub base_model_id: Option<ID>,
    /// A LoRA that gets a new version; without it a LoRA is made.
    pub lora_id: Option<ID>,
    /// A version whose matrices are trained further, of yours or of anybody who allows it; without it new ones are trained. It
    /// keeps its rank, alpha and layers, which are not given then, and the base model is its own where none is named.
    pub continue_from_version_id: Option<ID>,
    /// Name of a new LoRA; the data set's without it.
    pub name: Option<String>,
    /// Strength of samples and previews, 0 to 2; 1 without it.
    pub strength: Option<f64>,
    /// How often all pictures are gone through; 8 without it.
    pub epochs: Option<i32>,
    /// Rank of the matrices; what suits the base model without it.
    pub rank: Option<i32>,
    /// Alpha; the rank without it.
    pub alpha: Option<f64>,
    /// Which layers get matrices; what suits the base model without it.
    pub layers: Option<TrainedLayers>,
    /// Learning rate at its peak; what suits the base model without it.
    pub learning_rate: Option<f64>,
    /// Pictures a step; what suits the base model without it.
    pub batch_size: Option<i32>,
    /// Edge, in pixels, of a square with as many pixels as the pictures are brought to; the model's own without it.
    pub resolution: Option<i32>,
    /// Seed of everything random; drawn without it.
    pub seed: Option<BigInt>,
    /// Prompts of the sample pictures; captions of the data set without them.
    #[graphql(default)]
    pub sample_prompts: Vec<String>,
    /// What is new about the version.
    #[graphql(default)]
    pub change_note: String,
    /// Makes a repeated call harmless: the same key gives the first answer again for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `startTraining`.
    pub struct StartTrainingPayload {
        /// The training, queued.
        training_run: TrainingRun
    }
}

/// Which epoch is to be a version.
#[derive(InputObject)]
pub struct ChooseEpochInput {
    /// An epoch of a training that has ended well.
    pub epoch_id: ID,
    /// What is special about it.
    #[graphql(default)]
    pub change_note: String,
}

payload! {
    /// The answer to `chooseEpoch`.
    pub struct ChooseEpochPayload {
        /// The training, with the version of the chosen epoch.
        training_run: TrainingRun
    }
}

/// Mutations of trainings.
#[derive(Default)]
pub struct TrainingMutation;

#[Object]
impl TrainingMutation {
    /// Starts a training. Watch its job with `jobProgress`.
    async fn start_training(&self, ctx: &Context<'_>, input: StartTrainingInput) -> Result<StartTrainingPayload> {
        let input = StartTraining {
            dataset: decode(Noun::Dataset, &input.dataset_id)?,
            base_model: input.base_model_id.map(|id| decode(Noun::BaseModel, &id)).transpose()?,
            lora: input.lora_id.map(|id| decode(Noun::Lora, &id)).transpose()?,
            continued_version: input.continue_from_version_id.map(|id| decode(Noun::LoraVersion, &id)).transpose()?,
            name: input.name,
            trigger_word: input.trigger_word,
            strength: input.strength,
            epochs: input.epochs,
            rank: input.rank,
            alpha: input.alpha,
            layers: input.layers.map(Into::into),
            learning_rate: input.learning_rate,
            batch_size: input.batch_size,
            resolution: input.resolution,
            seed: input.seed.map(|seed| seed.0),
            sample_prompts: input.sample_prompts,
            change_note: input.change_note,
            idempotency_key: input.idempotency_key,
        };
        StartTrainingPayload::answer(training::start(ctx.house(), ctx.actor(), input).await, TrainingRun)
    }

    /// Makes a version of another epoch than the best one. A version that it is already is not made again.
    async fn choose_epoch(&self, ctx: &Context<'_>, input: ChooseEpochInput) -> Result<ChooseEpochPayload> {
        let id = decode(Noun::TrainingEpoch, &input.epoch_id)?;
        let chosen = training::choose_epoch(ctx.house(), ctx.actor(), id, &input.change_note).await;
        ChooseEpochPayload::answer(chosen, TrainingRun)
    }
}

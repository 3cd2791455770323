//! What a job says of its progress.

use serde::{Deserialize, Serialize};

/// One step of a job, as its events carry it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Step {
    /// It waits for a worker.
    Queued,
    /// A worker began it.
    Started {
        /// How often it was begun, this time included.
        attempt: i32,
    },
    /// Something is being made ready.
    Preparing {
        /// What.
        what: String,
    },
    /// Pictures are turned into latents, once.
    CachingLatents {
        /// So many are done.
        done: u32,
        /// Of so many.
        total: u32,
    },
    /// A step of training.
    Training {
        /// Epoch, from 1.
        epoch: u32,
        /// Epochs in all.
        epochs: u32,
        /// Optimiser step, from 1, over all epochs.
        step: u32,
        /// Steps in all.
        steps: u32,
        /// Loss of the step.
        loss: f64,
        /// Learning rate of the step.
        learning_rate: f64,
    },
    /// An epoch has ended.
    EpochFinished {
        /// Epoch, from 1.
        epoch: u32,
        /// Epochs in all.
        epochs: u32,
        /// Mean loss of its steps.
        training_loss: f64,
        /// Loss on held-out pictures; none when there are too few to hold any out.
        validation_loss: Option<f64>,
    },
    /// Sample pictures of an epoch are rendered.
    Sampling {
        /// Epoch, from 1.
        epoch: u32,
        /// So many are done.
        done: u32,
        /// Of so many.
        total: u32,
    },
    /// Something is being written.
    Saving {
        /// What.
        what: String,
    },
    /// A picture is rendered.
    Rendering {
        /// Which picture, from 1.
        picture: u32,
        /// Pictures in all.
        pictures: u32,
        /// Denoising step, from 1.
        step: u32,
        /// Steps in all.
        steps: u32,
        /// What it looks like so far, as a `data:` URI of a small picture.
        preview: Option<String>,
    },
    /// It is done.
    Succeeded,
    /// It failed for good.
    Failed {
        /// Why, in a sentence.
        reason: String,
    },
    /// Somebody cancelled it.
    Cancelled,
}

impl Step {
    /// Whether no event follows this one, unless somebody tries the job again.
    pub fn is_last(&self) -> bool {
        matches!(self, Step::Succeeded | Step::Failed { .. } | Step::Cancelled)
    }
}

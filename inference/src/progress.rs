//! What a model says while it works, and how it is told to stop.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{error::Result, image::Picture};

/// A step of long work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Progress {
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
        loss: f32,
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
        training_loss: f32,
        /// Loss on held-out pictures.
        validation_loss: Option<f32>,
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
    /// A denoising step.
    Rendering {
        /// Which picture, from 1.
        picture: u32,
        /// Pictures in all.
        pictures: u32,
        /// Step, from 1.
        step: u32,
        /// Steps in all.
        steps: u32,
    },
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Stop at once; what is on disk allows to resume.
    Stop,
}

/// What a training leaves after an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochOutput {
    /// Epoch, from 1.
    pub epoch: u32,
    /// The adapter as `.safetensors`.
    pub adapter: PathBuf,
    /// Mean loss of its steps.
    pub training_loss: f32,
    /// Loss on held-out pictures.
    pub validation_loss: Option<f32>,
    /// Sample pictures as PNG, in the order of the prompts.
    pub samples: Vec<PathBuf>,
}

/// Hears of progress.
pub trait Sink {
    /// Hears of a step and says whether to go on.
    fn report(&mut self, progress: &Progress) -> Control;

    /// Sees what a picture looks like so far.
    fn preview(&mut self, _picture: &Picture) {}

    /// Hears of an epoch, whose files are on disk.
    ///
    /// # Errors
    /// Whatever keeps the listener from taking it; the training ends with it.
    fn epoch(&mut self, _output: &EpochOutput) -> Result<()> {
        Ok(())
    }
}

/// Hears nothing and never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Sink for Quiet {
    fn report(&mut self, _progress: &Progress) -> Control {
        Control::Continue
    }
}

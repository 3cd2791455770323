//! What is asked of a training, and what it answers.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::layers::TrainedLayers;
use crate::{
    error::{Error, Result},
    lora::hashes::hashes,
    progress::EpochOutput,
};

/// The most pictures.
const MOST_PICTURES: usize = 1000;

/// The highest rank.
pub(super) const HIGHEST_RANK: u32 = 256;

/// The highest alpha.
pub(super) const HIGHEST_ALPHA: f64 = 4.0 * HIGHEST_RANK as f64;

/// The most epochs.
const MOST_EPOCHS: u32 = 1000;

/// The highest resolution, in pixels: the longest edge that is rendered.
const HIGHEST_RESOLUTION: u32 = 4096;

/// A picture to learn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingPicture {
    /// A PNG, JPEG or WebP file.
    pub path: PathBuf,
    /// What it shows; may be empty.
    pub caption: String,
}

/// What is to be trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingSpec {
    /// Where checkpoints, adapters and samples go. A training that was begun there goes on.
    pub directory: PathBuf,
    /// What is learnt from.
    pub pictures: Vec<TrainingPicture>,
    /// Stands before every caption that does not hold it, so that it calls the style up.
    pub trigger_word: String,
    /// How often all pictures are gone through.
    pub epochs: u32,
    /// Rank of the pairs.
    pub rank: u32,
    /// The pairs count alpha / rank.
    pub alpha: f64,
    /// Which layers get pairs.
    #[serde(default)]
    pub layers: TrainedLayers,
    /// Learning rate at its peak.
    pub learning_rate: f64,
    /// Pictures a step.
    pub batch_size: u32,
    /// Edge of a square with as many pixels as the pictures are brought to; the model's own where there is none.
    pub resolution: Option<u32>,
    /// Decides the first weights, the order, crops, noise and times.
    pub seed: u64,
    /// Share of the pictures that is held out to measure by, 0 to 0.5.
    pub validation_share: f64,
    /// How often each picture is seen in an epoch: whole first, then in crops of its own.
    pub repeats: u32,
    /// What is rendered after every epoch.
    pub sample_prompts: Vec<String>,
    /// From which seed.
    pub sample_seed: u64,
    /// With which strength.
    pub samples_strength: f64,
    /// A LoRA to go on from: its own pairs are trained, so that its rank, alpha and layers hold and not those
    /// that stand here.
    pub init_lora: Option<PathBuf>,
    /// Whether gradients are checkpointed, which takes less memory and a third more time; said by nobody, they are where
    /// memory would not do otherwise.
    pub checkpointing: Option<bool>,
    /// Goes into the adapter's header, before what the training says itself.
    pub metadata: BTreeMap<String, String>,
}

impl TrainingSpec {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`Error::Input`] with what is out of bounds and what is in.
    pub fn check(&self) -> Result<()> {
        let refuse = |sentence: String| Err(Error::Input(sentence));
        let pictures = self.pictures.len();
        if !(2..=MOST_PICTURES).contains(&pictures) {
            return refuse(format!(
                "{pictures} pictures are given; a training takes 2 to {MOST_PICTURES}, best 10 to 30."
            ));
        }
        let counts = [
            ("resolution", self.resolution.unwrap_or(1), HIGHEST_RESOLUTION),
            ("epochs", self.epochs, MOST_EPOCHS),
            ("rank", self.rank, HIGHEST_RANK),
            ("batch size", self.batch_size, 256),
            ("repeats", self.repeats, 1000),
        ];
        for (name, value, most) in counts {
            if !(1..=most).contains(&value) {
                return refuse(format!("The {name} is {value}; it must lie between 1 and {most}."));
            }
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 0.1) {
            return refuse(format!(
                "The learning rate is {}; it must lie above 0 and not above 0.1.",
                self.learning_rate
            ));
        }
        if !(self.alpha > 0.0 && self.alpha <= HIGHEST_ALPHA) {
            return refuse(format!("Alpha is {}; it must lie above 0 and not above {HIGHEST_ALPHA}.", self.alpha));
        }
        if !(0.0..=0.5).contains(&self.validation_share) {
            return refuse(format!(
                "The share of held-out pictures is {}; it must lie between 0 and 0.5.",
                self.validation_share
            ));
        }
        if !self.samples_strength.is_finite() {
            return refuse("The strength of the samples must be a number.".to_owned());
        }
        Ok(())
    }

    /// A digest of everything that decides the result, `base` being some of the base model's weights: a checkpoint of another
    /// training is not gone on from.
    ///
    /// # Errors
    /// [`Error::Io`] when the LoRA to go on from cannot be read.
    pub(super) fn fingerprint(&self, base: &[f32]) -> Result<String> {
        let continued = self.init_lora.as_deref().map(|path| hashes(path, 0)).transpose()?;
        // As before there was a choice, so that what was begun then goes on.
        let layers = match self.layers {
            TrainedLayers::All => String::new(),
            layers => format!(" {layers}"),
        };
        // Where the files lie does not matter, nor which samples are rendered on the way.
        let names =
            self.pictures.iter().map(|picture| (picture.path.file_name().map(ToOwned::to_owned), &picture.caption));
        let names: Vec<_> = names.collect();
        let decisive = format!(
            "{base:?} {names:?} {:?} {} {} {} {} {} {:?} {} {} {} {:?}{layers}",
            self.trigger_word,
            self.epochs,
            self.rank,
            self.alpha,
            self.learning_rate,
            self.batch_size,
            self.resolution,
            self.seed,
            self.validation_share,
            self.repeats,
            continued.map(|hashes| hashes.sha256),
        );
        Ok(hex(&Sha256::digest(decisive)))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a training came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    /// Optimiser steps.
    pub steps: u32,
    /// Epochs.
    pub epochs: u32,
    /// Loss of the model without the LoRA on held-out pictures; the training loss of the first epoch where none are held out.
    pub validation_loss_base: f32,
    /// Loss of the best epoch on held-out pictures; its training loss where none are held out.
    pub validation_loss: f32,
    /// The epoch with the lowest of these losses.
    pub best_epoch: u32,
    /// How long it took, all its parts together where it was interrupted.
    pub seconds: f64,
    /// What every epoch left.
    pub epochs_output: Vec<EpochOutput>,
}

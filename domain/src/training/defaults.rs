//! What a training does when nobody says otherwise.

use atelier_entities::{base_model, kinds::TrainedLayers};

/// Epochs.
pub const EPOCHS: i32 = 8;

/// Strength of samples and previews.
pub const STRENGTH: f64 = 1.0;

/// The family that the starter is of.
const STARTER: &str = "flux2";

/// The longest edge of pictures that a small model of that family draws, in pixels.
const SMALL: i32 = 256;

/// What suits a base model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defaults {
    /// Rank, and alpha.
    pub rank: i32,
    /// Which layers get pairs.
    pub layers: TrainedLayers,
    /// Learning rate at its peak.
    pub learning_rate: f64,
    /// Pictures a step.
    pub batch_size: i32,
    /// How often each picture is seen in an epoch, in crops of its own.
    pub repeats: u32,
}

impl Defaults {
    /// What suits this base model. A small one, such as the starter, is narrow and its steps cost little: it takes a high
    /// rank, many steps and a high rate. A large one, and any of SDXL, takes what the field uses for models of its size.
    pub fn of(model: &base_model::Model) -> Self {
        let is_small = model.family == STARTER && model.native_width.max(model.native_height) <= SMALL;
        if is_small {
            Self { rank: 32, layers: TrainedLayers::All, learning_rate: 3e-3, batch_size: 4, repeats: 32 }
        } else {
            Self { rank: 16, layers: TrainedLayers::All, learning_rate: 1e-4, batch_size: 1, repeats: 10 }
        }
    }
}

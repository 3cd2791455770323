//! What a training does when nobody says otherwise.

use atelier_entities::{base_model, kinds::TrainedLayers};

/// Epochs.
pub const EPOCHS: i32 = 8;

/// Strength of samples and previews.
pub const STRENGTH: f64 = 1.0;

/// FLUX.2, which the starter is of as well.
const FLUX2: &str = "flux2";

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
    /// rank, many steps, a high rate and all layers. A large one, and any of SDXL, takes what the field uses for models of its
    /// size; of FLUX.2 the blocks alone, which every program reads in every layout.
    pub fn of(model: &base_model::Model) -> Self {
        let is_small = model.family == FLUX2 && model.native_width.max(model.native_height) <= SMALL;
        if is_small {
            return Self { rank: 32, layers: TrainedLayers::All, learning_rate: 3e-3, batch_size: 4, repeats: 32 };
        }
        let layers = if model.family == FLUX2 { TrainedLayers::Blocks } else { TrainedLayers::All };
        Self { rank: 16, layers, learning_rate: 1e-4, batch_size: 1, repeats: 10 }
    }
}

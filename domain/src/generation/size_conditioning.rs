//! What SDXL is told of the sizes of pictures.

use atelier_entities::{base_model, generation};
use serde::{Deserialize, Serialize};

use super::start::StartGenerationError;
use crate::text;

/// The largest of its numbers, in pixels.
const MOST: i32 = 16_384;

/// What SDXL is told of a picture that it draws: as if it were cut from another one. All are pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeConditioning {
    /// Pixels across of the other one.
    pub original_width: i32,
    /// Pixels down of the other one.
    pub original_height: i32,
    /// Pixels that were cut off on the left.
    pub crop_left: i32,
    /// Pixels that were cut off above.
    pub crop_top: i32,
}

impl SizeConditioning {
    /// That of a generation, if it has any.
    pub fn of(generation: &generation::Model) -> Option<Self> {
        serde_json::from_value(generation.size_conditioning.clone()?).ok()
    }

    /// Checks its bounds, and that the model takes it.
    pub(super) fn check(self, model: &base_model::Model) -> Result<Self, StartGenerationError> {
        if model.family != "sdxl" {
            return Err(StartGenerationError::NoSizeConditioning { model: model.name.clone() });
        }
        text::check_range("sizeConditioning.originalWidth", self.original_width, 1, MOST)?;
        text::check_range("sizeConditioning.originalHeight", self.original_height, 1, MOST)?;
        text::check_range("sizeConditioning.cropLeft", self.crop_left, 0, MOST)?;
        text::check_range("sizeConditioning.cropTop", self.crop_top, 0, MOST)?;
        Ok(self)
    }
}

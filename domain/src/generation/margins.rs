//! What is drawn around a picture.

use atelier_entities::generation;
use serde::{Deserialize, Serialize};

use crate::{error::Invalid, text};

/// Pixels around the picture that a generation begins as. The picture is cut to what they leave of the new picture's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Margins {
    /// On the left.
    pub left: i32,
    /// Above.
    pub top: i32,
    /// On the right.
    pub right: i32,
    /// Below.
    pub bottom: i32,
}

impl Margins {
    /// Those of a generation, if it has any.
    pub fn of(generation: &generation::Model) -> Option<Self> {
        serde_json::from_value(generation.start_margins.clone()?).ok()
    }

    /// Checks that they leave room for the picture, at least `least` pixels each way.
    ///
    /// # Errors
    /// [`Invalid`] with `OUT_OF_RANGE` for one below 0 or above `most`, `NO_MARGINS` when all are 0, `NO_ROOM_LEFT` when they
    /// leave too little.
    pub(super) fn check(self, (width, height): (i32, i32), least: i32, most: i32) -> Result<Self, Invalid> {
        let named = [
            ("start.margins.left", self.left),
            ("start.margins.top", self.top),
            ("start.margins.right", self.right),
            ("start.margins.bottom", self.bottom),
        ];
        for (field, pixels) in named {
            text::check_range(field, pixels, 0, most)?;
        }
        if named.iter().all(|(_, pixels)| *pixels == 0) {
            let message =
                "All margins are 0, so that nothing would be drawn around the picture. Give one of them a width.";
            return Err(Invalid::new("start.margins", "NO_MARGINS", message));
        }
        let (across, down) = self.leave((width, height));
        if across < least || down < least {
            let message = format!(
                "These margins leave {across} x {down} of {width} x {height} pixels for the picture; leave at least {least} each \
                 way. Make the new picture larger or the margins smaller."
            );
            return Err(Invalid::new("start.margins", "NO_ROOM_LEFT", message));
        }
        Ok(self)
    }

    /// What they leave of a size.
    pub fn leave(self, (width, height): (i32, i32)) -> (i32, i32) {
        (width - self.left - self.right, height - self.top - self.bottom)
    }
}

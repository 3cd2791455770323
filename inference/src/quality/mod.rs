//! What can be measured of pictures: likeness of style, near-duplicates, sharpness; and how sets of pictures are shown.

mod blurhash;
mod contact_sheet;
mod lint;
mod look;
mod perceptual_hash;
mod sharpness;
mod style;

pub use blurhash::blurhash;
pub use contact_sheet::{Row, contact_sheet};
pub use lint::{LintFinding, LintKind, PictureFacts, lint, lint_facts};
pub use look::{LOOK_LENGTH, look};
pub use perceptual_hash::{hamming_distance, perceptual_hash};
pub use sharpness::{BLURRED_BELOW, sharpness};
pub(crate) use style::lab;
pub use style::{StyleStatistics, style_distance, style_statistics};

use crate::image::Picture;

/// Rec. 601 luma of every pixel, 0 to 255.
pub(crate) fn luma(picture: &Picture) -> Vec<f32> {
    let weigh = |pixel: &[u8]| 0.299 * f32::from(pixel[0]) + 0.587 * f32::from(pixel[1]) + 0.114 * f32::from(pixel[2]);
    picture.rgb.chunks_exact(3).map(weigh).collect()
}

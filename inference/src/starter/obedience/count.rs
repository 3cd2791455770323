//! How many things a picture shows.

use super::{ground::layers, mask::Mask, question::Sight};
use crate::image::Picture;

/// What is smaller than this share of the largest thing is a speck.
const SPECK: f32 = 0.25;

/// Pixels of the smallest thing, once eroded.
const LEAST_PART: usize = 4;

/// How often the figure is eroded to part what touches.
const EROSIONS: usize = 3;

/// Counts what stands apart.
pub(super) fn see(picture: &Picture) -> Sight {
    let Some(layers) = layers(picture) else {
        return Sight::Unclear("nothing stands out");
    };
    // Neighbours that touch hang together by a few pixels only, which erosion parts; too much of it leaves specks.
    let eroded = std::iter::successors(Some(layers.figure), |mask| Some(mask.eroded()));
    match eroded.skip(1).take(EROSIONS).map(|mask| large_parts(&mask)).max() {
        None | Some(0) => Sight::Unclear("nothing but specks"),
        Some(count) => Sight::Count(count),
    }
}

fn large_parts(mask: &Mask) -> usize {
    let parts = mask.components();
    let largest = parts.first().map_or(0, Vec::len);
    parts.iter().filter(|part| part.len() as f32 >= SPECK * largest as f32 && part.len() >= LEAST_PART).count()
}

//! How far pictures lie apart as people see it.

use crate::{image::Picture, quality::lab};

/// Edge to which pictures are brought: what differs in single pixels does not count.
const EDGE: u32 = 32;

/// A small picture in CIELAB.
pub(super) struct LabPicture(Vec<[f32; 3]>);

impl LabPicture {
    pub(super) fn of(picture: &Picture) -> Self {
        let small = picture.resized_covering(EDGE, EDGE);
        Self(small.rgb.chunks_exact(3).map(|pixel| lab([pixel[0], pixel[1], pixel[2]])).collect())
    }

    /// Mean colour difference ΔE of 1976.
    pub(super) fn distance(&self, other: &Self) -> f64 {
        mean(self.0.iter().zip(&other.0).map(|(one, other)| {
            let squares = one.iter().zip(other).map(|(one, other)| f64::from(one - other).powi(2));
            squares.sum::<f64>().sqrt()
        }))
    }
}

/// The mean; 0 of nothing.
pub(super) fn mean(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let (count, sum) = numbers.into_iter().fold((0u32, 0.0), |(count, sum), number| (count + 1, sum + number));
    if count == 0 { 0.0 } else { sum / f64::from(count) }
}

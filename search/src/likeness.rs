//! How alike LoRAs are, the same for every engine: by their tags, by how their previews look, and by what their words mean.

use std::collections::HashMap;

use uuid::Uuid;

/// LoRAs that are looked at more closely, of those with the same tags and of those that look alike.
pub(crate) const LOOKED_AT: usize = 200;

/// The least cosine between what was typed and what a LoRA's words mean for it to be meant.
pub(crate) const LEAST_COSINE: f64 = 0.3;

/// What looking exactly alike counts, where having all the tags counts 1.
const LOOKS_COUNT: f64 = 1.0;

/// Previews of nothing in common still have some likeness; what is below this counts nothing.
const UNLIKE: f64 = 0.5;

/// What vectors are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// How a picture looks; a LoRA has one for each of its previews.
    Looks,
    /// What its words mean; a LoRA has one or none.
    Meanings,
}

impl Space {
    /// Every one.
    pub(crate) const ALL: [Self; 2] = [Self::Looks, Self::Meanings];
}

/// How alike the directions of two vectors of one length are, -1 to 1; 0 where one has none.
pub(crate) fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let lengths = dot(one, one).sqrt() * dot(other, other).sqrt();
    if lengths > 0.0 { (dot(one, other) / lengths).clamp(-1.0, 1.0) } else { 0.0 }
}

/// What each tag counts, of how many LoRAs there are and how many have each: the rarer, the more, and 1 together.
pub(crate) fn tag_weights(all: f64, with: &[f64]) -> Vec<f64> {
    let weights: Vec<f64> = with.iter().map(|with| (1.0 + all / with.max(1.0)).ln()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// What it counts that the most alike of two LoRAs' previews have this cosine.
pub(crate) fn of_looks(cosine: f64) -> f64 {
    LOOKS_COUNT * ((cosine - UNLIKE) / (1.0 - UNLIKE)).max(0.0)
}

/// The first of what is at all alike, the most alike first.
pub(crate) fn most_alike(scores: HashMap<Uuid, f64>, most: usize) -> Vec<Uuid> {
    let mut found: Vec<(f64, Uuid)> =
        scores.into_iter().filter(|(_, score)| *score > 0.0).map(|(id, score)| (score, id)).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| b.1.cmp(&a.1)));
    found.into_iter().take(most).map(|(_, id)| id).collect()
}

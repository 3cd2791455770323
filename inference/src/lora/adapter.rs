//! A LoRA as numbers: low-rank pairs under the names of the modules that they change.

use std::collections::BTreeMap;

use super::{
    formats::detect::{self, AdapterFacts},
    save::Layout,
};

/// A pair of low-rank matrices for one layer, linear or a convolution: with it, the layer's weight is `W + scale · B·A`.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRankPair {
    /// A, `[rank, inputs]`, row by row.
    pub a: Vec<f32>,
    /// B, `[outputs, rank]`, row by row.
    pub b: Vec<f32>,
    /// Rank.
    pub rank: usize,
    /// Features in. A convolution's kernel is flattened into them: channels · height · width.
    pub inputs: usize,
    /// Features out.
    pub outputs: usize,
    /// Height and width of a convolution's kernel; a linear layer has none.
    pub kernel: Option<[usize; 2]>,
    /// alpha / rank; 1 where the file states no alpha.
    pub scale: f32,
}

impl LowRankPair {
    /// The change of the layer's weight, `scale · B·A`, `[outputs, inputs]`, row by row.
    pub fn delta(&self) -> Vec<f32> {
        let mut delta = vec![0.0; self.outputs * self.inputs];
        for (row, weights) in delta.chunks_exact_mut(self.inputs).zip(self.b.chunks_exact(self.rank)) {
            for (weight, a) in weights.iter().zip(self.a.chunks_exact(self.inputs)) {
                row.iter_mut().zip(a).for_each(|(sum, a)| *sum += self.scale * weight * a);
            }
        }
        delta
    }

    /// The same change with scale 1: alpha / rank goes into B.
    pub(super) fn folded(&self) -> Self {
        Self { b: self.b.iter().map(|value| value * self.scale).collect(), scale: 1.0, ..self.clone() }
    }
}

/// A LoRA.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// What it was made for, detected from the shapes.
    pub facts: AdapterFacts,
    /// Pairs by module, under diffusers' names: for FLUX.2 without a prefix, such as
    /// `transformer_blocks.0.attn.to_q`; for families with several adapted parts with the part's name before, such as
    /// `unet.…` and `text_encoder_2.…`.
    pub targets: BTreeMap<String, LowRankPair>,
    /// The header's metadata.
    pub metadata: BTreeMap<String, String>,
    /// Keys of the file that are not understood.
    pub unmatched: Vec<String>,
    /// Keys of the file in all.
    pub keys: usize,
    /// The layout that it was read from.
    pub layout: Layout,
}

impl Adapter {
    /// A FLUX.2 adapter of pairs that come from no file, such as those of a training.
    pub fn new(targets: BTreeMap<String, LowRankPair>, metadata: BTreeMap<String, String>) -> Self {
        Self::of(detect::flux2, Layout::Bfl, targets, metadata)
    }

    /// An SDXL adapter of pairs that come from no file. Their names begin with the part that they adapt: `unet.…`.
    pub fn of_sdxl(targets: BTreeMap<String, LowRankPair>, metadata: BTreeMap<String, String>) -> Self {
        Self::of(detect::sdxl, Layout::Kohya, targets, metadata)
    }

    fn of(
        facts: impl Fn(&BTreeMap<&str, [usize; 2]>) -> AdapterFacts,
        layout: Layout,
        targets: BTreeMap<String, LowRankPair>,
        metadata: BTreeMap<String, String>,
    ) -> Self {
        let shapes = targets.iter().map(|(name, pair)| (name.as_str(), [pair.inputs, pair.outputs]));
        let facts = facts(&shapes.collect());
        Self { facts, keys: 2 * targets.len(), targets, metadata, unmatched: Vec::new(), layout }
    }

    /// The rank that most pairs have, the smaller where two are as frequent.
    pub fn rank(&self) -> usize {
        most_frequent(self.targets.values().map(|pair| pair.rank))
    }

    /// alpha of the pairs that have the usual rank.
    pub fn alpha(&self) -> f64 {
        let rank = self.rank();
        let pair = self.targets.values().find(|pair| pair.rank == rank);
        pair.map(|pair| alpha(pair.scale, rank)).unwrap_or_default()
    }

    /// Share of keys that were understood, 0 to 1.
    pub fn matched_share(&self) -> f64 {
        if self.keys == 0 { 0.0 } else { 1.0 - self.unmatched.len() as f64 / self.keys as f64 }
    }
}

/// The most frequent of some sizes, the smallest where several are as frequent; 0 of none.
pub(super) fn most_frequent(sizes: impl Iterator<Item = usize>) -> usize {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    sizes.for_each(|size| *counts.entry(size).or_default() += 1);
    let most = counts.into_iter().max_by_key(|(size, count)| (*count, std::cmp::Reverse(*size)));
    most.map(|(size, _)| size).unwrap_or_default()
}

/// alpha of a scale and rank, without the digits that single precision makes up.
pub(super) fn alpha(scale: f32, rank: usize) -> f64 {
    const DIGITS: f64 = 1e5;
    (f64::from(scale) * rank as f64 * DIGITS).round() / DIGITS
}

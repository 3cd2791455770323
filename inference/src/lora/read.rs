//! Reads a LoRA file, whatever dialect it speaks.

use std::{collections::BTreeMap, path::Path};

use super::{
    adapter::{Adapter, LowRankPair},
    formats::{self, Group, Survey, peft::StatedAlphas},
};
use crate::{
    error::{Error, Result},
    weights::safetensors::MappedFile,
};

/// Reads a LoRA into pairs under diffusers' names.
///
/// # Errors
/// [`Error::Io`] and [`Error::Weights`] for files that cannot be read or are damaged; [`Error::Lora`] for kinds that
/// are not supported, for FLUX.1's, for pairs that are not whole or hold what is no number, and for files without a
/// pair that is understood.
pub fn read(path: &Path) -> Result<Adapter> {
    let file = MappedFile::open(path)?;
    let survey = formats::survey(file.header())?;
    let alphas = StatedAlphas::read(&file.header().metadata)?;
    let mut targets = BTreeMap::new();
    for group in &survey.groups {
        targets.extend(pairs(&file, group, &alphas)?);
    }
    let Survey { facts, unmatched, keys, layout, .. } = survey;
    Ok(Adapter { facts, targets, metadata: file.header().metadata.clone(), unmatched, keys, layout })
}

/// Reads a LoRA to put it beside a model's weights; keys that are left out are logged.
///
/// # Errors
/// As [`read`].
pub fn read_to_use(path: &Path) -> Result<Adapter> {
    let adapter = read(path)?;
    if !adapter.unmatched.is_empty() {
        tracing::warn!(file = %path.display(), keys = ?adapter.unmatched, "keys of a LoRA are not understood and left out");
    }
    Ok(adapter)
}

/// The scale of a group's pair: alpha / rank.
pub(super) fn scale(file: &MappedFile, group: &Group, alphas: &StatedAlphas) -> Result<f32> {
    let scale = match &group.alpha {
        Some(key) => file.number(key)? / group.rank as f32,
        None => alphas.scale(group.mapping.modules.first().map(String::as_str).unwrap_or_default(), group.rank),
    };
    if scale.is_finite() { Ok(scale) } else { Err(not_a_number(&group.name)) }
}

fn not_a_number(module: &str) -> Error {
    Error::Lora(format!("The pair of `{module}` holds values that are no numbers; train or export the LoRA again."))
}

/// The pairs of the modules that share a group.
fn pairs(file: &MappedFile, group: &Group, alphas: &StatedAlphas) -> Result<Vec<(String, LowRankPair)>> {
    let scale = scale(file, group, alphas)?;
    let (a, mut b) = (file.floats(&group.down)?, file.floats(&group.up)?);
    if a.iter().chain(&b).any(|value| !value.is_finite()) {
        return Err(not_a_number(&group.name));
    }
    let Group { mapping, rank, inputs, outputs, kernel, .. } = group;
    if mapping.swaps_halves {
        b.rotate_left(outputs / 2 * rank);
    }
    let whole = LowRankPair { a, b, rank: *rank, inputs: *inputs, outputs: *outputs, kernel: *kernel, scale };
    if let [module] = mapping.modules.as_slice() {
        return Ok(vec![(module.clone(), whole)]);
    }
    let parts = mapping.modules.iter().cloned().zip(split(&whole, mapping.modules.len()));
    Ok(parts.filter_map(|(module, part)| Some((module, part?))).collect())
}

/// A joined projection's pair as pairs of its parts, each with its rows of B. Ranks that have no weight in a part are
/// left out there, which changes nothing: so pairs that were joined block by block come apart as they were, and a
/// part that was not adapted is none. A pair that is zero as a whole was not trained yet, and keeps its rank in every
/// part.
fn split(whole: &LowRankPair, parts: usize) -> Vec<Option<LowRankPair>> {
    let rows = whole.outputs / parts;
    let is_untrained = whole.b.iter().all(|value| *value == 0.0);
    let part = |b: &[f32]| {
        let is_used =
            |rank: &usize| is_untrained || b.iter().skip(*rank).step_by(whole.rank).any(|value| *value != 0.0);
        let used: Vec<usize> = (0..whole.rank).filter(is_used).collect();
        let a =
            used.iter().flat_map(|rank| &whole.a[rank * whole.inputs..(rank + 1) * whole.inputs]).copied().collect();
        let b = b.chunks_exact(whole.rank).flat_map(|row| used.iter().map(|rank| row[*rank])).collect();
        let pair = LowRankPair { a, b, rank: used.len(), outputs: rows, ..whole.clone() };
        (pair.rank > 0).then_some(pair)
    };
    whole.b.chunks_exact(rows * whole.rank).map(part).collect()
}

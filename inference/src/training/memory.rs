//! How much memory a training takes, before it begins.

use serde::{Deserialize, Serialize};

use super::spec::TrainingSpec;
use crate::{
    error::{Error, Result},
    model::ModelFacts,
};

/// An estimate of memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryEstimate {
    /// Adapters, their gradients and the optimiser's state.
    pub adapters: u64,
    /// What is kept of a step until its gradients are there.
    pub activations: u64,
    /// Latents and contexts.
    pub cache: u64,
    /// All together, beside the model's weights, which are loaded already.
    pub bytes: u64,
    /// What the machine has left; nothing where it does not say.
    pub available: Option<u64>,
}

impl MemoryEstimate {
    /// Refuses what cannot fit.
    ///
    /// # Errors
    /// [`Error::Memory`] with both numbers.
    pub fn check(&self) -> Result<()> {
        match self.available {
            Some(available) if available < self.bytes => Err(Error::Memory(format!(
                "This training needs about {} of memory ({} for what a step keeps) and {} are free. Use a smaller resolution, batch or \
                 rank, or a device with more memory.",
                readable(self.bytes),
                readable(self.activations),
                readable(available),
            ))),
            _ => Ok(()),
        }
    }
}

fn readable(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 { format!("{mebibytes:.0} MiB") } else { format!("{:.1} GiB", mebibytes / 1024.0) }
}

/// Bytes of a number in f32.
const NUMBER: u64 = 4;

/// Tokens of a prompt, at most.
const LONGEST_PROMPT: u64 = 512;

/// Numbers that a block keeps for each token and each feature of its width: inputs of its linear layers and of what is
/// element by element, forward and backward.
const KEPT_A_FEATURE: u64 = 40;

/// Estimates what a training takes beside the model's weights.
pub fn estimate(facts: &ModelFacts, spec: &TrainingSpec) -> MemoryEstimate {
    let (hidden, context) = (u64::from(facts.hidden_width), u64::from(facts.context_width));
    let resolution = u64::from(spec.resolution.unwrap_or(facts.native_width));
    let picture_tokens = (resolution / u64::from(facts.size_multiple.max(1))).pow(2);
    let text_tokens = LONGEST_PROMPT;
    let tokens = picture_tokens + text_tokens;
    let blocks = u64::from(facts.blocks);
    let batch = u64::from(spec.batch_size);
    // Features in and out of a block's linear layers together are about 24 times its width. Weights, gradients, two moments.
    let adapters = blocks * u64::from(spec.rank) * 24 * hidden * NUMBER * 4;
    // Scores of all heads: a head is 128 wide in the published models, never less than 16.
    let heads = (hidden / 128).max(1);
    let scores = 3 * heads * tokens * tokens;
    let activations = batch * blocks * (tokens * hidden * KEPT_A_FEATURE + scores) * NUMBER;
    let views = spec.pictures.len() as u64 * u64::from(spec.repeats);
    let cache =
        views * picture_tokens * 128 * NUMBER + (spec.pictures.len() as u64 + 1) * text_tokens * context * NUMBER;
    MemoryEstimate { adapters, activations, cache, bytes: adapters + activations + cache, available: available() }
}

/// What the system has left, as Linux says it.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

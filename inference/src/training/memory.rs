//! How much memory a training takes, before it begins. What a step keeps is each family's own to say.

use burn::tensor::{Element, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    memory::readable,
    nn::attention::keeps_scores,
};

/// An estimate of memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryEstimate {
    /// Adapters, their gradients and the optimiser's state.
    pub adapters: u64,
    /// What is kept of a step until its gradients are there.
    pub activations: u64,
    /// Whether gradients are checkpointed: of a step is kept what goes from block to block, and blocks are computed twice.
    pub checkpointing: bool,
    /// Latents and contexts.
    pub cache: u64,
    /// All together, beside the model's weights, which are loaded already.
    pub bytes: u64,
    /// What the device has left; nothing where it does not say.
    pub available: Option<u64>,
}

/// What a step keeps, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Everything that gradients need.
    pub(super) whole: u64,
    /// What goes from block to block, and everything of the largest block.
    pub(super) checkpointed: u64,
}

impl MemoryEstimate {
    /// An estimate from its parts, in bytes. Gradients are checkpointed as the person says, else where they have to be.
    pub(super) fn of(adapters: u64, kept: Kept, cache: u64, available: Option<u64>, says: Option<bool>) -> Self {
        let whole = adapters + kept.whole + cache;
        let checkpointing = says.unwrap_or(available.is_some_and(|available| available < whole));
        let activations = if checkpointing { kept.checkpointed } else { kept.whole };
        Self { adapters, activations, checkpointing, cache, bytes: adapters + activations + cache, available }
    }

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

/// Bytes of a number in f32.
pub(super) const NUMBER: u64 = 4;

/// Numbers that a transformer block keeps for each token and each feature of its width: inputs of its linear layers and of
/// what is element by element, forward and backward.
pub(super) const KEPT_A_FEATURE: u64 = 40;

/// Numbers that a step of the optimiser needs for each number that is learnt: weights, their average, gradients, two moments, and what it
/// makes of them.
pub(super) const OF_OPTIMISER: u64 = 8;

/// Numbers that attention with heads of a width keeps for so many scores: the scores and what becomes of them, or none where they
/// are computed again.
pub(super) fn kept_scores<B: Backend>(device: &B::Device, scores: u64, width: usize) -> u64 {
    if keeps_scores::<B>(device, width) { 3 * scores } else { 0 }
}

/// Bytes of a number that a step keeps.
pub(super) fn kept_number<B: Backend>() -> u64 {
    <B::FloatElem as Element>::dtype().size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_fit_is_refused_with_both_numbers() {
        let kept = Kept { whole: 3 << 30, checkpointed: 1 << 30 };
        let estimate = MemoryEstimate::of(1 << 20, kept, 1 << 20, None, None);
        assert_eq!(estimate.bytes, (3 << 30) + (2 << 20));
        let refusal = MemoryEstimate { available: Some(1 << 30), ..estimate }.check().unwrap_err().to_string();
        assert!(refusal.contains("3.0 GiB") && refusal.contains("1.0 GiB"), "{refusal}");
        MemoryEstimate { available: Some(4 << 30), ..estimate }.check().unwrap();
        MemoryEstimate { available: None, ..estimate }.check().unwrap();
    }

    #[test]
    fn gradients_are_checkpointed_where_they_have_to_be() {
        let kept = Kept { whole: 3 << 30, checkpointed: 1 << 30 };
        let of = |available, says| MemoryEstimate::of(1 << 20, kept, 1 << 20, available, says);
        assert!(!of(Some(4 << 30), None).checkpointing && !of(None, None).checkpointing);
        let little = of(Some(2 << 30), None);
        assert!(little.checkpointing && little.activations == 1 << 30);
        little.check().unwrap();
        assert!(of(Some(4 << 30), Some(true)).checkpointing);
        of(Some(2 << 30), Some(false)).check().unwrap_err();
    }
}

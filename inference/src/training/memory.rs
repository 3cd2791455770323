//! How much memory a training takes, before it begins. What a step keeps is each family's own to say.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    memory,
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
    /// An estimate from its parts, in bytes.
    pub(super) fn of(adapters: u64, activations: u64, cache: u64) -> Self {
        Self { adapters, activations, cache, bytes: adapters + activations + cache, available: memory::available() }
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

fn readable(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 { format!("{mebibytes:.0} MiB") } else { format!("{:.1} GiB", mebibytes / 1024.0) }
}

/// Bytes of a number in f32.
pub(super) const NUMBER: u64 = 4;

/// Numbers that a transformer block keeps for each token and each feature of its width: inputs of its linear layers and of
/// what is element by element, forward and backward.
pub(super) const KEPT_A_FEATURE: u64 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_fit_is_refused_with_both_numbers() {
        let estimate = MemoryEstimate::of(1 << 20, 3 << 30, 1 << 20);
        assert_eq!(estimate.bytes, (3 << 30) + (2 << 20));
        let refusal = MemoryEstimate { available: Some(1 << 30), ..estimate }.check().unwrap_err().to_string();
        assert!(refusal.contains("3.0 GiB") && refusal.contains("1.0 GiB"), "{refusal}");
        MemoryEstimate { available: Some(4 << 30), ..estimate }.check().unwrap();
        MemoryEstimate { available: None, ..estimate }.check().unwrap();
    }
}

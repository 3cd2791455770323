//! LoRAs that a training goes on from. What it would not train it would lose, so that a LoRA with such layers is refused by
//! name before anything is begun.

use std::path::Path;

use super::{
    flux2,
    layers::TrainedLayers,
    sdxl,
    spec::{HIGHEST_ALPHA, HIGHEST_RANK},
};
use crate::{
    error::{Error, Result},
    lora::{Adapter, Family, read::read},
};

/// Reads a LoRA to go on from.
///
/// # Errors
/// As reading it; [`Error::Lora`] with the first key that is not understood, or the first module that no training trains.
pub fn read_continued(path: &Path) -> Result<Adapter> {
    let adapter = read(path)?;
    if let Some(key) = adapter.unmatched.first() {
        return Err(Error::Lora(format!(
            "The LoRA to go on from has keys that are not understood, such as `{key}`, and a training would lose them. Go \
             on from a LoRA whose keys are all understood."
        )));
    }
    let (is_trained, trained): (fn(&str, TrainedLayers) -> bool, &str) = match adapter.facts.family {
        Family::Flux2 => (flux2::is_trained, "the blocks, of what leads into and out of them, and of the modulations"),
        Family::Sdxl => (sdxl::is_trained_module, "the UNet's transformers"),
        Family::Sd1 => {
            let sentence = "LoRAs for Stable Diffusion 1 are not trained. Go on from one for SDXL or FLUX.2.";
            return Err(Error::Lora(sentence.to_owned()));
        }
    };
    if let Some((module, pair)) = adapter.targets.iter().find(|(module, _)| !is_trained(module, TrainedLayers::All)) {
        let kind = if pair.kernel.is_some() { "the convolution " } else { "" };
        return Err(Error::Lora(format!(
            "The LoRA to go on from adapts {kind}`{module}`, which is not trained here and would be lost. Go on from a LoRA \
             that adapts nothing but linear layers of {trained}."
        )));
    }
    let (rank, alpha) = (adapter.rank(), adapter.alpha());
    if rank > HIGHEST_RANK as usize || !(alpha > 0.0 && alpha <= HIGHEST_ALPHA) {
        return Err(Error::Lora(format!(
            "The LoRA to go on from has rank {rank} and alpha {alpha}. Trained are ranks up to {HIGHEST_RANK} and alphas \
             above 0 and up to {HIGHEST_ALPHA}."
        )));
    }
    Ok(adapter)
}

/// Checks whether a training can go on from a LoRA, whatever model it is for.
///
/// # Errors
/// As reading it; [`Error::Lora`] with what of it would be lost.
pub fn check_continued(path: &Path) -> Result<()> {
    read_continued(path).map(drop)
}

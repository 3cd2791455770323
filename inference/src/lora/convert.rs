//! Writes a LoRA file in another layout; its metadata goes with it.

use std::{collections::BTreeMap, path::Path};

use super::{
    read::read,
    save::{Layout, left_out, save},
};
use crate::error::{Error, Result};

/// Converts a file, and gives what programs leave out of the new one, in sentences. What it changes in a model stays the same
/// up to the rounding of bf16. `metadata` goes into the header of the new file in place of what stands there under its keys.
///
/// # Errors
/// Those of [`read`] and [`save`], and [`Error::Lora`] for a file with keys that are not understood: they would be
/// lost.
pub fn convert(path: &Path, layout: Layout, metadata: &BTreeMap<String, String>, out: &Path) -> Result<Vec<String>> {
    let mut adapter = read(path)?;
    if let Some(first) = adapter.unmatched.first() {
        return Err(Error::Lora(format!(
            "{} of the LoRA's {} keys are not understood (such as `{first}`) and would be lost; take the file as it came.",
            adapter.unmatched.len(),
            adapter.keys,
        )));
    }
    adapter.metadata.extend(metadata.iter().map(|(key, text)| (key.clone(), text.clone())));
    save(&adapter, layout, out)?;
    Ok(left_out(&adapter, layout))
}

//! What a training needs to go on where it was: one file, which appears whole or not at all.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::optimiser::Tensors;
use crate::{
    error::{Error, Result},
    progress::EpochOutput,
};

/// Under which key of the header the state stands.
const STATE: &str = "atelier.training_state";

/// Where a training is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Which training this is of.
    pub fingerprint: String,
    /// Steps that were made.
    pub step: u32,
    /// Sum of the losses of this epoch's steps so far.
    pub loss_sum: f32,
    /// Loss on held-out pictures without the LoRA.
    pub base_loss: Option<f32>,
    /// Whether gradients are checkpointed.
    #[serde(default)]
    pub checkpointing: bool,
    /// Epochs that have ended.
    pub epochs: Vec<EpochOutput>,
    /// Seconds so far.
    pub seconds: f64,
}

fn file(directory: &Path) -> PathBuf {
    directory.join("checkpoint.safetensors")
}

/// Writes a checkpoint.
///
/// # Errors
/// When the disk is full or the directory may not be written.
pub fn save(directory: &Path, state: &State, tensors: &Tensors) -> Result<()> {
    let file = file(directory);
    let failed =
        |error: &dyn std::fmt::Display| Error::Weights(format!("`{}` cannot be written: {error}.", file.display()));
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        TensorView::new(Dtype::F32, (*shape).clone(), bytes)
            .map(|view| ((*name).clone(), view))
            .map_err(|error| failed(&error))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    let json = serde_json::to_string(state).map_err(|error| failed(&error))?;
    let written = safetensors::serialize(views, Some(HashMap::from([(STATE.to_owned(), json)])))
        .map_err(|error| failed(&error))?;
    let partial = file.with_extension("partial");
    let mut handle = std::fs::File::create(&partial).map_err(Error::io(&partial))?;
    std::io::Write::write_all(&mut handle, &written).map_err(Error::io(&partial))?;
    // On the disk before it takes the old one's place.
    handle.sync_all().map_err(Error::io(&partial))?;
    std::fs::rename(&partial, &file).map_err(Error::io(&file))
}

/// Reads the checkpoint of a directory, if there is one.
///
/// # Errors
/// When it is damaged, or of another training.
pub fn load(directory: &Path, fingerprint: &str) -> Result<Option<(State, Tensors)>> {
    let file = file(directory);
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::Io { path: file, source: error }),
    };
    let damaged = |what: String| {
        Error::Weights(format!("The checkpoint `{}` is damaged: {what}. Remove it to begin again.", file.display()))
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
    let json = header.metadata().as_ref().and_then(|metadata| metadata.get(STATE));
    let json = json.ok_or_else(|| damaged("it does not say where the training was".to_owned()))?;
    let state: State = serde_json::from_str(json).map_err(|error| damaged(error.to_string()))?;
    if state.fingerprint != fingerprint {
        return Err(Error::Input(format!(
            "`{}` holds the checkpoint of a training with another base model, other pictures or other settings. Use another directory, or remove it.",
            directory.display()
        )));
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let mut read = Tensors::new();
    for (name, view) in tensors.iter() {
        let values = view.data().chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        read.insert(name.to_owned(), (view.shape().to_vec(), values.collect()));
    }
    Ok(Some((state, read)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_to_the_bit_and_only_to_its_own_training() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(load(directory.path(), "a").expect("none is no error"), None);
        let state = State { fingerprint: "a".to_owned(), step: 3, loss_sum: 0.1, ..State::default() };
        let tensors = Tensors::from([("x.A.weight".to_owned(), (vec![1, 3], vec![0.1, f32::MIN_POSITIVE, -1e30]))]);
        save(directory.path(), &state, &tensors).expect("it is written");
        assert_eq!(load(directory.path(), "a").expect("it is read"), Some((state, tensors)));
        assert!(matches!(load(directory.path(), "b"), Err(Error::Input(_))));
        let file = file(directory.path());
        let bytes = std::fs::read(&file).expect("it is there");
        std::fs::write(&file, &bytes[..bytes.len() - 5]).expect("it is written");
        assert!(matches!(load(directory.path(), "a"), Err(Error::Weights(_))));
    }
}

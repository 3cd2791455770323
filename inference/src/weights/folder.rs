//! Model folders in diffusers' layout.

use std::path::{Path, PathBuf};

use serde::{Deserialize, de::DeserializeOwned};

use crate::error::{Error, Result};

/// Reads a JSON file.
///
/// # Errors
/// When it is missing or not understood, by name.
pub fn read_json<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = std::fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::Folder(format!(
            "`{}` is missing. A model folder has model_index.json and a folder for each of its parts; check the path.",
            file.display()
        )),
        _ => Error::Io { path: file.to_owned(), source: error },
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Error::Config(format!("`{}` is not understood: {error}.", file.display())))
}

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: std::collections::BTreeMap<String, String>,
}

/// How weights are called, and the precisions that they come in as their names say it. The full one is taken where it is
/// there.
const NAMES: [&str; 2] = ["diffusion_pytorch_model", "model"];
const PRECISIONS: [&str; 3] = ["", ".fp16", ".bf16"];

/// The weight files of a component: one, or the shards that its index names.
///
/// # Errors
/// When there are none, or a shard is missing.
pub fn weight_files(component: &Path) -> Result<Vec<PathBuf>> {
    for (precision, name) in PRECISIONS.iter().flat_map(|precision| NAMES.map(|name| (precision, name))) {
        let index = component.join(format!("{name}.safetensors.index{precision}.json"));
        if index.exists() {
            let index: ShardIndex = read_json(&index)?;
            let shards: std::collections::BTreeSet<String> = index.weight_map.into_values().collect();
            return shards.into_iter().map(|shard| present(component.join(shard))).collect();
        }
        let single = component.join(format!("{name}{precision}.safetensors"));
        if single.exists() {
            return Ok(vec![single]);
        }
    }
    Err(Error::Folder(format!(
        "`{}` holds no weights: no .safetensors file or index of shards. Fetch the folder again.",
        component.display()
    )))
}

fn present(file: PathBuf) -> Result<PathBuf> {
    if file.exists() {
        return Ok(file);
    }
    Err(Error::Folder(format!("The shard `{}` is missing. Fetch the folder again.", file.display())))
}

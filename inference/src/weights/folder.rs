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

/// How the weights of a component are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightName {
    /// What the name begins with.
    pub stem: &'static str,
    /// The precision, as the name says it: empty for the full one.
    pub precision: &'static str,
}

impl WeightName {
    const STEMS: [&'static str; 2] = ["diffusion_pytorch_model", "model"];
    const PRECISIONS: [&'static str; 3] = ["", ".fp16", ".bf16"];

    /// All names, in the order in which they are looked for: the full precision is taken where it is there.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PRECISIONS.into_iter().flat_map(|precision| Self::STEMS.map(|stem| Self { stem, precision }))
    }

    /// The file that says in which shard a tensor lies.
    pub fn index(&self) -> String {
        format!("{}.safetensors.index{}.json", self.stem, self.precision)
    }

    /// The file where there is only one.
    pub fn single(&self) -> String {
        format!("{}{}.safetensors", self.stem, self.precision)
    }
}

/// The weight files of a component: one, or the shards that its index names.
///
/// # Errors
/// When there are none, or a shard is missing.
pub fn weight_files(component: &Path) -> Result<Vec<PathBuf>> {
    for name in WeightName::all() {
        let index = component.join(name.index());
        if index.exists() {
            let index: ShardIndex = read_json(&index)?;
            let shards: std::collections::BTreeSet<String> = index.weight_map.into_values().collect();
            return shards.into_iter().map(|shard| present(component.join(shard))).collect();
        }
        let single = component.join(name.single());
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

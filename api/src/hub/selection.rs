//! Which files of a repository a model folder in diffusers' layout needs. A repository often holds the same weights in
//! several forms; those are taken that are read.

use atelier_worker::inference::weights::folder::WeightName;
use serde_json::{Map, Value};

use super::model_info::RemoteFile;

/// What a model folder begins with.
pub const MODEL_INDEX: &str = "model_index.json";

/// How files end that hold weights, in whatever form.
const WEIGHT_ENDINGS: &[&str] =
    &[".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".onnx", ".onnx_data", ".msgpack", ".h5", ".gguf"];

/// How files end that a part's configuration or tokenizer is made of.
const CONFIGURATION_ENDINGS: &[&str] = &[".json", ".txt", ".model", ".jinja"];

/// The files that are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Small ones: what the model is, how text becomes tokens, what may be done with it.
    pub configuration: Vec<RemoteFile>,
    /// Large ones.
    pub weights: Vec<RemoteFile>,
}

impl Selection {
    /// All of them, small ones first.
    pub fn files(&self) -> impl Iterator<Item = &RemoteFile> {
        self.configuration.iter().chain(&self.weights)
    }
}

/// The weights of a part.
#[derive(Default)]
struct Weights<'a> {
    /// Which tensor lies in which shard.
    index: Option<&'a RemoteFile>,
    /// The shards, or the only file.
    files: Vec<&'a RemoteFile>,
}

/// Chooses among the files of a repository, by its `model_index.json`.
///
/// # Errors
/// A sentence when a part is missing, or has weights in forms only that are not read.
pub fn select(model_index: &[u8], files: &[RemoteFile]) -> Result<Selection, String> {
    let mut selection = Selection::default();
    selection.configuration.extend(files.iter().filter(|file| is_of_the_whole(&file.path)).cloned());
    for part in parts(model_index)? {
        let inside = |file: &&RemoteFile| name_in(&part, &file.path).is_some();
        let files: Vec<&RemoteFile> = files.iter().filter(inside).collect();
        if files.is_empty() {
            return Err(format!(
                "`{MODEL_INDEX}` names the part `{part}`, and the repository has no such folder. Choose another \
                 repository or `--revision`."
            ));
        }
        let configuration = files.iter().filter(|file| is_configuration(name(&file.path)));
        selection.configuration.extend(configuration.copied().cloned());
        let weights = weights(&part, &files)?;
        selection.configuration.extend(weights.index.cloned());
        selection.weights.extend(weights.files.into_iter().cloned());
    }
    Ok(selection)
}

/// The folders of a model: what its index gives a library and a class.
///
/// # Errors
/// A sentence when the index is not understood.
pub fn parts(model_index: &[u8]) -> Result<Vec<String>, String> {
    let index: Map<String, Value> = serde_json::from_slice(model_index)
        .map_err(|error| format!("`{MODEL_INDEX}` is not understood: {error}. Choose another repository."))?;
    let is_part = |value: &Value| value.as_array().is_some_and(|pair| pair.get(1).is_some_and(Value::is_string));
    Ok(index.into_iter().filter(|(_, value)| is_part(value)).map(|(name, _)| name).collect())
}

/// What belongs to the model as a whole: its index, its card, its licence.
fn is_of_the_whole(path: &str) -> bool {
    let upper = path.to_uppercase();
    !path.contains('/')
        && (path == MODEL_INDEX
            || upper == "README.MD"
            || ["LICENSE", "LICENCE", "NOTICE"].iter().any(|start| upper.starts_with(start)))
}

/// The name of a file that lies directly in a part's folder.
fn name_in<'a>(part: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(part)?.strip_prefix('/').filter(|name| !name.contains('/'))
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Indexes of shards are left out: one is taken with its weights.
fn is_configuration(name: &str) -> bool {
    CONFIGURATION_ENDINGS.iter().any(|ending| name.ends_with(ending)) && !name.contains(".safetensors.index.")
}

/// The weights of a part, as the reader of model folders looks for them: shards with their index before a single file.
/// A part without weights, such as a tokenizer, has none.
fn weights<'a>(part: &str, files: &[&'a RemoteFile]) -> Result<Weights<'a>, String> {
    let find = |wanted: &str| files.iter().copied().find(|file| name(&file.path) == wanted);
    for name in WeightName::all() {
        if let Some(index) = find(&name.index()) {
            return Ok(Weights { index: Some(index), files: shards(part, name, files)? });
        }
        if let Some(single) = find(&name.single()) {
            return Ok(Weights { index: None, files: vec![single] });
        }
    }
    let others: Vec<String> = files
        .iter()
        .map(|file| name(&file.path))
        .filter(|name| WEIGHT_ENDINGS.iter().any(|ending| name.ends_with(ending)))
        .map(|name| format!("`{name}`"))
        .collect();
    if others.is_empty() {
        return Ok(Weights::default());
    }
    Err(format!(
        "The part `{part}` has its weights as {} only. Files of the format .safetensors are read, whole or in fp16 or \
         bf16. Choose another repository or `--revision`.",
        others.join(", ")
    ))
}

/// Every shard of some weights: their names say how many there are.
fn shards<'a>(part: &str, called: WeightName, files: &[&'a RemoteFile]) -> Result<Vec<&'a RemoteFile>, String> {
    let mut found: Vec<(&RemoteFile, usize, usize)> = Vec::new();
    for file in files {
        if let Some((number, count)) = shard(called, name(&file.path)) {
            found.push((file, number, count));
        }
    }
    found.sort_by_key(|(_, number, _)| *number);
    let count = found.first().map_or(0, |(_, _, count)| *count);
    let is_whole =
        count == found.len() && found.iter().enumerate().all(|(at, (_, number, of))| *number == at + 1 && *of == count);
    if found.is_empty() || !is_whole {
        return Err(format!(
            "The weights of the part `{part}` are in shards, and not all of them are there. Choose another repository \
             or `--revision`."
        ));
    }
    Ok(found.into_iter().map(|(file, ..)| file).collect())
}

/// Reads `STEM-00001-of-00003.safetensors`, and of a precision `STEM.fp16-00001-of-00003.safetensors` or
/// `STEM-00001-of-00003.fp16.safetensors`.
fn shard(WeightName { stem, precision }: WeightName, name: &str) -> Option<(usize, usize)> {
    let rest = name.strip_prefix(stem)?.strip_suffix(".safetensors")?;
    let numbers = rest.strip_prefix(precision).or_else(|| rest.strip_suffix(precision))?.strip_prefix('-')?;
    let (number, count) = numbers.split_once("-of-")?;
    Some((number.parse().ok()?, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::digest::Expected;

    const INDEX: &str = r#"{ "_class_name": "X", "force": true, "image_encoder": [null, null],
        "unet": ["diffusers", "UNet"], "tokenizer": ["transformers", "T"] }"#;

    fn chosen(paths: &[&str]) -> Result<(Vec<String>, Vec<String>), String> {
        let files: Vec<RemoteFile> = paths
            .iter()
            .map(|path| RemoteFile { path: (*path).into(), size: 1, expected: Expected::GitBlob(String::new()) })
            .collect();
        let selection = select(INDEX.as_bytes(), &files)?;
        let paths = |files: Vec<RemoteFile>| files.into_iter().map(|file| file.path).collect();
        Ok((paths(selection.configuration), paths(selection.weights)))
    }

    #[test]
    fn what_a_folder_needs_is_taken_and_nothing_else() {
        let (configuration, weights) = chosen(&[
            ".gitattributes",
            "01.png",
            "LICENSE.md",
            "README.md",
            "image_encoder/config.json",
            "model_index.json",
            "sd_xl_base_1.0.safetensors",
            "tokenizer/merges.txt",
            "tokenizer/vocab.json",
            "unet/config.json",
            "unet/diffusion_flax_model.msgpack",
            "unet/diffusion_pytorch_model.bin",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "unet/diffusion_pytorch_model.safetensors",
            "unet/model.onnx",
            "unet/old/config.json",
            "vae_1_0/config.json",
            "vae_1_0/diffusion_pytorch_model.safetensors",
        ])
        .unwrap();
        assert_eq!(
            configuration,
            [
                "LICENSE.md",
                "README.md",
                "model_index.json",
                "unet/config.json",
                "tokenizer/merges.txt",
                "tokenizer/vocab.json"
            ]
        );
        assert_eq!(weights, ["unet/diffusion_pytorch_model.safetensors"]);
    }

    #[test]
    fn shards_come_with_their_index_and_are_all_there() {
        let index = "unet/diffusion_pytorch_model.safetensors.index.json";
        let shard = |number: u32| format!("unet/diffusion_pytorch_model-0000{number}-of-00002.safetensors");
        let (first, second) = (shard(1), shard(2));
        let variant = "unet/diffusion_pytorch_model.fp16.safetensors.index.json";
        let (configuration, weights) = chosen(&[
            "tokenizer/vocab.json",
            variant,
            index,
            &second,
            &first,
            "unet/diffusion_pytorch_model.safetensors",
        ])
        .unwrap();
        assert_eq!(configuration, [index, "tokenizer/vocab.json"]);
        assert_eq!(weights, [first.clone(), second]);
        let sentence = chosen(&["tokenizer/vocab.json", index, &first]).unwrap_err();
        assert!(sentence.contains("not all of them"), "{sentence}");
    }

    #[test]
    fn half_precision_is_taken_where_there_is_nothing_else() {
        let single = "unet/diffusion_pytorch_model.fp16.safetensors";
        let (_, weights) = chosen(&["tokenizer/vocab.json", "unet/config.json", single]).unwrap();
        assert_eq!(weights, [single]);
        let index = "unet/diffusion_pytorch_model.safetensors.index.fp16.json";
        for shards in [
            ["fp16-00001-of-00002", "fp16-00002-of-00002"]
                .map(|end| format!("unet/diffusion_pytorch_model.{end}.safetensors")),
            ["00001-of-00002", "00002-of-00002"]
                .map(|end| format!("unet/diffusion_pytorch_model-{end}.fp16.safetensors")),
        ] {
            let (configuration, weights) =
                chosen(&["tokenizer/vocab.json", "unet/config.json", index, &shards[0], &shards[1]]).unwrap();
            assert_eq!(configuration, ["unet/config.json", index, "tokenizer/vocab.json"]);
            assert_eq!(weights, shards);
        }
    }

    #[test]
    fn weights_that_are_not_read_are_said() {
        let only_fp8 = chosen(&["tokenizer/vocab.json", "unet/diffusion_pytorch_model.fp8.safetensors"]);
        assert!(only_fp8.unwrap_err().contains("in fp16 or bf16"));
        assert!(chosen(&["tokenizer/vocab.json", "unet/pytorch_model.bin"]).unwrap_err().contains("pytorch_model.bin"));
        assert!(chosen(&["unet/model.safetensors"]).unwrap_err().contains("`tokenizer`"));
    }
}

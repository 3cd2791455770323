//! The starter model's folder, carried in the program.

use std::{fs, path::Path};

use sha2::{Digest, Sha256};

use anyhow::Context as _;

macro_rules! bundle {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../inference/starter/", $name)))),*]
    };
}

/// Every file of the folder, with its bytes.
const FILES: &[(&str, &[u8])] = bundle![
    "model_index.json",
    "README.md",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
];

/// Says which bundle a folder holds; it is written last, so that a folder without it is not whole.
const MARK: &str = ".bundle";

/// Writes the starter model into a folder, unless this very model lies there already.
///
/// # Errors
/// When the folder cannot be written.
pub fn unpack(folder: &Path) -> anyhow::Result<()> {
    let digest = digest();
    let mark = folder.join(MARK);
    if fs::read_to_string(&mark).is_ok_and(|found| found == digest) {
        return Ok(());
    }
    for (name, bytes) in FILES {
        write(&folder.join(name), bytes)?;
    }
    write(&mark, digest.as_bytes())
}

/// A name for exactly these files.
fn digest() -> String {
    let mut hasher = Sha256::new();
    for (name, bytes) in FILES {
        hasher.update(name.as_bytes());
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file so that whoever has the old one mapped keeps it, and nobody sees half of the new one.
fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).with_context(|| failed(parent))?;
    }
    let partial = file.with_extension(format!("{}.partial", std::process::id()));
    fs::write(&partial, bytes).with_context(|| failed(&partial))?;
    fs::rename(&partial, file).with_context(|| failed(file))
}

fn failed(path: &Path) -> String {
    format!(
        "The starter model cannot be written to `{}`. Check who may write there and that the disk has room.",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_whole_is_made_whole() {
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path()).unwrap();
        let index = folder.path().join("model_index.json");
        fs::remove_file(&index).unwrap();
        // The mark says that everything is there: what people change afterwards is theirs.
        unpack(folder.path()).unwrap();
        assert!(!index.exists());
        fs::remove_file(folder.path().join(MARK)).unwrap();
        unpack(folder.path()).unwrap();
        assert!(index.exists());
        let bytes: usize = FILES.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes <= 24 << 20, "the bundle has {bytes} bytes");
    }
}

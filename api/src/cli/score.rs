//! `atelier score`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use atelier_worker::inference::{Picture, Scorer};
use clap::Parser;

use super::say;
use crate::config::DeviceSettings;

/// Say how well pictures show a prompt, and how good they are.
///
/// With `--clip`, adherence is CLIP's cosine between prompt and picture, and the aesthetic score that of the head which lies
/// beside CLIP's weights as `aesthetic.safetensors`. Without it there are technical measures only: sharpness, exposure, noise
/// and JPEG's blocks.
#[derive(Parser, Debug)]
pub struct Score {
    /// PNG, JPEG or WebP files
    #[arg(required = true)]
    pictures: Vec<PathBuf>,

    /// What the pictures were to show
    #[arg(long)]
    prompt: Option<String>,

    /// Folder of a CLIP model as transformers writes it
    #[arg(long, value_name = "DIR")]
    clip: Option<PathBuf>,

    #[command(flatten)]
    device: DeviceSettings,
}

impl Score {
    /// Prints one JSON line a picture.
    ///
    /// # Errors
    /// When a picture or the folder cannot be read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let scorer = match &self.clip {
            Some(folder) => Scorer::load(folder, &self.device.device, self.device.precision())?,
            None => Scorer::without_weights(),
        };
        for file in &self.pictures {
            let bytes = std::fs::read(file).with_context(|| format!("`{}` cannot be read.", file.display()))?;
            let picture = Picture::decode(&bytes).with_context(|| format!("`{}` cannot be scored.", file.display()))?;
            let score = scorer.score(&picture, self.prompt.as_deref())?;
            let mut line = serde_json::to_value(score)?;
            line["picture"] = file.display().to_string().into();
            say(line.to_string());
        }
        Ok(ExitCode::SUCCESS)
    }
}

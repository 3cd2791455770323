//! `atelier upscale`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use atelier_worker::inference::{Control, Picture, Upscaler};
use clap::Parser;
use indicatif::ProgressBar;

use super::say;
use crate::config::DeviceSettings;

/// Make a picture larger, up to 4096 x 4096.
///
/// With `--weights` it goes through RRDBNet, the network of Real-ESRGAN, in tiles without seams. Without, it is scaled by a
/// Lanczos kernel and its edges are sharpened. The last line says which was used.
#[derive(Parser, Debug)]
pub struct Upscale {
    /// A PNG, JPEG or WebP file
    picture: PathBuf,

    /// The PNG file to write
    out: PathBuf,

    /// How many times larger it becomes
    #[arg(long, default_value_t = 4.0)]
    factor: f64,

    /// A network in Real-ESRGAN's layout, as `.safetensors`
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    #[command(flatten)]
    device: DeviceSettings,
}

impl Upscale {
    /// Writes the larger picture and prints its size and how it was made.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the size is out of bounds.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let bytes =
            std::fs::read(&self.picture).with_context(|| format!("`{}` cannot be read.", self.picture.display()))?;
        let picture = Picture::decode(&bytes)?;
        let upscaler = match &self.weights {
            Some(file) => Upscaler::load(file, &self.device.device)?,
            None => Upscaler::without_weights(),
        };
        let larger = |edge: u32| (f64::from(edge) * self.factor).round() as u32;
        let bar = ProgressBar::new(0);
        let upscaled = upscaler.upscale(&picture, larger(picture.width), larger(picture.height), &mut |done, of| {
            bar.set_length(of.into());
            bar.set_position(done.into());
            Control::Continue
        })?;
        bar.finish_and_clear();
        let file = upscaled.picture.encode_png(&[]);
        std::fs::write(&self.out, file).with_context(|| format!("`{}` cannot be written.", self.out.display()))?;
        say(format!("{} x {} by {}", upscaled.picture.width, upscaled.picture.height, upscaled.method));
        Ok(ExitCode::SUCCESS)
    }
}

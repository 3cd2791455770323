//! The configurations of an SDXL folder together, checked before any weight is read.

use std::path::Path;

use serde::Deserialize;

use super::{autoencoder::AutoencoderConfig, conditioning::SIZES, config::UNetConfig};
use crate::{
    error::{Error, Result},
    schedulers::discrete::DiscreteConfig,
    text::clip::ClipConfig,
    weights::folder,
};

/// The class in `model_index.json` of the folders that are read.
pub const PIPELINE: &str = "StableDiffusionXLPipeline";

/// The configurations of an SDXL folder.
#[derive(Clone, Debug)]
pub struct Configs {
    /// `unet/config.json`.
    pub unet: UNetConfig,
    /// `text_encoder/config.json`.
    pub text_encoder: ClipConfig,
    /// `text_encoder_2/config.json`.
    pub text_encoder_2: ClipConfig,
    /// `vae/config.json`.
    pub autoencoder: AutoencoderConfig,
    /// `scheduler/scheduler_config.json`.
    pub scheduler: DiscreteConfig,
    /// Whether a negative prompt that nobody states is zeros, and not an empty text.
    pub force_zeros_for_empty_prompt: bool,
    /// Steps that `model_index.json` advises.
    pub advised_steps: Option<u32>,
    /// Guidance scale that `model_index.json` advises.
    pub advised_guidance: Option<f64>,
}

#[derive(Deserialize)]
struct ModelIndex {
    #[serde(rename = "_class_name")]
    class_name: String,
    #[serde(default = "yes")]
    force_zeros_for_empty_prompt: bool,
    /// Not a key of diffusers, which passes over what begins with an underscore.
    #[serde(default, rename = "_default_steps")]
    default_steps: Option<u32>,
    #[serde(default, rename = "_default_guidance")]
    default_guidance: Option<f64>,
}

fn yes() -> bool {
    true
}

impl Configs {
    /// Reads the configurations of a folder.
    ///
    /// # Errors
    /// When a file is missing or holds what is not understood, by name.
    pub fn read(folder: &Path) -> Result<Self> {
        let index: ModelIndex = folder::read_json(&folder.join("model_index.json"))?;
        if index.class_name != PIPELINE {
            return Err(Error::Folder(format!(
                "`{}` holds a {}. Folders of SDXL ({PIPELINE}) are read.",
                folder.display(),
                index.class_name
            )));
        }
        let configs = Self {
            unet: folder::read_json(&folder.join("unet/config.json"))?,
            text_encoder: folder::read_json(&folder.join("text_encoder/config.json"))?,
            text_encoder_2: folder::read_json(&folder.join("text_encoder_2/config.json"))?,
            autoencoder: folder::read_json(&folder.join("vae/config.json"))?,
            scheduler: folder::read_json(&folder.join("scheduler/scheduler_config.json"))?,
            force_zeros_for_empty_prompt: index.force_zeros_for_empty_prompt,
            advised_steps: index.default_steps,
            advised_guidance: index.default_guidance,
        };
        configs.check()?;
        Ok(configs)
    }

    /// Whether it was distilled to few steps without guidance. No file says so; the schedule that belongs to it does.
    pub fn is_turbo(&self) -> bool {
        self.scheduler.is_ancestral() && self.scheduler.timestep_spacing == "trailing"
    }

    /// Pixels on a latent's edge: sizes are multiples of it.
    pub fn size_multiple(&self) -> u32 {
        self.autoencoder.stride() as u32
    }

    /// The size in pixels that it was trained for.
    pub fn native_size(&self) -> u32 {
        // 128 latents are what SDXL was published with.
        self.unet.sample_size.unwrap_or(128).saturating_mul(self.size_multiple())
    }

    fn check(&self) -> Result<()> {
        self.scheduler.check()?;
        self.text_encoder.check()?;
        self.text_encoder_2.check()?;
        self.unet.check()?;
        self.autoencoder.check()?;
        let refuse = |what: String| Err(Error::Config(format!("{what} They do not belong together.")));
        let context = self.text_encoder.hidden_size + self.text_encoder_2.hidden_size;
        if self.unet.cross_attention_dim != context {
            return refuse(format!(
                "The UNet's text context is {} wide, and the text encoders make {context}.",
                self.unet.cross_attention_dim
            ));
        }
        let pooled = self.text_encoder_2.projection_dim + SIZES * self.unet.addition_time_embed_dim;
        if self.unet.projection_class_embeddings_input_dim != pooled {
            return refuse(format!(
                "The UNet's `projection_class_embeddings_input_dim` is {}, and the pooled text and sizes make {pooled}.",
                self.unet.projection_class_embeddings_input_dim
            ));
        }
        let latent = self.autoencoder.latent_channels;
        if self.unet.in_channels != latent || self.unet.out_channels != latent {
            return refuse(format!(
                "The UNet takes {} channels to {}, and the autoencoder has {latent}.",
                self.unet.in_channels, self.unet.out_channels
            ));
        }
        Ok(())
    }
}

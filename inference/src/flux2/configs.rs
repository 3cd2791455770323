//! The configurations of a FLUX.2 folder together, checked before any weight is read.

use std::{fmt, path::Path};

use serde::Deserialize;

use super::{autoencoder::AutoencoderConfig, config::Flux2TransformerConfig};
use crate::{
    error::{Error, Result},
    schedulers::flow_match_euler::FlowMatchEulerConfig,
    text::{
        decoder::DecoderConfig,
        mistral::{self, Mistral3Config},
        qwen3::{self, Qwen3Config},
    },
    weights::folder,
};

/// The models that folders hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// FLUX.2 [klein]: Qwen3 reads the prompt, and guidance, where there is any, is classifier-free.
    Klein,
    /// FLUX.2 [dev]: Mistral reads the prompt, and guidance is embedded.
    Dev,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Klein, Self::Dev];

    /// The class in `model_index.json`.
    pub fn pipeline(self) -> &'static str {
        match self {
            Self::Klein => "Flux2KleinPipeline",
            Self::Dev => "Flux2Pipeline",
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Klein => "klein",
            Self::Dev => "dev",
        })
    }
}

/// `text_encoder/config.json`.
#[derive(Clone, Debug)]
pub enum TextEncoderConfig {
    /// Of FLUX.2 [klein].
    Qwen3(Qwen3Config),
    /// Of FLUX.2 [dev].
    Mistral3(Mistral3Config),
}

impl TextEncoderConfig {
    /// What its decoder is made of.
    pub fn decoder(&self) -> DecoderConfig {
        match self {
            Self::Qwen3(config) => config.decoder(),
            Self::Mistral3(config) => config.text_config.decoder(),
        }
    }

    /// The decoder's name of a tensor of the checkpoint; none for a tensor that is not used on purpose.
    pub fn key(&self, name: &str) -> Option<String> {
        match self {
            Self::Qwen3(_) => qwen3::key(name),
            Self::Mistral3(_) => mistral::key(name),
        }
    }

    fn check(&self) -> Result<()> {
        match self {
            Self::Qwen3(config) => config.check(),
            Self::Mistral3(config) => config.check(),
        }
    }
}

/// The configurations of a folder.
#[derive(Clone, Debug)]
pub struct Configs {
    /// Which model it is.
    pub variant: Variant,
    /// `transformer/config.json`.
    pub transformer: Flux2TransformerConfig,
    /// `text_encoder/config.json`.
    pub text_encoder: TextEncoderConfig,
    /// `vae/config.json`.
    pub autoencoder: AutoencoderConfig,
    /// `scheduler/scheduler_config.json`.
    pub scheduler: FlowMatchEulerConfig,
    /// Whether it was distilled to few steps without guidance.
    pub is_distilled: bool,
    /// The size in pixels that it was trained for.
    pub native_size: u32,
    /// Steps that `model_index.json` advises.
    pub advised_steps: Option<u32>,
    /// Guidance scale that `model_index.json` advises.
    pub advised_guidance: Option<f64>,
}

#[derive(Deserialize)]
struct ModelIndex {
    #[serde(rename = "_class_name")]
    class_name: String,
    #[serde(default)]
    is_distilled: bool,
    /// Not a key of diffusers, which passes over what begins with an underscore.
    #[serde(default, rename = "_default_steps")]
    default_steps: Option<u32>,
    #[serde(default, rename = "_default_guidance")]
    default_guidance: Option<f64>,
}

impl Configs {
    /// Reads the configurations of a folder.
    ///
    /// # Errors
    /// When a file is missing or holds what is not understood, by name.
    pub fn read(folder: &Path) -> Result<Self> {
        let index: ModelIndex = folder::read_json(&folder.join("model_index.json"))?;
        let Some(variant) = Variant::ALL.into_iter().find(|variant| variant.pipeline() == index.class_name) else {
            return Err(Error::Folder(format!(
                "`{}` holds a {}. Folders of FLUX.2 [klein] ({}) and FLUX.2 [dev] ({}) are read.",
                folder.display(),
                index.class_name,
                Variant::Klein.pipeline(),
                Variant::Dev.pipeline()
            )));
        };
        let text_encoder = folder.join("text_encoder/config.json");
        let autoencoder: AutoencoderConfig = folder::read_json(&folder.join("vae/config.json"))?;
        // The published autoencoder says 1024; what a folder was trained for is the sample size of its own.
        let native_size = u32::try_from(autoencoder.sample_size.unwrap_or(1024)).unwrap_or(u32::MAX);
        let configs = Self {
            variant,
            transformer: folder::read_json(&folder.join("transformer/config.json"))?,
            text_encoder: match variant {
                Variant::Klein => TextEncoderConfig::Qwen3(folder::read_json(&text_encoder)?),
                Variant::Dev => TextEncoderConfig::Mistral3(folder::read_json(&text_encoder)?),
            },
            scheduler: folder::read_json(&folder.join("scheduler/scheduler_config.json"))?,
            autoencoder,
            is_distilled: index.is_distilled,
            native_size,
            advised_steps: index.default_steps,
            advised_guidance: index.default_guidance,
        };
        configs.check()?;
        Ok(configs)
    }

    /// Which hidden states of the text encoder make the context: those after a quarter, half and three quarters of its
    /// layers (9, 18, 27 of Qwen3-4B's and 8B's 36; 10, 20, 30 of Mistral's 40).
    pub fn text_layers(&self) -> Vec<usize> {
        let layers = self.text_encoder.decoder().layers;
        vec![layers / 4, layers / 2, 3 * layers / 4]
    }

    /// Whether guidance is classifier-free, away from a second prompt: not where it was distilled or is embedded.
    pub fn is_guided_freely(&self) -> bool {
        self.variant == Variant::Klein && !self.is_distilled
    }

    /// Pixels on the edge of a packed latent: sizes are multiples of it.
    pub fn size_multiple(&self) -> u32 {
        (self.autoencoder.stride() * 2) as u32
    }

    fn check(&self) -> Result<()> {
        self.scheduler.check()?;
        self.text_encoder.check()?;
        check_transformer(&self.transformer, self.variant)?;
        check_autoencoder(&self.autoencoder)?;
        let context = self.text_layers().len() * self.text_encoder.decoder().hidden;
        if self.transformer.joint_attention_dim != context {
            return Err(Error::Config(format!(
                "The transformer's text context is {} wide, and the text encoder makes {context}. They do not belong together.",
                self.transformer.joint_attention_dim
            )));
        }
        let packed = self.autoencoder.latent_channels * 4;
        if self.transformer.in_channels != packed || self.transformer.outputs() != packed {
            return Err(Error::Config(format!(
                "The transformer takes {} channels to {}, and the autoencoder packs {packed}. They do not belong together.",
                self.transformer.in_channels,
                self.transformer.outputs()
            )));
        }
        Ok(())
    }
}

fn check_transformer(config: &Flux2TransformerConfig, variant: Variant) -> Result<()> {
    let refuse = |what: String| Err(Error::Config(format!("The transformer's {what}.")));
    if config.patch_size != 1 {
        return refuse(format!("`patch_size` is {}; 1 is supported", config.patch_size));
    }
    if config.guidance_embeds && variant == Variant::Klein {
        return refuse("`guidance_embeds` is true, as FLUX.2 [dev] has it; FLUX.2 [klein] has none".to_owned());
    }
    let [_, _, _, _] = config.axes_dims_rope[..] else {
        return refuse(format!("`axes_dims_rope` has {} entries; there are four axes", config.axes_dims_rope.len()));
    };
    let rope: usize = config.axes_dims_rope.iter().sum();
    if rope != config.attention_head_dim || config.axes_dims_rope.iter().any(|width| width % 2 == 1) {
        return refuse(format!(
            "`axes_dims_rope` are {rope} wide together, and `attention_head_dim` is {}; they must be equal, and every axis even",
            config.attention_head_dim
        ));
    }
    if config.hidden() == 0 || config.mlp_hidden() == 0 || config.timestep_guidance_channels < 2 {
        return refuse("sizes must not be zero".to_owned());
    }
    Ok(())
}

fn check_autoencoder(config: &AutoencoderConfig) -> Result<()> {
    config.shape().check(&config.act_fn, &config.down_block_types, &config.up_block_types)?;
    if config.patch_size != [2, 2] {
        let found = &config.patch_size;
        return Err(Error::Config(format!("The autoencoder's `patch_size` is {found:?}; [2, 2] is supported.")));
    }
    Ok(())
}

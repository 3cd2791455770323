//! The published sizes of the architectures: the configurations of their folders, and tokenizers that know next to nothing,
//! because what is measured begins with token ids.

use std::{fmt, path::Path, str::FromStr};

use serde_json::{Value, json};
use tokenizers::{AddedToken, models::bpe::BPE};

use crate::{
    error::{Error, Result},
    starter::{autoencoder_training, configuration, tokenizer::PROMPT_LENGTH},
    text::tokenizer::qwen,
};

/// An architecture in its published size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// The starter model.
    Starter,
    /// FLUX.2 [klein] 4B.
    Klein4B,
    /// FLUX.2 [klein] 9B.
    Klein9B,
    /// FLUX.2 [dev].
    Dev,
    /// Stable Diffusion XL.
    Sdxl,
    /// SDXL-Turbo.
    SdxlTurbo,
}

/// The architectures and their names.
const NAMES: [(Architecture, &str); 6] = [
    (Architecture::Starter, "starter"),
    (Architecture::Klein4B, "klein-4b"),
    (Architecture::Klein9B, "klein-9b"),
    (Architecture::Dev, "dev"),
    (Architecture::Sdxl, "sdxl"),
    (Architecture::SdxlTurbo, "sdxl-turbo"),
];

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMES.iter().find(|(architecture, _)| architecture == self);
        formatter.write_str(named.map_or("", |(_, name)| name))
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let named = NAMES.iter().find(|(_, known)| *known == name);
        named.map(|(architecture, _)| *architecture).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(_, name)| *name).collect();
            Error::Input(format!("`{name}` is no architecture. Use one of {}.", names.join(", ")))
        })
    }
}

/// Writes the folder of an architecture, without weights.
pub(super) fn write(architecture: Architecture, folder: &Path) -> Result<()> {
    match architecture {
        Architecture::Starter => {
            qwen_tokenizer(&folder.join("tokenizer"), PROMPT_LENGTH)?;
            configuration::write_frame(folder)?;
            let autoencoder = serde_json::to_value(autoencoder_training::config());
            files(folder, &[("vae/config.json", autoencoder.map_err(|error| Error::Config(error.to_string()))?)])
        }
        Architecture::Klein4B => klein(folder, (5, 20, 24), (2560, 9728)),
        Architecture::Klein9B => klein(folder, (8, 24, 32), (4096, 12288)),
        Architecture::Dev => dev(folder),
        Architecture::Sdxl | Architecture::SdxlTurbo => sdxl(folder, architecture == Architecture::SdxlTurbo),
    }
}

fn klein(folder: &Path, transformer: (usize, usize, usize), (hidden, inner): (usize, usize)) -> Result<()> {
    let text_encoder = json!({
        "model_type": "qwen3", "vocab_size": 151_936, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": 36,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "rms_norm_eps": 1e-6, "rope_theta": 1_000_000.0,
    });
    qwen_tokenizer(&folder.join("tokenizer"), 512)?;
    let index = json!({ "_class_name": "Flux2KleinPipeline", "is_distilled": true });
    flux2(folder, index, text_encoder, transformer, 3 * hidden)
}

fn dev(folder: &Path) -> Result<()> {
    let text_encoder = json!({
        "model_type": "mistral3",
        "text_config": {
            "model_type": "mistral", "vocab_size": 131_072, "hidden_size": 5120, "intermediate_size": 32_768,
            "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
            "rms_norm_eps": 1e-5, "rope_theta": 1_000_000_000.0,
        },
    });
    qwen_tokenizer(&folder.join("tokenizer"), 512)?;
    flux2(folder, json!({ "_class_name": "Flux2Pipeline" }), text_encoder, (8, 48, 48), 3 * 5120)
}

fn flux2(
    folder: &Path,
    index: Value,
    text_encoder: Value,
    (double, single, heads): (usize, usize, usize),
    context: usize,
) -> Result<()> {
    let embeds_guidance = index["_class_name"] == "Flux2Pipeline";
    let transformer = json!({
        "_class_name": "Flux2Transformer2DModel", "in_channels": 128, "num_layers": double, "num_single_layers": single,
        "attention_head_dim": 128, "num_attention_heads": heads, "joint_attention_dim": context, "mlp_ratio": 3.0,
        "axes_dims_rope": [32, 32, 32, 32], "rope_theta": 2000.0, "guidance_embeds": embeds_guidance,
    });
    let autoencoder = json!({
        "_class_name": "AutoencoderKLFlux2", "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2,
        "latent_channels": 32, "sample_size": 1024,
        "down_block_types": vec!["DownEncoderBlock2D"; 4], "up_block_types": vec!["UpDecoderBlock2D"; 4],
    });
    let scheduler = json!({
        "_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0,
        "use_dynamic_shifting": true, "time_shift_type": "exponential",
    });
    files(
        folder,
        &[
            ("model_index.json", index),
            ("text_encoder/config.json", text_encoder),
            ("transformer/config.json", transformer),
            ("vae/config.json", autoencoder),
            ("scheduler/scheduler_config.json", scheduler),
        ],
    )
}

fn sdxl(folder: &Path, is_turbo: bool) -> Result<()> {
    let class = if is_turbo { "EulerAncestralDiscreteScheduler" } else { "EulerDiscreteScheduler" };
    let scheduler = json!({
        "_class_name": class, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1,
        "timestep_spacing": if is_turbo { "trailing" } else { "leading" },
    });
    let text = |hidden: usize, layers: usize, heads: usize, activation: &str, projection: usize| {
        json!({
            "model_type": "clip_text_model", "vocab_size": 49_408, "hidden_size": hidden, "intermediate_size": 4 * hidden,
            "num_hidden_layers": layers, "num_attention_heads": heads, "hidden_act": activation,
            "projection_dim": projection, "eos_token_id": 2,
        })
    };
    let unet = json!({
        "_class_name": "UNet2DConditionModel", "sample_size": if is_turbo { 64 } else { 128 },
        "block_out_channels": [320, 640, 1280], "attention_head_dim": [5, 10, 20], "cross_attention_dim": 2048,
        "transformer_layers_per_block": [1, 2, 10], "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816, "use_linear_projection": true,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    });
    let autoencoder = json!({
        "_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4,
        "scaling_factor": 0.13025,
        "down_block_types": vec!["DownEncoderBlock2D"; 4], "up_block_types": vec!["UpDecoderBlock2D"; 4],
    });
    for part in ["tokenizer", "tokenizer_2"] {
        clip_tokenizer(&folder.join(part))?;
    }
    files(
        folder,
        &[
            (
                "model_index.json",
                json!({ "_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": true }),
            ),
            ("text_encoder/config.json", text(768, 12, 12, "quick_gelu", 768)),
            ("text_encoder_2/config.json", text(1280, 32, 20, "gelu", 1280)),
            ("unet/config.json", unet),
            ("vae/config.json", autoencoder),
            ("scheduler/scheduler_config.json", scheduler),
        ],
    )
}

fn files(folder: &Path, files: &[(&str, Value)]) -> Result<()> {
    for (name, value) in files {
        let file = folder.join(name);
        let parent = file.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        std::fs::write(&file, value.to_string()).map_err(Error::io(&file))?;
    }
    Ok(())
}

/// A tokenizer of Qwen's kind that knows one token.
fn qwen_tokenizer(folder: &Path, longest: usize) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let mut tokenizer = qwen(BPE::default())?;
    tokenizer.add_special_tokens(&[AddedToken::from("<|endoftext|>", true)]);
    let failed = |error: tokenizers::Error| Error::Tokenizer(format!("The tokenizer cannot be written: {error}."));
    tokenizer.save(folder.join("tokenizer.json"), false).map_err(failed)?;
    let config = json!({ "model_max_length": longest, "pad_token": "<|endoftext|>", "chat_template": "" });
    files(folder, &[("tokenizer_config.json", config)])
}

/// A tokenizer of CLIP's kind that knows what begins and ends a text.
fn clip_tokenizer(folder: &Path) -> Result<()> {
    let vocabulary = json!({ "<|startoftext|>": 0, "<|endoftext|>": 1 });
    files(folder, &[("vocab.json", vocabulary), ("tokenizer_config.json", json!({ "model_max_length": 77 }))])?;
    let merges = folder.join("merges.txt");
    std::fs::write(&merges, "#version: 0.2\n").map_err(Error::io(&merges))
}

//! What the starter model is: configurations of its parts, and the files of its folder that are not learnt.

use std::path::Path;

use serde_json::{Value, json};

use super::tokenizer;
use crate::{
    error::{Error, Result},
    flux2::config::Flux2TransformerConfig,
};

/// Edge of the pictures that the model is made for, in pixels.
pub const SIZE: u32 = 64;

/// The transformer's configuration.
pub fn transformer_config() -> Flux2TransformerConfig {
    let value = json!({
        "_class_name": "Flux2Transformer2DModel",
        "patch_size": 1,
        "in_channels": 64,
        "num_layers": 1,
        "num_single_layers": 5,
        "attention_head_dim": 32,
        "num_attention_heads": 6,
        "joint_attention_dim": 384,
        "timestep_guidance_channels": 256,
        "mlp_ratio": 2.0,
        "axes_dims_rope": [4, 12, 12, 4],
        "rope_theta": 2000.0,
        "eps": 1e-6,
        "guidance_embeds": false,
    });
    serde_json::from_value(value).expect("invariant: the configuration above is complete")
}

fn text_encoder() -> Value {
    json!({
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": tokenizer::VOCABULARY,
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 32,
        "hidden_act": "silu",
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": true,
    })
}

fn model_index() -> Value {
    json!({
        "_class_name": "Flux2KleinPipeline",
        "_default_guidance": 2.0,
        "_default_steps": 20,
        "is_distilled": false,
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Qwen3ForCausalLM"],
        "tokenizer": ["transformers", "Qwen2TokenizerFast"],
        "transformer": ["diffusers", "Flux2Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKLFlux2"],
    })
}

fn scheduler() -> Value {
    json!({
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "num_train_timesteps": 1000,
        // FLUX.2's shift grows with the size and is fitted to megapixels; sixteen tokens want a small, fixed one.
        "shift": 2.0,
        "use_dynamic_shifting": false,
        "time_shift_type": "exponential",
    })
}

/// Writes what is not learnt: index, configurations, tokenizer.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_frame(folder: &Path) -> Result<()> {
    let transformer = serde_json::to_value(transformer_config()).map_err(|error| Error::Config(error.to_string()))?;
    let files = [
        ("model_index.json", model_index()),
        ("transformer/config.json", transformer),
        ("text_encoder/config.json", text_encoder()),
        ("scheduler/scheduler_config.json", scheduler()),
    ];
    for (name, value) in files {
        let file = folder.join(name);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        }
        std::fs::write(&file, format!("{value:#}\n")).map_err(Error::io(&file))?;
    }
    if folder.join("tokenizer/tokenizer.json").exists() { Ok(()) } else { tokenizer::write(&folder.join("tokenizer")) }
}

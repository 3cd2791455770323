//! `transformer/config.json` of a FLUX.2 folder.

use serde::{Deserialize, Serialize};

/// What the transformer's configuration says. Keys are those of diffusers; a key that is not known here is refused,
/// because it may change the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flux2TransformerConfig {
    /// `Flux2Transformer2DModel`.
    #[serde(rename = "_class_name", default = "class_name")]
    pub class_name: String,
    /// Version that wrote the file.
    #[serde(rename = "_diffusers_version", default, skip_serializing_if = "Option::is_none")]
    pub diffusers_version: Option<String>,
    /// Where the file came from; says nothing about the model.
    #[serde(rename = "_name_or_path", default, skip_serializing_if = "Option::is_none")]
    pub name_or_path: Option<String>,
    /// Always 1: packing is the pipeline's.
    #[serde(default = "one")]
    pub patch_size: usize,
    /// Channels of a packed latent token.
    pub in_channels: usize,
    /// Channels of the output; none is `in_channels`.
    #[serde(default)]
    pub out_channels: Option<usize>,
    /// Blocks with two streams.
    pub num_layers: usize,
    /// Blocks with one stream.
    pub num_single_layers: usize,
    /// Width of a head.
    pub attention_head_dim: usize,
    /// Heads.
    pub num_attention_heads: usize,
    /// Width of the text context.
    pub joint_attention_dim: usize,
    /// Channels of the sinusoids.
    #[serde(default = "timestep_channels")]
    pub timestep_guidance_channels: usize,
    /// Width of the feed-forward part over the width of the stream.
    #[serde(default = "mlp_ratio")]
    pub mlp_ratio: f64,
    /// Widths of the four axes of the rotary embedding; their sum is the width of a head.
    #[serde(default = "axes")]
    pub axes_dims_rope: Vec<usize>,
    /// Base of its frequencies.
    #[serde(default = "theta")]
    pub rope_theta: f64,
    /// Added to variances.
    #[serde(default = "epsilon")]
    pub eps: f64,
    /// Whether guidance is embedded (dev) or not (klein).
    #[serde(default = "yes")]
    pub guidance_embeds: bool,
}

impl Flux2TransformerConfig {
    /// Width of the streams.
    pub fn hidden(&self) -> usize {
        self.attention_head_dim * self.num_attention_heads
    }

    /// Width of the feed-forward part.
    pub fn mlp_hidden(&self) -> usize {
        (self.hidden() as f64 * self.mlp_ratio) as usize
    }

    /// Channels of the output.
    pub fn outputs(&self) -> usize {
        self.out_channels.unwrap_or(self.in_channels) * self.patch_size * self.patch_size
    }
}

fn class_name() -> String {
    "Flux2Transformer2DModel".to_owned()
}

fn one() -> usize {
    1
}

fn timestep_channels() -> usize {
    256
}

fn mlp_ratio() -> f64 {
    3.0
}

fn axes() -> Vec<usize> {
    vec![32; 4]
}

fn theta() -> f64 {
    2000.0
}

fn epsilon() -> f64 {
    1e-6
}

fn yes() -> bool {
    true
}

//! Qwen3, the text encoder of FLUX.2 [klein]: its configuration and its checkpoint's names.
//! `transformers/models/qwen3/configuration_qwen3.py`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    config::{check_activation, check_keys, check_layer_types, refuse},
    decoder::{DecoderConfig, RopeParameters},
};
use crate::error::Result;

/// `text_encoder/config.json`. Keys are those of transformers; of the many that say nothing about hidden states the known
/// ones are passed over, and any other is refused, because it may change the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Qwen3Config {
    /// `qwen3`.
    #[serde(default = "model_type")]
    pub model_type: String,
    /// Size of the vocabulary.
    pub vocab_size: usize,
    /// Width of the stream.
    pub hidden_size: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of queries.
    pub num_attention_heads: usize,
    /// Heads of keys and values.
    pub num_key_value_heads: usize,
    /// Width of a head.
    #[serde(default)]
    pub head_dim: Option<usize>,
    /// Added to mean squares.
    #[serde(default = "epsilon")]
    pub rms_norm_eps: f64,
    /// Base of the rotary embedding, where older files keep it.
    #[serde(default)]
    pub rope_theta: Option<f64>,
    /// The rotary embedding, where newer files keep it.
    #[serde(default)]
    pub rope_parameters: Option<RopeParameters>,
    /// `silu`.
    #[serde(default = "super::config::silu")]
    pub hidden_act: String,
    /// Not supported.
    #[serde(default)]
    pub attention_bias: bool,
    /// Not supported.
    #[serde(default)]
    pub use_sliding_window: bool,
    /// Kinds of the layers' attention; `full_attention` is the one that exists here.
    #[serde(default)]
    pub layer_types: Option<Vec<String>>,
    /// Every other key.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

/// Keys that say nothing about the hidden states of a text encoder.
const WITHOUT_EFFECT: &[&str] = &[
    "_attn_implementation",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "dtype",
    "eos_token_id",
    "initializer_range",
    "max_position_embeddings",
    "max_window_layers",
    "pad_token_id",
    "sliding_window",
    "tie_word_embeddings",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

impl Qwen3Config {
    /// Width of a head.
    pub fn head_width(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// Refuses what would change the result and is not implemented.
    ///
    /// # Errors
    /// [`Error::Config`] with the key's name.
    pub fn check(&self) -> Result<()> {
        if self.model_type != model_type() {
            return refuse(format!("`model_type` is `{}`; FLUX.2 [klein] has `{}`", self.model_type, model_type()));
        }
        check_activation(&self.hidden_act)?;
        if self.attention_bias || self.use_sliding_window {
            return refuse(
                "`attention_bias` and `use_sliding_window` are not supported; they must be false".to_owned(),
            );
        }
        check_layer_types(self.layer_types.as_deref())?;
        self.rope_parameters.as_ref().map_or(Ok(()), RopeParameters::check)?;
        check_keys(&self.rest, WITHOUT_EFFECT)?;
        self.decoder().check()
    }

    /// What it is made of.
    pub fn decoder(&self) -> DecoderConfig {
        DecoderConfig {
            vocabulary: self.vocab_size,
            hidden: self.hidden_size,
            inner: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            key_value_heads: self.num_key_value_heads,
            head_width: self.head_width(),
            epsilon: self.rms_norm_eps,
            theta: self.theta(),
            has_head_norms: true,
        }
    }

    /// Base of the rotary embedding.
    pub fn theta(&self) -> f64 {
        self.rope_parameters.as_ref().map(|rope| rope.rope_theta).or(self.rope_theta).unwrap_or(10_000.0)
    }
}

fn epsilon() -> f64 {
    1e-6
}

fn model_type() -> String {
    "qwen3".to_owned()
}

/// The decoder's name of a tensor of the checkpoint; none for the language head, which is not used (its weights are often
/// those of the embedding).
pub fn key(name: &str) -> Option<String> {
    (name != "lm_head.weight").then(|| name.strip_prefix("model.").unwrap_or(name).to_owned())
}

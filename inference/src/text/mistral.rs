//! Mistral, the text encoder of FLUX.2 [dev]: the language model inside of a model that sees pictures as well. Its
//! configuration, its checkpoint's names, and what it is told before a prompt.
//! `transformers/models/mistral3/configuration_mistral3.py`, `transformers/models/mistral/configuration_mistral.py`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    config::{check_activation, check_keys, check_layer_types, refuse},
    decoder::{DecoderConfig, RopeParameters},
};
use crate::error::Result;

/// What stands before every prompt: `diffusers/pipelines/flux2/system_messages.py`. The model was trained with these
/// words; the line break is one of them.
pub const SYSTEM_MESSAGE: &str = "You are an AI that reasons about image descriptions. You give structured responses \
                                  focusing on object relationships, object\nattribution and actions without speculation.";

/// What stands for a picture in a chat. A prompt that holds it would promise a picture that is not there.
pub const IMAGE_TOKEN: &str = "[IMG]";

/// The longest prompt that is encoded, in tokens: a window of attention that is not shorter changes nothing.
const LONGEST_PROMPT: usize = 512;

/// `text_encoder/config.json`. Keys are those of transformers; what is said of pictures has no effect on a text, and any
/// key that is not known is refused, because it may change the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistral3Config {
    /// `mistral3`.
    pub model_type: String,
    /// The language model.
    pub text_config: MistralConfig,
    /// Every other key.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// The language model's part of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MistralConfig {
    /// `mistral`.
    #[serde(default = "text_model_type")]
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
    /// How far back a token looks; none, or further than any prompt is long.
    #[serde(default)]
    pub sliding_window: Option<usize>,
    /// Kinds of the layers' attention; `full_attention` is the one that exists here.
    #[serde(default)]
    pub layer_types: Option<Vec<String>>,
    /// Every other key.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// Keys beside the language model's that say nothing about the hidden states of a text.
const WITHOUT_EFFECT: &[&str] = &[
    "_attn_implementation",
    "_name_or_path",
    "architectures",
    "bos_token_id",
    "dtype",
    "eos_token_id",
    "image_token_id",
    "image_token_index",
    "initializer_range",
    "multimodal_projector_bias",
    "pad_token_id",
    "projector_hidden_act",
    "spatial_merge_size",
    "tie_word_embeddings",
    "torch_dtype",
    "transformers_version",
    "vision_config",
    "vision_feature_layer",
];

/// Keys of the language model that say nothing about its hidden states.
const WITHOUT_EFFECT_ON_TEXT: &[&str] = &[
    "_attn_implementation",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "dtype",
    "eos_token_id",
    "initializer_range",
    "max_position_embeddings",
    "pad_token_id",
    "tie_word_embeddings",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

impl Mistral3Config {
    /// Refuses what would change the result and is not implemented.
    ///
    /// # Errors
    /// [`Error::Config`] with the key's name.
    pub fn check(&self) -> Result<()> {
        if self.model_type != "mistral3" {
            return refuse(format!("`model_type` is `{}`; FLUX.2 [dev] has `mistral3`", self.model_type));
        }
        check_keys(&self.rest, WITHOUT_EFFECT)?;
        self.text_config.check()
    }
}

impl MistralConfig {
    fn check(&self) -> Result<()> {
        if self.model_type != text_model_type() {
            return refuse(format!(
                "language model has the `model_type` `{}`; FLUX.2 [dev] has `{}`",
                self.model_type,
                text_model_type()
            ));
        }
        check_activation(&self.hidden_act)?;
        if let Some(window) = self.sliding_window.filter(|window| *window < LONGEST_PROMPT) {
            return refuse(format!(
                "`sliding_window` is {window}, which is not supported; none is, or {LONGEST_PROMPT} and more"
            ));
        }
        check_layer_types(self.layer_types.as_deref())?;
        self.rope_parameters.as_ref().map_or(Ok(()), RopeParameters::check)?;
        check_keys(&self.rest, WITHOUT_EFFECT_ON_TEXT)?;
        self.decoder().check()
    }

    /// What it is made of.
    pub fn decoder(&self) -> DecoderConfig {
        let theta = self.rope_parameters.as_ref().map(|rope| rope.rope_theta).or(self.rope_theta);
        DecoderConfig {
            vocabulary: self.vocab_size,
            hidden: self.hidden_size,
            inner: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            key_value_heads: self.num_key_value_heads,
            head_width: self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1)),
            epsilon: self.rms_norm_eps,
            theta: theta.unwrap_or(10_000.0),
            has_head_norms: false,
        }
    }
}

fn text_model_type() -> String {
    "mistral".to_owned()
}

fn epsilon() -> f64 {
    1e-6
}

/// The decoder's name of a tensor of the checkpoint; none for what a text does not need, which is the part that sees
/// pictures, the part that puts them among the tokens, and the language head. Older and newer checkpoints have the names
/// in another order (`language_model.model.…`, `model.language_model.…`).
pub fn key(name: &str) -> Option<String> {
    let name = name.strip_prefix("model.").unwrap_or(name);
    if name.starts_with("vision_tower.") || name.starts_with("multi_modal_projector.") {
        return None;
    }
    let name = name.strip_prefix("language_model.").unwrap_or(name);
    let name = name.strip_prefix("model.").unwrap_or(name);
    (name != "lm_head.weight").then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn published() -> Value {
        serde_json::json!({
            "architectures": ["Mistral3ForConditionalGeneration"],
            "image_token_index": 10,
            "model_type": "mistral3",
            "multimodal_projector_bias": false,
            "projector_hidden_act": "gelu",
            "spatial_merge_size": 2,
            "text_config": {
                "attention_dropout": 0.0, "head_dim": 128, "hidden_act": "silu", "hidden_size": 5120,
                "initializer_range": 0.02, "intermediate_size": 32768, "max_position_embeddings": 131072,
                "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 40, "num_key_value_heads": 8,
                "rms_norm_eps": 1e-5, "rope_theta": 1e9, "sliding_window": null, "use_cache": true,
                "vocab_size": 131072
            },
            "torch_dtype": "bfloat16",
            "vision_config": {"model_type": "pixtral"},
            "vision_feature_layer": -1
        })
    }

    fn checked(config: Value) -> Result<DecoderConfig> {
        let config: Mistral3Config =
            serde_json::from_value(config).map_err(|error| Error::Config(error.to_string()))?;
        config.check()?;
        Ok(config.text_config.decoder())
    }

    #[test]
    fn the_published_configuration_is_understood() {
        let decoder = checked(published()).expect("the published configuration");
        assert_eq!((decoder.layers, decoder.heads, decoder.head_width), (40, 32, 128));
        assert_eq!((decoder.theta, decoder.epsilon, decoder.has_head_norms), (1e9, 1e-5, false));
    }

    #[test]
    fn what_would_change_the_result_is_refused_by_name() {
        for (key, value) in [
            ("sliding_window", serde_json::json!(64)),
            ("hidden_act", "gelu".into()),
            ("layer_types", serde_json::json!(["sliding_attention"])),
            ("rope_parameters", serde_json::json!({"rope_theta": 1e6, "rope_type": "yarn"})),
            ("attention_temperature", 2.into()),
        ] {
            let mut config = published();
            config["text_config"][key] = value;
            let refusal = checked(config).expect_err(key).to_string();
            assert!(refusal.contains(key), "{refusal}");
        }
    }

    #[test]
    fn only_what_a_text_needs_is_loaded() {
        for name in
            ["language_model.model.layers.3.mlp.up_proj.weight", "model.language_model.layers.3.mlp.up_proj.weight"]
        {
            assert_eq!(key(name).as_deref(), Some("layers.3.mlp.up_proj.weight"));
        }
        let not_needed = ["vision_tower.ln_pre.weight", "model.multi_modal_projector.norm.weight", "lm_head.weight"];
        for name in not_needed.into_iter().chain(["language_model.lm_head.weight"]) {
            assert_eq!(key(name), None, "{name}");
        }
        assert_eq!(key("language_model.model.extra.weight").as_deref(), Some("extra.weight"));
    }
}

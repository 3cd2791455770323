//! `config.json` of a CLIP folder: `transformers/models/clip/configuration_clip.py`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    text::clip::{ACTIVATIONS, ClipConfig, LayerShape, QUICK_GELU},
};

/// What older files repeat in the configuration of each tower although only models that write text have a use for it.
const OF_WRITING: &[&str] = &[
    "add_cross_attention",
    "bad_words_ids",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "id2label",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "prefix",
    "problem_type",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torchscript",
    "typical_p",
    "use_bfloat16",
];

/// Keys of a picture encoder that say nothing about the result.
const WITHOUT_EFFECT: &[&str] = &[
    "_attn_implementation",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "dropout",
    "dtype",
    "initializer_factor",
    "initializer_range",
    "torch_dtype",
    "transformers_version",
];

/// What the configuration says. Keys are those of transformers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ClipModelConfig {
    /// `clip`.
    pub model_type: String,
    /// Width of what both towers are projected to.
    #[serde(default = "projection")]
    pub projection_dim: usize,
    text_config: Map<String, Value>,
    vision_config: Map<String, Value>,
}

/// The picture encoder's part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipVisionConfig {
    /// `clip_vision_model`.
    #[serde(default = "model_type")]
    pub model_type: String,
    /// Width of the stream.
    #[serde(default = "hidden")]
    pub hidden_size: usize,
    /// Width of the feed-forward part.
    #[serde(default = "intermediate")]
    pub intermediate_size: usize,
    /// Layers.
    #[serde(default = "twelve")]
    pub num_hidden_layers: usize,
    /// Heads.
    #[serde(default = "twelve")]
    pub num_attention_heads: usize,
    /// Channels of the pictures.
    #[serde(default = "channels")]
    pub num_channels: usize,
    /// Pixels on the edge of the pictures.
    #[serde(default = "picture")]
    pub image_size: usize,
    /// Pixels on the edge of a patch.
    #[serde(default = "patch")]
    pub patch_size: usize,
    /// `quick_gelu` or `gelu`.
    #[serde(default = "quick_gelu")]
    pub hidden_act: String,
    /// Added to variances.
    #[serde(default = "epsilon")]
    pub layer_norm_eps: f64,
    /// Width of the projection; the model's own counts.
    #[serde(default = "projection")]
    pub projection_dim: usize,
    /// Every other key.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

impl ClipModelConfig {
    /// The text encoder's configuration, checked.
    ///
    /// # Errors
    /// [`Error::Config`] with what is not understood.
    pub fn text(&self) -> Result<ClipConfig> {
        let mut stated = without_writing(&self.text_config);
        // transformers' own values, where a file leaves them out.
        let defaults = [
            ("vocab_size", 49_408),
            ("hidden_size", 512),
            ("intermediate_size", 2048),
            ("num_hidden_layers", 12),
            ("num_attention_heads", 8),
        ];
        for (key, value) in defaults {
            stated.entry(key).or_insert_with(|| Value::from(value));
        }
        let mut config: ClipConfig = parsed(stated, "text_config")?;
        config.projection_dim = self.projection_dim;
        config.check()?;
        Ok(config)
    }

    /// The picture encoder's configuration, checked.
    ///
    /// # Errors
    /// [`Error::Config`] with what is not understood.
    pub fn vision(&self) -> Result<ClipVisionConfig> {
        let mut config: ClipVisionConfig = parsed(without_writing(&self.vision_config), "vision_config")?;
        config.projection_dim = self.projection_dim;
        config.check()?;
        Ok(config)
    }

    /// Whether it is CLIP's at all.
    ///
    /// # Errors
    /// [`Error::Config`] with the kind that it is.
    pub fn check(&self) -> Result<()> {
        if self.model_type == "clip" {
            return Ok(());
        }
        Err(Error::Config(format!(
            "The folder holds a model of the kind `{}`, and pictures are scored by `clip`.",
            self.model_type
        )))
    }
}

fn without_writing(stated: &Map<String, Value>) -> Map<String, Value> {
    let counts = |key: &String| !OF_WRITING.contains(&key.as_str());
    stated.iter().filter(|(key, _)| counts(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn parsed<T: serde::de::DeserializeOwned>(stated: Map<String, Value>, name: &str) -> Result<T> {
    serde_json::from_value(Value::Object(stated))
        .map_err(|error| Error::Config(format!("CLIP's `{name}` is not understood: {error}.")))
}

impl ClipVisionConfig {
    fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::Config(format!("The picture encoder's {what}.")));
        if self.model_type != model_type() {
            return refuse(format!("`model_type` is `{}`; CLIP has `{}`", self.model_type, model_type()));
        }
        if !ACTIVATIONS.contains(&self.hidden_act.as_str()) {
            return refuse(format!(
                "`hidden_act` is `{}`; {} are supported",
                self.hidden_act,
                ACTIVATIONS.join(" and ")
            ));
        }
        if self.num_channels != channels() {
            return refuse(format!("`num_channels` is {}; pictures have {}", self.num_channels, channels()));
        }
        let unknown = |(key, value): &(&String, &Value)| !WITHOUT_EFFECT.contains(&key.as_str()) && !value.is_null();
        if let Some((key, _)) = self.rest.iter().find(unknown) {
            return refuse(format!("`{key}` is not understood; it may change the result"));
        }
        if self.num_attention_heads == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return refuse("`hidden_size` must be a multiple of `num_attention_heads`".to_owned());
        }
        if self.hidden_size == 0 || self.patch_size == 0 || self.patch_size > self.image_size {
            return refuse("sizes must not be zero, and a patch no larger than a picture".to_owned());
        }
        Ok(())
    }

    /// What decides the shape of its layers.
    pub(crate) fn layer(&self) -> LayerShape {
        LayerShape {
            width: self.hidden_size,
            intermediate: self.intermediate_size,
            heads: self.num_attention_heads,
            epsilon: self.layer_norm_eps,
            is_quick: self.hidden_act == QUICK_GELU,
        }
    }
}

fn model_type() -> String {
    "clip_vision_model".to_owned()
}

fn quick_gelu() -> String {
    QUICK_GELU.to_owned()
}

fn projection() -> usize {
    512
}

fn hidden() -> usize {
    768
}

fn intermediate() -> usize {
    3072
}

fn twelve() -> usize {
    12
}

fn channels() -> usize {
    3
}

fn picture() -> usize {
    224
}

fn patch() -> usize {
    32
}

fn epsilon() -> f64 {
    1e-5
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(vision: Value) -> Result<ClipVisionConfig> {
        let stated = serde_json::json!({ "model_type": "clip", "text_config": {}, "vision_config": vision });
        serde_json::from_value::<ClipModelConfig>(stated).expect("a configuration").vision()
    }

    #[test]
    fn what_is_left_out_is_what_transformers_takes() {
        let stated = serde_json::json!({ "model_type": "clip", "projection_dim": 768, "vision_config": {},
            "text_config": { "top_k": 50, "id2label": { "0": "LABEL_0" } } });
        let config: ClipModelConfig = serde_json::from_value(stated).expect("a configuration");
        let (text, vision) = (config.text().expect("text"), config.vision().expect("vision"));
        assert_eq!((text.hidden_size, text.num_attention_heads, text.projection_dim), (512, 8, 768));
        assert_eq!((vision.hidden_size, vision.patch_size, vision.projection_dim), (768, 32, 768));
    }

    #[test]
    fn what_may_change_the_result_is_refused() {
        let refused = |vision: Value| config(vision).expect_err("refused").to_string();
        assert!(refused(serde_json::json!({ "hidden_act": "relu" })).contains("relu"));
        assert!(refused(serde_json::json!({ "rotary": true })).contains("rotary"));
        assert!(refused(serde_json::json!({ "num_attention_heads": 7 })).contains("multiple"));
    }
}

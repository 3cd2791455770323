//! Qwen3 as a text encoder: hidden states of inner layers, no language head. `transformers/models/qwen3/modeling_qwen3.py`.

use std::collections::BTreeMap;

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Int, Tensor, TensorData, activation::silu, backend::Backend},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    nn::{
        attention::{Bias, multi_head_attention},
        linear::Linear,
        norm::RmsNorm,
        rope::Rotation,
    },
};

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
    #[serde(default = "silu_name")]
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

/// The rotary embedding of newer configurations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RopeParameters {
    /// Base of its frequencies.
    pub rope_theta: f64,
    /// `default`; other kinds are refused.
    #[serde(default = "default_rope")]
    pub rope_type: String,
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
        let refuse = |what: String| Err(Error::Config(format!("The text encoder's {what}.")));
        if self.model_type != model_type() {
            return refuse(format!("`model_type` is `{}`; FLUX.2 [klein] has `{}`", self.model_type, model_type()));
        }
        if self.hidden_act != silu_name() {
            return refuse(format!("`hidden_act` is `{}`, which is not supported; `silu` is", self.hidden_act));
        }
        if self.attention_bias || self.use_sliding_window {
            return refuse(
                "`attention_bias` and `use_sliding_window` are not supported; they must be false".to_owned(),
            );
        }
        let other = self.layer_types.iter().flatten().find(|kind| *kind != "full_attention");
        if let Some(kind) = other {
            return refuse(format!("`layer_types` holds `{kind}`, which is not supported; `full_attention` is"));
        }
        if let Some(rope) = self.rope_parameters.as_ref().filter(|rope| rope.rope_type != default_rope()) {
            return refuse(format!(
                "`rope_parameters` are of the type `{}`, which is not supported; `default` is",
                rope.rope_type
            ));
        }
        let unknown = self.rest.iter().find(|(key, value)| !WITHOUT_EFFECT.contains(&key.as_str()) && !value.is_null());
        if let Some((key, _)) = unknown {
            return refuse(format!("`{key}` is not understood; it may change the result"));
        }
        let sizes =
            [self.vocab_size, self.hidden_size, self.num_attention_heads, self.num_key_value_heads, self.head_width()];
        if sizes.contains(&0)
            || !self.num_attention_heads.is_multiple_of(self.num_key_value_heads)
            || self.head_width() % 2 == 1
        {
            return refuse(
                "sizes do not fit each other: heads must be a multiple of key-value heads, and a head's width even"
                    .to_owned(),
            );
        }
        Ok(())
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

fn silu_name() -> String {
    "silu".to_owned()
}

fn default_rope() -> String {
    "default".to_owned()
}

/// Causal attention with normalised queries and keys; a head of keys and values serves several of queries.
#[derive(Module, Debug)]
pub struct SelfAttention<B: Backend> {
    /// Queries.
    pub q_proj: Linear<B>,
    /// Keys.
    pub k_proj: Linear<B>,
    /// Values.
    pub v_proj: Linear<B>,
    /// Output.
    pub o_proj: Linear<B>,
    /// Normalises queries, head by head.
    pub q_norm: RmsNorm<B>,
    /// Normalises keys, head by head.
    pub k_norm: RmsNorm<B>,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub key_value_heads: usize,
}

impl<B: Backend> SelfAttention<B> {
    fn forward(&self, input: Tensor<B, 3>, rotations: &Rotations<B>, bias: &Bias<B>) -> Tensor<B, 3> {
        let query = self.q_norm.forward_by_head(self.q_proj.forward(input.clone()));
        let key = self.k_norm.forward_by_head(self.k_proj.forward(input.clone()));
        let value = self.repeat(self.v_proj.forward(input));
        let key = self.repeat(rotations.keys.turn(key));
        let mixed = multi_head_attention(rotations.queries.turn(query), key, value, self.heads, Some(bias));
        self.o_proj.forward(mixed)
    }

    /// Repeats each head of keys or values for the heads of queries that it serves: `[batch, tokens, key heads · width]` →
    /// `[batch, tokens, heads · width]`.
    fn repeat(&self, input: Tensor<B, 3>) -> Tensor<B, 3> {
        let times = self.heads / self.key_value_heads;
        let [batch, tokens, features] = input.dims();
        let heads = input.reshape([batch * tokens * self.key_value_heads, 1, features / self.key_value_heads]);
        heads.repeat_dim(1, times).reshape([batch, tokens, features * times])
    }
}

/// The rotations of queries and keys, of which there are different numbers of heads.
struct Rotations<B: Backend> {
    queries: Rotation<B>,
    keys: Rotation<B>,
}

/// Gated feed-forward part.
#[derive(Module, Debug)]
pub struct Mlp<B: Backend> {
    /// Gate.
    pub gate_proj: Linear<B>,
    /// What is gated.
    pub up_proj: Linear<B>,
    /// Output.
    pub down_proj: Linear<B>,
}

/// A layer of the decoder.
#[derive(Module, Debug)]
pub struct DecoderLayer<B: Backend> {
    /// Attention.
    pub self_attn: SelfAttention<B>,
    /// Feed-forward part.
    pub mlp: Mlp<B>,
    /// Before the attention.
    pub input_layernorm: RmsNorm<B>,
    /// Before the feed-forward part.
    pub post_attention_layernorm: RmsNorm<B>,
}

impl<B: Backend> DecoderLayer<B> {
    fn new(config: &Qwen3Config, device: &B::Device) -> Self {
        let (hidden, head) = (config.hidden_size, config.head_width());
        let (heads, key_value_heads) = (config.num_attention_heads, config.num_key_value_heads);
        let linear = |inputs, outputs| Linear::new(inputs, outputs, false, device);
        let norm = |width| RmsNorm::new(width, config.rms_norm_eps, device);
        Self {
            self_attn: SelfAttention {
                q_proj: linear(hidden, heads * head),
                k_proj: linear(hidden, key_value_heads * head),
                v_proj: linear(hidden, key_value_heads * head),
                o_proj: linear(heads * head, hidden),
                q_norm: norm(head),
                k_norm: norm(head),
                heads,
                key_value_heads,
            },
            mlp: Mlp {
                gate_proj: linear(hidden, config.intermediate_size),
                up_proj: linear(hidden, config.intermediate_size),
                down_proj: linear(config.intermediate_size, hidden),
            },
            input_layernorm: norm(hidden),
            post_attention_layernorm: norm(hidden),
        }
    }

    fn forward(&self, stream: Tensor<B, 3>, rotations: &Rotations<B>, bias: &Bias<B>) -> Tensor<B, 3> {
        let attended = self.self_attn.forward(self.input_layernorm.forward(stream.clone()), rotations, bias);
        let stream = stream + attended;
        let normed = self.post_attention_layernorm.forward(stream.clone());
        let gate = silu(self.mlp.gate_proj.forward(normed.clone()));
        stream + self.mlp.down_proj.forward(gate * self.mlp.up_proj.forward(normed))
    }
}

/// The token embedding.
#[derive(Module, Debug)]
pub struct Embedding<B: Backend> {
    /// `[vocabulary, hidden]`.
    pub weight: Param<Tensor<B, 2>>,
}

/// Qwen3 without its language head.
#[derive(Module, Debug)]
pub struct Qwen3Encoder<B: Backend> {
    /// Token embedding.
    pub embed_tokens: Embedding<B>,
    /// Layers.
    pub layers: Vec<DecoderLayer<B>>,
    /// The last normalisation; no hidden state that is used here passes through it.
    pub norm: RmsNorm<B>,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub key_value_heads: usize,
    /// Width of a head.
    pub head_width: usize,
    /// Base of the rotary embedding.
    pub theta: f64,
}

impl<B: Backend> Qwen3Encoder<B> {
    /// An encoder with drawn weights.
    pub fn new(config: &Qwen3Config, device: &B::Device) -> Self {
        let draw = Initializer::Normal { mean: 0.0, std: 0.02 };
        Self {
            embed_tokens: Embedding { weight: draw.init([config.vocab_size, config.hidden_size], device) },
            layers: (0..config.num_hidden_layers).map(|_| DecoderLayer::new(config, device)).collect(),
            norm: RmsNorm::new(config.hidden_size, config.rms_norm_eps, device),
            heads: config.num_attention_heads,
            key_value_heads: config.num_key_value_heads,
            head_width: config.head_width(),
            theta: config.theta(),
        }
    }

    /// Encodes token ids `[batch, tokens]` with their mask (1 a token, 0 padding on the right) to the hidden states after
    /// the named layers (0 is the embedding), side by side: `[batch, tokens, layers · hidden]`.
    pub fn forward(&self, ids: Tensor<B, 2, Int>, mask: &[Vec<bool>], layers: &[usize]) -> Tensor<B, 3> {
        let [batch, tokens] = ids.dims();
        let device = ids.device();
        let flat = ids.reshape([batch * tokens]);
        let embedded = self.embed_tokens.weight.val().select(0, flat);
        let hidden = embedded.dims()[1];
        let mut stream = embedded.reshape([batch, tokens, hidden]);
        let rotation = |heads: usize| Rotation::halves(tokens, self.head_width, self.theta, heads, &device);
        let rotations = Rotations { queries: rotation(self.heads), keys: rotation(self.key_value_heads) };
        let bias = Bias::new(causal_bias(mask, tokens, &device), self.heads);
        let deepest = layers.iter().copied().max().unwrap_or_default();
        // After no layer at all stands the embedding.
        let mut states = vec![stream.clone()];
        for layer in self.layers.iter().take(deepest) {
            stream = layer.forward(stream, &rotations, &bias);
            states.push(stream.clone());
        }
        Tensor::cat(layers.iter().map(|layer| states[*layer].clone()).collect(), 2)
    }
}

/// What stands for minus infinity, in every precision: finite, so that a row of padding does not become not-a-number.
const UNSEEN: f32 = -1e30;

/// `[batch, tokens, tokens]`: minus infinity where a token must not look, that is, ahead and at padding.
fn causal_bias<B: Backend>(mask: &[Vec<bool>], tokens: usize, device: &B::Device) -> Tensor<B, 3> {
    let mut bias = Vec::with_capacity(mask.len() * tokens * tokens);
    for row in mask {
        for query in 0..tokens {
            bias.extend((0..tokens).map(|key| if key <= query && row[key] { 0.0f32 } else { UNSEEN }));
        }
    }
    Tensor::from_data(TensorData::new(bias, [mask.len(), tokens, tokens]), device)
}

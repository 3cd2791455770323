//! CLIP's text encoders (Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021):
//! `transformers/models/clip/modeling_clip.py`, `CLIPTextModel` and `CLIPTextModelWithProjection`.

use std::collections::BTreeMap;

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Int, Tensor, TensorData, backend::Backend},
};
use serde::{Deserialize, Serialize};

use super::config::{check_keys, refuse};
use crate::{
    error::Result,
    nn::{
        activation::gelu,
        attention::{Bias, UNSEEN, multi_head_attention},
        linear::Linear,
        norm::{LayerNorm, in_native_precision},
        recorded::Given,
    },
};

/// `text_encoder/config.json` and `text_encoder_2/config.json`. Keys are those of transformers; of the many that say nothing
/// about the result the known ones are passed over, and any other is refused, because it may change it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipConfig {
    /// `clip_text_model`.
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
    /// Heads.
    pub num_attention_heads: usize,
    /// The longest text, in tokens.
    #[serde(default = "positions")]
    pub max_position_embeddings: usize,
    /// `quick_gelu` or `gelu`.
    #[serde(default = "quick_gelu_name")]
    pub hidden_act: String,
    /// Added to variances.
    #[serde(default = "epsilon")]
    pub layer_norm_eps: f64,
    /// Width of the projection, where there is one.
    #[serde(default = "projection")]
    pub projection_dim: usize,
    /// The token whose place holds what the text says as a whole. 2 is that of older files, which did not say it: there it
    /// is the largest token of the text.
    #[serde(default = "end_of_text")]
    pub eos_token_id: u32,
    /// Every other key.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

/// Keys that say nothing about the result.
const WITHOUT_EFFECT: &[&str] = &[
    "_attn_implementation",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "dropout",
    "dtype",
    "initializer_factor",
    "initializer_range",
    "pad_token_id",
    "tie_word_embeddings",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

/// OpenAI's approximation of GELU.
pub(crate) const QUICK_GELU: &str = "quick_gelu";

/// The activations that CLIP was trained with.
pub(crate) const ACTIVATIONS: [&str; 2] = [QUICK_GELU, "gelu"];

/// What older files say instead of the token that ends a text.
const UNSTATED_END: u32 = 2;

impl ClipConfig {
    /// Refuses what would change the result and is not implemented.
    ///
    /// # Errors
    /// [`Error::Config`] with the key's name.
    pub fn check(&self) -> Result<()> {
        if self.model_type != model_type() {
            return refuse(format!("`model_type` is `{}`; SDXL has `{}`", self.model_type, model_type()));
        }
        if !ACTIVATIONS.contains(&self.hidden_act.as_str()) {
            return refuse(format!(
                "`hidden_act` is `{}`, which is not supported; `quick_gelu` and `gelu` are",
                self.hidden_act
            ));
        }
        check_keys(&self.rest, WITHOUT_EFFECT)?;
        if self.num_attention_heads == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return refuse("`hidden_size` must be a multiple of `num_attention_heads`".to_owned());
        }
        // The context is the state before the last layer.
        if self.num_hidden_layers < 2 || self.vocab_size == 0 || self.hidden_size == 0 {
            return refuse("sizes must not be zero, and there must be two layers".to_owned());
        }
        Ok(())
    }

    fn layer(&self) -> LayerShape {
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
    "clip_text_model".to_owned()
}

fn positions() -> usize {
    77
}

fn quick_gelu_name() -> String {
    QUICK_GELU.to_owned()
}

fn epsilon() -> f64 {
    1e-5
}

fn projection() -> usize {
    512
}

fn end_of_text() -> u32 {
    49407
}

/// Causal attention.
#[derive(Module, Debug)]
pub struct SelfAttention<B: Backend> {
    /// Queries.
    pub q_proj: Linear<B>,
    /// Keys.
    pub k_proj: Linear<B>,
    /// Values.
    pub v_proj: Linear<B>,
    /// Output.
    pub out_proj: Linear<B>,
    /// Heads.
    pub heads: usize,
}

/// Feed-forward part.
#[derive(Module, Debug)]
pub struct Mlp<B: Backend> {
    /// To the wider stream.
    pub fc1: Linear<B>,
    /// And back.
    pub fc2: Linear<B>,
    /// Whether the activation is `x · sigmoid(1.702 x)`, as OpenAI trained it, and not GELU itself.
    pub is_quick: bool,
}

impl<B: Backend> Mlp<B> {
    /// The stream plus what becomes of it, normalised.
    fn forward(&self, stream: Tensor<B, 3>, normed: Tensor<B, 3>) -> Tensor<B, 3> {
        let wide = self.fc1.forward(normed);
        self.fc2.forward_onto(stream, gelu(wide, self.is_quick))
    }
}

/// What decides the shape of a layer, in a text encoder as in a picture encoder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerShape {
    /// Width of the stream.
    pub(crate) width: usize,
    /// Width of the feed-forward part.
    pub(crate) intermediate: usize,
    /// Heads.
    pub(crate) heads: usize,
    /// Added to variances.
    pub(crate) epsilon: f64,
    /// Whether the activation is OpenAI's approximation of GELU.
    pub(crate) is_quick: bool,
}

/// A layer.
#[derive(Module, Debug)]
pub struct EncoderLayer<B: Backend> {
    /// Attention.
    pub self_attn: SelfAttention<B>,
    /// Before the attention.
    pub layer_norm1: LayerNorm<B>,
    /// Feed-forward part.
    pub mlp: Mlp<B>,
    /// Before the feed-forward part.
    pub layer_norm2: LayerNorm<B>,
}

impl<B: Backend> EncoderLayer<B> {
    pub(crate) fn new(shape: LayerShape, device: &B::Device) -> Self {
        let width = shape.width;
        let linear = |inputs, outputs| Linear::new(inputs, outputs, true, device);
        let norm = || LayerNorm::new(width, shape.epsilon, device);
        Self {
            self_attn: SelfAttention {
                q_proj: linear(width, width),
                k_proj: linear(width, width),
                v_proj: linear(width, width),
                out_proj: linear(width, width),
                heads: shape.heads,
            },
            layer_norm1: norm(),
            mlp: Mlp {
                fc1: linear(width, shape.intermediate),
                fc2: linear(shape.intermediate, width),
                is_quick: shape.is_quick,
            },
            layer_norm2: norm(),
        }
    }

    /// `[batch, tokens, width]` → the same shape; `bias` is what texts add to the scores, and pictures do not.
    pub(crate) fn forward(&self, stream: Tensor<B, 3>, bias: Option<&Bias<B>>) -> Tensor<B, 3> {
        let attn = &self.self_attn;
        let normed = self.layer_norm1.forward(stream.clone());
        let [query, key, value] = Linear::forward_beside([&attn.q_proj, &attn.k_proj, &attn.v_proj], normed);
        let mixed = multi_head_attention(query, key, value, attn.heads, bias);
        let stream = attn.out_proj.forward_onto(stream, mixed);
        let normed = self.layer_norm2.forward(stream.clone());
        self.mlp.forward(stream, normed)
    }
}

/// A table of vectors under the published name `weight`.
#[derive(Module, Debug)]
pub struct Table<B: Backend> {
    /// `[entries, hidden]`.
    pub weight: Param<Tensor<B, 2>>,
}

/// What the tokens and their places begin as.
#[derive(Module, Debug)]
pub struct Embeddings<B: Backend> {
    /// By token.
    pub token_embedding: Table<B>,
    /// By place.
    pub position_embedding: Table<B>,
}

/// The layers under the published name `encoder`.
#[derive(Module, Debug)]
pub struct Encoder<B: Backend> {
    /// Layers.
    pub layers: Vec<EncoderLayer<B>>,
}

/// A text encoder of CLIP.
#[derive(Module, Debug)]
pub struct ClipTextEncoder<B: Backend> {
    /// Where the stream begins.
    pub embeddings: Embeddings<B>,
    /// Layers.
    pub encoder: Encoder<B>,
    /// After the last layer.
    pub final_layer_norm: LayerNorm<B>,
    /// Makes one vector of the text, where there is a projection.
    pub text_projection: Option<Linear<B>>,
    /// The token whose place holds what the text says as a whole.
    pub end_of_text: u32,
}

/// Where the layers begin.
#[derive(Clone, Debug)]
pub struct Start<B: Backend> {
    /// `[batch, tokens, hidden]`.
    stream: Tensor<B, 3>,
    /// What every token may look at.
    bias: Bias<B>,
}

impl<B: Backend> Start<B> {
    /// What layers are given that begin here.
    pub fn given(&self) -> Vec<Given> {
        vec![(&self.stream).into(), self.bias.given()]
    }
}

/// An encoded batch of texts.
#[derive(Clone, Debug)]
pub struct Encoded<B: Backend> {
    /// The states before the last layer, `[batch, tokens, hidden]`.
    pub states: Tensor<B, 3>,
    /// What the texts say as a whole, `[batch, projection]`, where there is a projection.
    pub pooled: Option<Tensor<B, 2>>,
}

impl<B: Backend> ClipTextEncoder<B> {
    /// An encoder with drawn weights.
    pub fn new(config: &ClipConfig, has_projection: bool, device: &B::Device) -> Self {
        let width = config.hidden_size;
        let draw = Initializer::Normal { mean: 0.0, std: 0.02 };
        let table = |entries: usize| Table { weight: draw.init([entries, width], device) };
        Self {
            embeddings: Embeddings {
                token_embedding: table(config.vocab_size),
                position_embedding: table(config.max_position_embeddings),
            },
            encoder: Encoder {
                layers: (0..config.num_hidden_layers).map(|_| EncoderLayer::new(config.layer(), device)).collect(),
            },
            final_layer_norm: LayerNorm::new(width, config.layer_norm_eps, device),
            text_projection: has_projection.then(|| Linear::new(width, config.projection_dim, false, device)),
            end_of_text: config.eos_token_id,
        }
    }

    /// Encodes texts as token ids, all of one length. Padding is seen like any other token, as it was in training.
    pub fn forward(&self, texts: &[Vec<u32>], device: &B::Device) -> Encoded<B> {
        let start = self.start(texts, device);
        self.encoded(self.states(&start), texts)
    }

    /// Where the layers begin.
    pub fn start(&self, texts: &[Vec<u32>], device: &B::Device) -> Start<B> {
        let (batch, tokens) = (texts.len(), texts.first().map_or(0, Vec::len));
        let ids: Vec<i32> = texts.iter().flatten().map(|id| *id as i32).collect();
        let ids = Tensor::<B, 1, Int>::from_data(TensorData::new(ids, [batch * tokens]), device);
        let embedded = in_native_precision(self.embeddings.token_embedding.weight.val().select(0, ids));
        let width = embedded.dims()[1];
        let places = in_native_precision(self.embeddings.position_embedding.weight.val().narrow(0, 0, tokens));
        Start { stream: embedded.reshape([batch, tokens, width]) + places.unsqueeze(), bias: causal(tokens, device) }
    }

    /// The states `[batch, tokens, hidden]` before the last layer and, where there is a projection, those after it, normalised.
    pub fn states(&self, start: &Start<B>) -> Vec<Tensor<B, 3>> {
        let (last, before) = self.encoder.layers.split_last().expect("invariant: there are two layers");
        let bias = Some(&start.bias);
        let before_last = before.iter().fold(start.stream.clone(), |stream, layer| layer.forward(stream, bias));
        let normed = |stream| self.final_layer_norm.forward(last.forward(stream, bias));
        let normed = self.text_projection.is_some().then(|| normed(before_last.clone()));
        [Some(before_last), normed].into_iter().flatten().collect()
    }

    /// The encoded texts, from the [states](Self::states) of their tokens.
    pub fn encoded(&self, states: Vec<Tensor<B, 3>>, texts: &[Vec<u32>]) -> Encoded<B> {
        let mut states = states.into_iter();
        let before_last = states.next().expect("invariant: there are states before the last layer");
        let pooled = self.text_projection.as_ref().zip(states.next()).map(|(projection, normed)| {
            let [batch, _, width] = normed.dims();
            let ends =
                texts.iter().zip(0..).map(|(text, row)| normed.clone().narrow(0, row, 1).narrow(1, self.end(text), 1));
            projection.forward(Tensor::cat(ends.collect(), 0).reshape([batch, width]))
        });
        Encoded { states: before_last, pooled }
    }

    /// The place in a text that holds what it says as a whole.
    fn end(&self, text: &[u32]) -> usize {
        let end = match self.end_of_text {
            UNSTATED_END => text.iter().copied().max().unwrap_or_default(),
            stated => stated,
        };
        text.iter().position(|id| *id == end).unwrap_or_default()
    }
}

/// Minus infinity where a token must not look, that is, ahead.
fn causal<B: Backend>(tokens: usize, device: &B::Device) -> Bias<B> {
    let row = |query: usize| (0..tokens).map(move |key| if key <= query { 0.0f32 } else { UNSEEN });
    Bias::new((0..tokens).flat_map(row).collect(), [1, tokens, tokens], device)
}

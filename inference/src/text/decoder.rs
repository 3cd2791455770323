//! A decoder-only language model as a text encoder: hidden states of inner layers, no language head. What Qwen3 and Mistral
//! have in common: `transformers/models/qwen3/modeling_qwen3.py`, `transformers/models/mistral/modeling_mistral.py`.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Int, Tensor, TensorData, backend::Backend},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    nn::{
        activation::silu_gated,
        attention::{Bias, UNSEEN, multi_head_attention},
        linear::{Blocks, Linear},
        norm::{RmsNorm, in_native_precision},
        recorded::Given,
        rope::Rotation,
        sequence::with_heads_repeated,
    },
};

/// What a decoder is made of, whatever the file that says it.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Size of the vocabulary.
    pub vocabulary: usize,
    /// Width of the stream.
    pub hidden: usize,
    /// Width of the feed-forward part.
    pub inner: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub key_value_heads: usize,
    /// Width of a head.
    pub head_width: usize,
    /// Added to mean squares.
    pub epsilon: f64,
    /// Base of the rotary embedding.
    pub theta: f64,
    /// Whether queries and keys are normalised head by head (Qwen3) or not (Mistral).
    pub has_head_norms: bool,
}

impl DecoderConfig {
    /// Refuses sizes that make no decoder.
    ///
    /// # Errors
    /// [`Error::Config`] with what does not fit.
    pub fn check(&self) -> Result<()> {
        let sizes = [self.vocabulary, self.hidden, self.heads, self.key_value_heads, self.head_width];
        if sizes.contains(&0) || !self.heads.is_multiple_of(self.key_value_heads) || self.head_width % 2 == 1 {
            return Err(Error::Config(
                "The text encoder's sizes do not fit each other: heads must be a multiple of key-value heads, and a head's width even."
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Refuses hidden states that the decoder does not have.
    ///
    /// # Errors
    /// [`Error::Config`] with the state's number.
    pub fn check_states(&self, states: &[usize]) -> Result<()> {
        match states.iter().find(|state| **state > self.layers) {
            Some(state) => Err(Error::Config(format!(
                "Hidden state {state} of the text encoder is asked for, and it has {} layers; ask for one of 0 to {}.",
                self.layers, self.layers
            ))),
            None => Ok(()),
        }
    }
}

/// The name of a tensor of a decoder's first `used` of `all` layers: none for those of a layer above them, which are not
/// needed. A layer that the decoder does not have keeps its name, so that it is found to be left over.
pub fn key_of_used_layers(name: &str, used: usize, all: usize) -> Option<String> {
    let layer = name.strip_prefix("layers.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
    let is_above = layer.is_some_and(|layer| (used..all).contains(&layer));
    (!is_above).then(|| name.to_owned())
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

impl RopeParameters {
    /// Refuses kinds that are not implemented.
    ///
    /// # Errors
    /// [`Error::Config`] with the kind.
    pub fn check(&self) -> Result<()> {
        if self.rope_type != default_rope() {
            return Err(Error::Config(format!(
                "The text encoder's `rope_parameters` are of the type `{}`, which is not supported; `default` is.",
                self.rope_type
            )));
        }
        Ok(())
    }
}

fn default_rope() -> String {
    "default".to_owned()
}

/// Causal attention; a head of keys and values serves several of queries (Ainslie et al., "GQA", 2023).
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
    /// Normalises queries, head by head, where the model does.
    pub q_norm: Option<RmsNorm<B>>,
    /// Normalises keys, head by head, where the model does.
    pub k_norm: Option<RmsNorm<B>>,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub key_value_heads: usize,
}

impl<B: Backend> SelfAttention<B> {
    /// The stream plus what it finds when `input`, which is normalised, looks at itself.
    fn forward(
        &self,
        stream: Tensor<B, 3>,
        input: Tensor<B, 3>,
        rotation: &Rotation<B>,
        sight: &Sight<B>,
    ) -> Tensor<B, 3> {
        let normed = |norm: &Option<RmsNorm<B>>, heads| match norm {
            Some(norm) => norm.forward_by_head(heads),
            None => heads,
        };
        let [query, key, value] = Linear::forward_beside([&self.q_proj, &self.k_proj, &self.v_proj], input);
        let (query, key) = (normed(&self.q_norm, query), normed(&self.k_norm, key));
        let (key, value) = (self.repeat(rotation.turn(key)), self.repeat(value));
        let mixed = multi_head_attention(rotation.turn(query), key, value, self.heads, Some(&sight.bias));
        let mixed = match &sight.seeing {
            Some(seeing) => mixed * seeing.clone(),
            None => mixed,
        };
        self.o_proj.forward_onto(stream, mixed)
    }

    /// Repeats each head of keys or values for the heads of queries that it serves.
    fn repeat(&self, input: Tensor<B, 3>) -> Tensor<B, 3> {
        with_heads_repeated(input, self.key_value_heads, self.heads / self.key_value_heads)
    }
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
    fn new(config: &DecoderConfig, device: &B::Device) -> Self {
        let (hidden, head) = (config.hidden, config.head_width);
        let (heads, key_value_heads) = (config.heads, config.key_value_heads);
        let linear = |inputs, outputs| Linear::new(inputs, outputs, false, device);
        let norm = |width| RmsNorm::new(width, config.epsilon, device);
        Self {
            self_attn: SelfAttention {
                q_proj: linear(hidden, heads * head),
                k_proj: linear(hidden, key_value_heads * head),
                v_proj: linear(hidden, key_value_heads * head),
                o_proj: linear(heads * head, hidden),
                q_norm: config.has_head_norms.then(|| norm(head)),
                k_norm: config.has_head_norms.then(|| norm(head)),
                heads,
                key_value_heads,
            },
            mlp: Mlp {
                gate_proj: linear(hidden, config.inner),
                up_proj: linear(hidden, config.inner),
                down_proj: linear(config.inner, hidden),
            },
            input_layernorm: norm(hidden),
            post_attention_layernorm: norm(hidden),
        }
    }

    fn forward(&self, stream: Tensor<B, 3>, rotation: &Rotation<B>, sight: &Sight<B>) -> Tensor<B, 3> {
        let normed = self.input_layernorm.forward(stream.clone());
        let stream = self.self_attn.forward(stream, normed, rotation, sight);
        let normed = self.post_attention_layernorm.forward(stream.clone());
        let [gate, up] = Linear::forward_beside([&self.mlp.gate_proj, &self.mlp.up_proj], normed);
        self.mlp.down_proj.forward_onto(stream, silu_gated(gate, up))
    }
}

/// The token embedding.
#[derive(Module, Debug)]
pub struct Embedding<B: Backend> {
    /// `[vocabulary, hidden]`.
    pub weight: Param<Tensor<B, 2>>,
}

/// A decoder without its language head.
#[derive(Module, Debug)]
pub struct Decoder<B: Backend> {
    /// Token embedding.
    pub embed_tokens: Embedding<B>,
    /// The first layers: as many as hidden states are wanted of.
    pub layers: Vec<DecoderLayer<B>>,
    /// The last normalisation, through which the state after the last layer of all passes.
    pub norm: RmsNorm<B>,
    /// Layers of the whole model.
    pub depth: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub key_value_heads: usize,
    /// Width of a head.
    pub head_width: usize,
    /// Base of the rotary embedding.
    pub theta: f64,
}

impl<B: Backend> Decoder<B> {
    /// A whole decoder with drawn weights.
    pub fn new(config: &DecoderConfig, device: &B::Device) -> Self {
        Self::with_layers(config, config.layers, device)
    }

    /// The first layers of a decoder, with drawn weights.
    pub fn with_layers(config: &DecoderConfig, layers: usize, device: &B::Device) -> Self {
        let draw = Initializer::Normal { mean: 0.0, std: 0.02 };
        Self {
            embed_tokens: Embedding { weight: draw.init([config.vocabulary, config.hidden], device) },
            layers: (0..layers).map(|_| DecoderLayer::new(config, device)).collect(),
            norm: RmsNorm::new(config.hidden, config.epsilon, device),
            depth: config.layers,
            heads: config.heads,
            key_value_heads: config.key_value_heads,
            head_width: config.head_width,
            theta: config.theta,
        }
    }

    /// Encodes token ids `[batch, tokens]` with their mask (1 a token, 0 padding on either side) to the hidden states after
    /// the named layers (0 is the embedding), side by side: `[batch, tokens, layers · hidden]`. Positions count from the
    /// first entry, padding or not.
    pub fn forward(&self, ids: Tensor<B, 2, Int>, mask: &[Vec<bool>], layers: &[usize]) -> Tensor<B, 3> {
        let start = self.start(ids, mask);
        beside(self.states(&start, layers))
    }

    /// Where the layers begin, for token ids `[batch, tokens]` with their mask.
    pub fn start(&self, ids: Tensor<B, 2, Int>, mask: &[Vec<bool>]) -> Start<B> {
        let [batch, tokens] = ids.dims();
        let device = ids.device();
        let flat = ids.reshape([batch * tokens]);
        let embedded = in_native_precision(self.embed_tokens.weight.val().select(0, flat));
        let hidden = embedded.dims()[1];
        Start {
            stream: embedded.reshape([batch, tokens, hidden]),
            rotation: Rotation::halves(tokens, self.head_width, self.theta, &device),
            sight: Sight::new(mask, tokens, &device),
        }
    }

    /// The hidden states `[batch, tokens, hidden]` after the named layers; 0 is where they begin.
    pub fn states(&self, start: &Start<B>, layers: &[usize]) -> Vec<Tensor<B, 3>> {
        let deepest = layers.iter().copied().max().unwrap_or_default();
        // After no layer at all stands the embedding.
        let mut stream = start.stream.clone();
        let mut states = vec![stream.clone()];
        for layer in self.layers.iter().take(deepest) {
            stream = layer.forward(stream, &start.rotation, &start.sight);
            states.push(stream.clone());
        }
        // The reference counts the normed state as the last.
        if deepest == self.depth {
            states[deepest] = self.norm.forward(stream);
        }
        layers.iter().map(|layer| states[*layer].clone()).collect()
    }
}

/// Hidden states side by side, `[batch, tokens, layers · hidden]`.
pub fn beside<B: Backend>(states: Vec<Tensor<B, 3>>) -> Tensor<B, 3> {
    Tensor::cat(states, 2)
}

/// Where the layers begin.
pub struct Start<B: Backend> {
    /// `[batch, tokens, hidden]`.
    stream: Tensor<B, 3>,
    rotation: Rotation<B>,
    sight: Sight<B>,
}

impl<B: Backend> Start<B> {
    /// What layers are given that begin here.
    pub fn given(&self) -> Vec<Given> {
        let mut given = vec![(&self.stream).into(), self.sight.bias.given()];
        given.extend(self.rotation.given());
        given.extend(self.sight.seeing.iter().map(Given::from));
        given
    }
}

impl<B: Backend> Blocks<B> for Decoder<B> {
    fn layers_by_input(&mut self) -> Vec<Vec<&mut Linear<B>>> {
        let mut layers = Vec::new();
        for DecoderLayer { self_attn, mlp, .. } in &mut self.layers {
            layers.push(vec![&mut self_attn.q_proj, &mut self_attn.k_proj, &mut self_attn.v_proj]);
            layers.push(vec![&mut self_attn.o_proj]);
            layers.push(vec![&mut mlp.gate_proj, &mut mlp.up_proj]);
            layers.push(vec![&mut mlp.down_proj]);
        }
        layers
    }
}

/// What every token may look at.
struct Sight<B: Backend> {
    /// Minus infinity where a token must not look, that is, ahead and at padding.
    bias: Bias<B>,
    /// `[batch, tokens, 1]`: 0 for a token that sees nothing, as padding on the left does, else 1; none where all see.
    /// The reference's attention gives zeros to such a token.
    seeing: Option<Tensor<B, 3>>,
}

impl<B: Backend> Sight<B> {
    fn new(mask: &[Vec<bool>], tokens: usize, device: &B::Device) -> Self {
        let mut bias = Vec::with_capacity(mask.len() * tokens * tokens);
        let mut seeing = Vec::with_capacity(mask.len() * tokens);
        for row in mask {
            for query in 0..tokens {
                bias.extend((0..tokens).map(|key| if key <= query && row[key] { 0.0f32 } else { UNSEEN }));
                seeing.push(if row[..=query].contains(&true) { 1.0f32 } else { 0.0 });
            }
        }
        let bias = Bias::new(bias, [mask.len(), tokens, tokens], device);
        let all_see = !seeing.contains(&0.0);
        let seeing = Tensor::from_data(TensorData::new(seeing, [mask.len(), tokens, 1]), device);
        Self { bias, seeing: (!all_see).then_some(seeing) }
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        backend::Flex,
        tensor::{DType, TensorData},
    };

    use super::*;
    use crate::weights::module_file::{Halves, Stored, load_keeping, save};

    #[test]
    fn weights_that_stay_in_half_precision_are_the_same_weights() {
        let config = DecoderConfig {
            vocabulary: 40,
            hidden: 32,
            inner: 48,
            layers: 2,
            heads: 4,
            key_value_heads: 2,
            head_width: 8,
            epsilon: 1e-6,
            theta: 10_000.0,
            has_head_norms: true,
        };
        let device = Default::default();
        let drawn = || Decoder::<Flex>::new(&config, &device);
        let folder = tempfile::tempdir().unwrap();
        for stored in [Stored::Bf16, Stored::F16] {
            let file = folder.path().join("model.safetensors");
            save::<Flex, _>(&drawn(), &file, stored, Default::default()).unwrap();
            let states = |halves: Halves, dtype: DType| {
                let files = std::slice::from_ref(&file);
                let read = load_keeping::<Flex, _>(drawn(), files, halves, |name| Some(name.to_owned())).unwrap();
                assert_eq!(read.embed_tokens.weight.val().dtype(), dtype);
                let ids = Tensor::from_data(TensorData::from([[3, 17, 39, 0]]), &device);
                let states = read.forward(ids, &[vec![true, true, true, false]], &[0, 2]);
                states.into_data().to_vec::<f32>().unwrap()
            };
            let widened = states(Halves::Widened, DType::F32);
            let kept = states(Halves::Kept, if stored == Stored::F16 { DType::F16 } else { DType::BF16 });
            let far = widened.iter().zip(&kept).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
            assert!(widened.len() == kept.len() && far < 1e-5, "they lie {far} apart");
        }
    }
}

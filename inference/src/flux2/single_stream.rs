//! A block with one stream: attention and feed-forward part side by side, with joined projections (Dehghani et al.,
//! "ViT-22B", 2023).

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use super::{config::Flux2TransformerConfig, modulation::Modulated};
use crate::nn::{
    activation::silu_gated, attention::multi_head_attention, linear::Linear, norm::RmsNorm, rope::Rotation,
};

/// Attention with the feed-forward part beside it.
#[derive(Module, Debug)]
pub struct ParallelAttention<B: Backend> {
    /// `[hidden] → [3 · hidden + 2 · inner]`: queries, keys, values, feed-forward.
    pub to_qkv_mlp_proj: Linear<B>,
    /// Normalises queries, head by head.
    pub norm_q: RmsNorm<B>,
    /// Normalises keys, head by head.
    pub norm_k: RmsNorm<B>,
    /// `[hidden + inner] → [hidden]`.
    pub to_out: Linear<B>,
    /// Heads.
    pub heads: usize,
}

/// A block with one stream.
#[derive(Module, Debug)]
pub struct SingleStreamBlock<B: Backend> {
    /// Attention with the feed-forward part beside it.
    pub attn: ParallelAttention<B>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl<B: Backend> SingleStreamBlock<B> {
    /// A block with drawn weights.
    pub fn new(config: &Flux2TransformerConfig, device: &B::Device) -> Self {
        let (hidden, inner) = (config.hidden(), config.mlp_hidden());
        let norm = || RmsNorm::new(config.attention_head_dim, config.eps, device);
        let attn = ParallelAttention {
            to_qkv_mlp_proj: Linear::new(hidden, 3 * hidden + 2 * inner, false, device),
            norm_q: norm(),
            norm_k: norm(),
            to_out: Linear::new(hidden + inner, hidden, false, device),
            heads: config.num_attention_heads,
        };
        Self { attn, epsilon: config.eps }
    }

    /// Its linear layers, those that look at the same input together.
    pub fn layers_by_input(&mut self) -> Vec<Vec<&mut Linear<B>>> {
        vec![vec![&mut self.attn.to_qkv_mlp_proj], vec![&mut self.attn.to_out]]
    }

    /// `[batch, tokens, hidden]` → the same shape.
    pub fn forward(&self, stream: Tensor<B, 3>, modulation: &Modulated<B>, rotation: &Rotation<B>) -> Tensor<B, 3> {
        let hidden = stream.dims()[2];
        let attn = &self.attn;
        let inner = attn.to_out.features().0 - hidden;
        let input = modulation.normalise(stream.clone(), self.epsilon);
        let parts = [hidden, hidden, hidden, inner, inner];
        let [query, key, value, gate, fed] = attn.to_qkv_mlp_proj.forward_in_parts(input, parts);
        let query = rotation.turn(attn.norm_q.forward_by_head(query));
        let key = rotation.turn(attn.norm_k.forward_by_head(key));
        let mixed = multi_head_attention(query, key, value, attn.heads, None);
        let joined = attn.to_out.forward_joined(vec![mixed, silu_gated(gate, fed)]);
        modulation.join(stream, joined)
    }
}

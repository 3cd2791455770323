//! A block with two streams: text and picture keep weights of their own and attend to each other (MMDiT: Esser et al., "Scaling
//! Rectified Flow Transformers for High-Resolution Image Synthesis", 2024). `Flux2TransformerBlock` in diffusers'
//! `transformer_flux2.py`.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use super::{config::Flux2TransformerConfig, modulation::Modulated};
use crate::nn::{
    activation::silu_gated,
    attention::multi_head_attention,
    linear::Linear,
    norm::RmsNorm,
    rope::Rotation,
    sequence::{joined, part},
};

/// Gated feed-forward part: the first half of the inner width gates the second (SwiGLU).
#[derive(Module, Debug)]
pub struct FeedForward<B: Backend> {
    /// `[hidden] → [2 · inner]`.
    pub linear_in: Linear<B>,
    /// `[inner] → [hidden]`.
    pub linear_out: Linear<B>,
}

impl<B: Backend> FeedForward<B> {
    fn new(hidden: usize, inner: usize, device: &B::Device) -> Self {
        Self {
            linear_in: Linear::new(hidden, 2 * inner, false, device),
            linear_out: Linear::new(inner, hidden, false, device),
        }
    }

    /// `[batch, tokens, hidden]` → the same shape.
    pub fn forward(&self, input: Tensor<B, 3>) -> Tensor<B, 3> {
        let (inner, _) = self.linear_out.features();
        let [gate, value] = self.linear_in.forward_in_parts(input, [inner; 2]);
        self.linear_out.forward(silu_gated(gate, value))
    }
}

/// Joint attention of the two streams.
#[derive(Module, Debug)]
pub struct JointAttention<B: Backend> {
    /// Picture queries.
    pub to_q: Linear<B>,
    /// Picture keys.
    pub to_k: Linear<B>,
    /// Picture values.
    pub to_v: Linear<B>,
    /// Normalises picture queries, head by head.
    pub norm_q: RmsNorm<B>,
    /// Normalises picture keys, head by head.
    pub norm_k: RmsNorm<B>,
    /// Text queries.
    pub add_q_proj: Linear<B>,
    /// Text keys.
    pub add_k_proj: Linear<B>,
    /// Text values.
    pub add_v_proj: Linear<B>,
    /// Normalises text queries, head by head.
    pub norm_added_q: RmsNorm<B>,
    /// Normalises text keys, head by head.
    pub norm_added_k: RmsNorm<B>,
    /// Picture output; a list of one, as the published names have it (`to_out.0`).
    pub to_out: Vec<Linear<B>>,
    /// Text output.
    pub to_add_out: Linear<B>,
    /// Heads.
    pub heads: usize,
}

impl<B: Backend> JointAttention<B> {
    fn new(config: &Flux2TransformerConfig, device: &B::Device) -> Self {
        let hidden = config.hidden();
        let linear = || Linear::new(hidden, hidden, false, device);
        let norm = || RmsNorm::new(config.attention_head_dim, config.eps, device);
        Self {
            to_q: linear(),
            to_k: linear(),
            to_v: linear(),
            norm_q: norm(),
            norm_k: norm(),
            add_q_proj: linear(),
            add_k_proj: linear(),
            add_v_proj: linear(),
            norm_added_q: norm(),
            norm_added_k: norm(),
            to_out: vec![linear()],
            to_add_out: linear(),
            heads: config.num_attention_heads,
        }
    }

    /// Picture `[batch, picture tokens, hidden]` and text `[batch, text tokens, hidden]` → the same shapes. Text stands
    /// before the picture in the joint sequence.
    fn forward(
        &self,
        picture: Tensor<B, 3>,
        text: Tensor<B, 3>,
        rotation: &Rotation<B>,
    ) -> (Tensor<B, 3>, Tensor<B, 3>) {
        let (text_tokens, picture_tokens) = (text.dims()[1], picture.dims()[1]);
        let [text_query, text_key, text_value] =
            Linear::forward_beside([&self.add_q_proj, &self.add_k_proj, &self.add_v_proj], text);
        let [query, key, value] = Linear::forward_beside([&self.to_q, &self.to_k, &self.to_v], picture);
        let query = joined(self.norm_added_q.forward_by_head(text_query), self.norm_q.forward_by_head(query));
        let key = joined(self.norm_added_k.forward_by_head(text_key), self.norm_k.forward_by_head(key));
        let value = joined(text_value, value);
        let mixed = multi_head_attention(rotation.turn(query), rotation.turn(key), value, self.heads, None);
        let text = self.to_add_out.forward(part(mixed.clone(), 0, text_tokens));
        let picture = part(mixed, text_tokens, picture_tokens);
        let picture = self.to_out.iter().fold(picture, |picture, layer| layer.forward(picture));
        (picture, text)
    }
}

/// A block with two streams.
#[derive(Module, Debug)]
pub struct DoubleStreamBlock<B: Backend> {
    /// Joint attention.
    pub attn: JointAttention<B>,
    /// Feed-forward part of the picture stream.
    pub ff: FeedForward<B>,
    /// Feed-forward part of the text stream.
    pub ff_context: FeedForward<B>,
    /// Added to variances.
    pub epsilon: f64,
}

impl<B: Backend> DoubleStreamBlock<B> {
    /// A block with drawn weights.
    pub fn new(config: &Flux2TransformerConfig, device: &B::Device) -> Self {
        Self {
            attn: JointAttention::new(config, device),
            ff: FeedForward::new(config.hidden(), config.mlp_hidden(), device),
            ff_context: FeedForward::new(config.hidden(), config.mlp_hidden(), device),
            epsilon: config.eps,
        }
    }

    /// Its linear layers, those that look at the same input together.
    pub fn layers_by_input(&mut self) -> Vec<Vec<&mut Linear<B>>> {
        let attn = &mut self.attn;
        let mut layers = vec![
            vec![&mut attn.to_q, &mut attn.to_k, &mut attn.to_v],
            vec![&mut attn.add_q_proj, &mut attn.add_k_proj, &mut attn.add_v_proj],
            vec![&mut attn.to_add_out],
        ];
        layers.extend(attn.to_out.iter_mut().map(|layer| vec![layer]));
        let feed_forwards = [&mut self.ff, &mut self.ff_context];
        layers
            .extend(feed_forwards.into_iter().flat_map(|part| [vec![&mut part.linear_in], vec![&mut part.linear_out]]));
        layers
    }

    /// Picture and text streams, each with two modulations (attention, feed-forward) → the streams after the block.
    pub fn forward(
        &self,
        picture: Tensor<B, 3>,
        text: Tensor<B, 3>,
        picture_modulation: &[Modulated<B>],
        text_modulation: &[Modulated<B>],
        rotation: &Rotation<B>,
    ) -> (Tensor<B, 3>, Tensor<B, 3>) {
        let [picture_attention, picture_ff] = picture_modulation else {
            unreachable!("invariant: two triples a stream")
        };
        let [text_attention, text_ff] = text_modulation else { unreachable!("invariant: two triples a stream") };
        let (mixed, mixed_text) = self.attn.forward(
            picture_attention.normalise(picture.clone(), self.epsilon),
            text_attention.normalise(text.clone(), self.epsilon),
            rotation,
        );
        let picture = picture_attention.join(picture, mixed);
        let text = text_attention.join(text, mixed_text);
        let fed = self.ff.forward(picture_ff.normalise(picture.clone(), self.epsilon));
        let fed_text = self.ff_context.forward(text_ff.normalise(text.clone(), self.epsilon));
        (picture_ff.join(picture, fed), text_ff.join(text, fed_text))
    }
}

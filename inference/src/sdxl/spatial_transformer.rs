//! Attention of an SDXL UNet: between places of the picture, and from places to the text.
//! `diffusers/models/transformers/transformer_2d.py`, `BasicTransformerBlock` of `diffusers/models/attention.py`.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use super::text_context::TextContext;
use crate::nn::{
    activation::gelu_gated, attention::multi_head_attention, convolution::GroupNorm, linear::Linear, norm::LayerNorm,
    picture,
};

/// Added to variances before a transformer; elsewhere in the UNet it is the configuration's.
const GROUP_EPSILON: f64 = 1e-6;

/// Added to variances within a transformer.
const LAYER_EPSILON: f64 = 1e-5;

/// How wide the feed-forward part is, over the width of the stream.
const WIDENING: usize = 4;

/// Attention of a stream to itself or to a text.
#[derive(Module, Debug)]
pub struct Attention<B: Backend> {
    /// Queries.
    pub to_q: Linear<B>,
    /// Keys.
    pub to_k: Linear<B>,
    /// Values.
    pub to_v: Linear<B>,
    /// Output; a list of one, as the published names have it (`to_out.0`).
    pub to_out: Vec<Linear<B>>,
    /// Heads.
    pub heads: usize,
}

impl<B: Backend> Attention<B> {
    fn new(width: usize, context: usize, heads: usize, device: &B::Device) -> Self {
        Self {
            to_q: Linear::new(width, width, false, device),
            to_k: Linear::new(context, width, false, device),
            to_v: Linear::new(context, width, false, device),
            to_out: vec![Linear::new(width, width, true, device)],
            heads,
        }
    }

    /// The stream `[batch, tokens, width]`, plus what it finds when it, normalised, looks at itself, or at
    /// a text.
    fn forward(&self, stream: Tensor<B, 3>, normed: Tensor<B, 3>, text: Option<&TextContext<B>>) -> Tensor<B, 3> {
        let [query, key, value] = match text {
            None => Linear::forward_beside([&self.to_q, &self.to_k, &self.to_v], normed),
            Some(text) => {
                let [key, value] = self.keys_and_values(text);
                [self.to_q.forward(normed), key, value]
            }
        };
        let mixed = multi_head_attention(query, key, value, self.heads, None);
        let [to_out] = self.to_out.as_slice() else { unreachable!("invariant: there is one output layer") };
        to_out.forward_onto(stream, mixed)
    }
}

impl<B: Backend> Attention<B> {
    /// Keys and values of a text.
    fn keys_and_values(&self, text: &TextContext<B>) -> [Tensor<B, 3>; 2] {
        let make = |states| Linear::forward_beside([&self.to_k, &self.to_v], states);
        text.keys_and_values(self.to_k.weight.id, make)
    }
}

/// Feed-forward part, gated by GELU (Shazeer, "GLU Variants Improve Transformer", 2020).
#[derive(Module, Debug)]
pub struct FeedForward<B: Backend> {
    /// To what is gated and its gate, side by side; `net.0.proj` in the files.
    pub proj: Linear<B>,
    /// Back to the stream; `net.2` in the files.
    pub out: Linear<B>,
}

impl<B: Backend> FeedForward<B> {
    /// The stream `[batch, tokens, width]`, plus what becomes of it, normalised.
    fn forward(&self, stream: Tensor<B, 3>, normed: Tensor<B, 3>) -> Tensor<B, 3> {
        let (inner, _) = self.out.features();
        let [gated, gate] = self.proj.forward_in_parts(normed, [inner; 2]);
        self.out.forward_onto(stream, gelu_gated(gate, gated))
    }
}

/// Attention to itself, attention to the text, and a feed-forward part.
#[derive(Module, Debug)]
pub struct TransformerBlock<B: Backend> {
    /// Before the attention to itself.
    pub norm1: LayerNorm<B>,
    /// Attention to itself.
    pub attn1: Attention<B>,
    /// Before the attention to the text.
    pub norm2: LayerNorm<B>,
    /// Attention to the text.
    pub attn2: Attention<B>,
    /// Before the feed-forward part.
    pub norm3: LayerNorm<B>,
    /// Feed-forward part.
    pub ff: FeedForward<B>,
}

impl<B: Backend> TransformerBlock<B> {
    fn new(width: usize, context: usize, heads: usize, device: &B::Device) -> Self {
        let norm = || LayerNorm::new(width, LAYER_EPSILON, device);
        Self {
            norm1: norm(),
            attn1: Attention::new(width, width, heads, device),
            norm2: norm(),
            attn2: Attention::new(width, context, heads, device),
            norm3: norm(),
            ff: FeedForward {
                proj: Linear::new(width, 2 * WIDENING * width, true, device),
                out: Linear::new(WIDENING * width, width, true, device),
            },
        }
    }

    fn layers_by_input(&mut self) -> Vec<Vec<&mut Linear<B>>> {
        let Self { attn1, attn2, ff, .. } = self;
        let mut layers = vec![
            vec![&mut attn1.to_q, &mut attn1.to_k, &mut attn1.to_v],
            vec![&mut attn2.to_k, &mut attn2.to_v],
            vec![&mut attn2.to_q],
            vec![&mut ff.proj],
            vec![&mut ff.out],
        ];
        layers.extend(attn1.to_out.iter_mut().chain(&mut attn2.to_out).map(|layer| vec![layer]));
        layers
    }

    fn forward(&self, stream: Tensor<B, 3>, text: &TextContext<B>) -> Tensor<B, 3> {
        let normed = self.norm1.forward(stream.clone());
        let stream = self.attn1.forward(stream, normed, None);
        let normed = self.norm2.forward(stream.clone());
        let stream = self.attn2.forward(stream, normed, Some(text));
        let normed = self.norm3.forward(stream.clone());
        self.ff.forward(stream, normed)
    }
}

/// A transformer over the places of a picture, beside a shortcut.
#[derive(Module, Debug)]
pub struct SpatialTransformer<B: Backend> {
    /// Before the projection.
    pub norm: GroupNorm<B>,
    /// Into the transformer.
    pub proj_in: Linear<B>,
    /// Blocks.
    pub transformer_blocks: Vec<TransformerBlock<B>>,
    /// Out of it.
    pub proj_out: Linear<B>,
}

/// The size of a transformer.
#[derive(Clone, Copy, Debug)]
pub struct TransformerSize {
    /// Width of the stream.
    pub width: usize,
    /// Width of the text context.
    pub context: usize,
    /// Heads.
    pub heads: usize,
    /// Blocks.
    pub depth: usize,
    /// Groups of the normalisation.
    pub groups: usize,
}

impl<B: Backend> SpatialTransformer<B> {
    /// A transformer with drawn weights.
    pub fn new(size: TransformerSize, device: &B::Device) -> Self {
        let TransformerSize { width, context, heads, depth, groups } = size;
        Self {
            norm: GroupNorm::new(groups, width, GROUP_EPSILON, device),
            proj_in: Linear::new(width, width, true, device),
            transformer_blocks: (0..depth).map(|_| TransformerBlock::new(width, context, heads, device)).collect(),
            proj_out: Linear::new(width, width, true, device),
        }
    }

    /// The linear layers of its blocks, those that look at the same input together.
    pub fn layers_by_input(&mut self) -> Vec<Vec<&mut Linear<B>>> {
        self.transformer_blocks.iter_mut().flat_map(TransformerBlock::layers_by_input).collect()
    }

    /// Makes keys and values of a text that is looked at again and again.
    pub fn look_at(&self, text: &TextContext<B>) {
        for block in &self.transformer_blocks {
            block.attn2.keys_and_values(text);
        }
    }

    /// `[batch, width, height, width in latents]` with the text → the same shape.
    pub fn forward(&self, input: Tensor<B, 4>, text: &TextContext<B>) -> Tensor<B, 4> {
        let stream = self.proj_in.forward(picture::to_places(self.norm.forward(input.clone())));
        let stream = self.transformer_blocks.iter().fold(stream, |stream, block| block.forward(stream, text));
        picture::plus_places(input, &self.proj_out, stream)
    }
}

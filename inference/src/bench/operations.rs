//! How many operations stages take: two for each multiplication that is added to a sum. What is element by element is not
//! counted, nor what works on one row a picture: embeddings of times and sizes, modulations, and CLIP's projection.
//!
//! A training step is counted as what has to be done, not as what a backend does: nothing that is computed again on the way
//! back is counted twice. The forward pass is that of a picture, and the pairs. On the way back
//!
//! - a frozen weight takes as much as forward, for the gradient of its input, and nothing for its own;
//! - both matrices of a pair take twice as much as forward, for the gradients of their inputs and for their own;
//! - attention takes twice as much as forward: four products for two;
//! - what comes before the first pair takes nothing, nor does the gradient of what a first layer is given.

use std::ops::{Add, AddAssign, Mul};

use crate::{
    flux2::config::Flux2TransformerConfig,
    nn::autoencoder::Shape,
    sdxl::config::UNetConfig,
    text::{clip::ClipConfig, decoder::DecoderConfig},
};

/// Operations of the stages of making a picture. The PNG file takes none: it is made of whole numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Generation {
    /// From token ids to the context.
    pub text: f64,
    /// Of a denoising step.
    pub step: f64,
    /// From latents to the picture.
    pub decode: f64,
}

/// Operations of a matrix product over rows.
fn linear(rows: usize, inputs: usize, outputs: usize) -> f64 {
    2.0 * rows as f64 * inputs as f64 * outputs as f64
}

/// Operations of attention between queries and keys, all heads together `width` wide.
fn attention(queries: usize, keys: usize, width: usize) -> f64 {
    2.0 * linear(queries, width, keys)
}

/// Operations of a convolution whose kernel has so many pixels.
fn convolution(pixels: usize, kernel: usize, inputs: usize, outputs: usize) -> f64 {
    linear(pixels, kernel * inputs, outputs)
}

/// Operations of the two passes of a training step. Without pairs, of rank 0, the forward pass is what generating takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Passes {
    /// To the prediction.
    pub forward: f64,
    /// Back to the gradients of the pairs.
    pub backward: f64,
}

impl Passes {
    /// What is computed with frozen weights; `is_reached` says whether the gradient of its input is asked for.
    fn frozen(operations: f64, is_reached: bool) -> Self {
        Self { forward: operations, backward: if is_reached { operations } else { 0.0 } }
    }

    /// A frozen linear layer with a pair beside it.
    fn adapted(rows: usize, (inputs, outputs): (usize, usize), rank: usize, is_reached: bool) -> Self {
        let (frozen, down, up) =
            (linear(rows, inputs, outputs), linear(rows, inputs, rank), linear(rows, rank, outputs));
        let of_input = if is_reached { frozen + down } else { 0.0 };
        Self { forward: frozen + down + up, backward: of_input + down + 2.0 * up }
    }

    /// Attention whose queries, keys and values all come from pairs.
    fn attention(queries: usize, keys: usize, width: usize) -> Self {
        let forward = attention(queries, keys, width);
        Self { forward, backward: 2.0 * forward }
    }
}

impl Add for Passes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { forward: self.forward + other.forward, backward: self.backward + other.backward }
    }
}

impl AddAssign for Passes {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<f64> for Passes {
    type Output = Self;

    fn mul(self, times: f64) -> Self {
        Self { forward: self.forward * times, backward: self.backward * times }
    }
}

/// A text of so many tokens through the first layers of a decoder: every token looks at every other, as attention is counted
/// whether it is causal or not.
pub(super) fn text_decoder(config: &DecoderConfig, tokens: usize, layers: usize) -> f64 {
    let (hidden, inner) = (config.hidden, config.inner);
    let (width, key_value_width) = (config.heads * config.head_width, config.key_value_heads * config.head_width);
    let projections = 2.0 * linear(tokens, hidden, width) + 2.0 * linear(tokens, hidden, key_value_width);
    layers as f64 * (projections + attention(tokens, tokens, width) + 3.0 * linear(tokens, hidden, inner))
}

/// A text of so many tokens through a text encoder of CLIP. The last layer is needed only for what the text says as a whole.
pub(super) fn clip_text_encoder(config: &ClipConfig, tokens: usize, has_projection: bool) -> f64 {
    let width = config.hidden_size;
    let layer = 4.0 * linear(tokens, width, width)
        + attention(tokens, tokens, width)
        + 2.0 * linear(tokens, width, config.intermediate_size);
    let layers = if has_projection { config.num_hidden_layers } else { config.num_hidden_layers.saturating_sub(1) };
    layers as f64 * layer
}

/// One picture through FLUX.2's transformer, with so many tokens of text and of the picture, and pairs of this rank beside
/// the layers that are trained.
pub(super) fn flux2_transformer(
    config: &Flux2TransformerConfig,
    (text, picture): (usize, usize),
    rank: usize,
) -> Passes {
    let (hidden, inner) = (config.hidden(), config.mlp_hidden());
    let tokens = text + picture;
    let layer = |rows, inputs, outputs| Passes::adapted(rows, (inputs, outputs), rank, true);
    let first = |rows, inputs, outputs| Passes::adapted(rows, (inputs, outputs), rank, false);
    // Queries, keys, values and output; the feed-forward part is gated: twice its width in, once out.
    let stream = |rows| layer(rows, hidden, hidden) * 4.0 + layer(rows, hidden, 2 * inner) + layer(rows, inner, hidden);
    let attention = Passes::attention(tokens, tokens, hidden);
    let double = stream(text) + stream(picture) + attention;
    let single = layer(tokens, hidden, 3 * hidden + 2 * inner) + layer(tokens, hidden + inner, hidden) + attention;
    first(text, config.joint_attention_dim, hidden)
        + first(picture, config.in_channels, hidden)
        + layer(picture, hidden, config.outputs())
        + double * config.num_layers as f64
        + single * config.num_single_layers as f64
}

/// One picture through an autoencoder's decoder, from so many rows and columns of latents.
pub(super) fn decoder(shape: &Shape, (rows, columns): (usize, usize)) -> f64 {
    let widths = shape.decoder_block_out_channels.as_ref().unwrap_or(&shape.block_out_channels);
    let mut pixels = rows * columns;
    let mut inputs = widths[widths.len() - 1];
    let mut sum = convolution(pixels, 9, shape.latent_channels, inputs) + 2.0 * residual(pixels, inputs, inputs);
    if shape.mid_block_add_attention {
        sum += linear(pixels, inputs, 4 * inputs) + attention(pixels, pixels, inputs);
    }
    for (level, width) in widths.iter().copied().rev().enumerate() {
        for _ in 0..=shape.layers_per_block {
            sum += residual(pixels, inputs, width);
            inputs = width;
        }
        if level + 1 < widths.len() {
            pixels *= 4;
            sum += convolution(pixels, 9, width, width);
        }
    }
    sum + convolution(pixels, 9, inputs, shape.out_channels)
}

/// A residual layer: two convolutions, and one around them where the width changes.
fn residual(pixels: usize, inputs: usize, outputs: usize) -> f64 {
    let around = if inputs == outputs { 0.0 } else { convolution(pixels, 1, inputs, outputs) };
    convolution(pixels, 9, inputs, outputs) + convolution(pixels, 9, outputs, outputs) + around
}

/// One picture through SDXL's UNet, from so many rows and columns of latents and tokens of text, and pairs of this rank
/// beside the layers that are trained: those of the transformers.
pub(super) fn unet(config: &UNetConfig, (rows, columns): (usize, usize), text: usize, rank: usize) -> Passes {
    let widths = &config.block_out_channels;
    let last = widths.len() - 1;
    let transformer = |level: usize, pixels: usize, is_reached: bool| {
        let width = widths[level];
        let layer = |inputs, outputs| Passes::adapted(pixels, (inputs, outputs), rank, true);
        let of_text = Passes::adapted(text, (config.cross_attention_dim, width), rank, false);
        let own = layer(width, width) * 4.0 + Passes::attention(pixels, pixels, width);
        let cross = layer(width, width) * 2.0 + of_text * 2.0 + Passes::attention(pixels, text, width);
        let forward = layer(width, 8 * width) + layer(4 * width, width);
        let blocks = config.transformer_layers_per_block.of(level) as f64;
        Passes::adapted(pixels, (width, width), rank, is_reached)
            + (own + cross + forward) * blocks
            + layer(width, width)
    };
    let has_attention = |kind: &str| kind.starts_with("CrossAttn");
    let mut pixels = rows * columns;
    // Nothing before the first transformer has a gradient. All that comes after the middle, which has one, does.
    let mut is_reached = false;
    let mut sum = Passes::frozen(convolution(pixels, 9, config.in_channels, widths[0]), is_reached);
    let mut skips = vec![widths[0]];
    let mut inputs = widths[0];
    for (level, width) in widths.iter().copied().enumerate() {
        for _ in 0..config.layers_per_block {
            sum += Passes::frozen(residual(pixels, inputs, width), is_reached);
            if has_attention(&config.down_block_types[level]) {
                sum += transformer(level, pixels, is_reached);
                is_reached = true;
            }
            inputs = width;
            skips.push(width);
        }
        if level < last {
            pixels /= 4;
            sum += Passes::frozen(convolution(pixels, 9, width, width), is_reached);
            skips.push(width);
        }
    }
    sum += Passes::frozen(residual(pixels, inputs, inputs), is_reached) + transformer(last, pixels, is_reached);
    sum += Passes::frozen(residual(pixels, inputs, inputs), true);
    for (place, width) in widths.iter().copied().rev().enumerate() {
        for _ in 0..=config.layers_per_block {
            let joined = inputs + skips.pop().unwrap_or_default();
            sum += Passes::frozen(residual(pixels, joined, width), true);
            if has_attention(&config.up_block_types[place]) {
                sum += transformer(last - place, pixels, true);
            }
            inputs = width;
        }
        if place < last {
            pixels *= 4;
            sum += Passes::frozen(convolution(pixels, 9, width, width), true);
        }
    }
    sum + Passes::frozen(convolution(pixels, 9, widths[0], config.out_channels), true)
}

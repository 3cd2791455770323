//! How many operations stages take: two for each multiplication that is added to a sum. What is element by element is not
//! counted.

use crate::{flux2::config::Flux2TransformerConfig, nn::autoencoder::Shape, sdxl::config::UNetConfig};

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

/// One picture through FLUX.2's transformer, with so many tokens of text and of the picture.
pub(super) fn flux2_transformer(config: &Flux2TransformerConfig, (text, picture): (usize, usize)) -> f64 {
    let (hidden, inner) = (config.hidden(), config.mlp_hidden());
    let tokens = text + picture;
    // The feed-forward part is gated: twice its width in, once out.
    let stream = |tokens| linear(tokens, hidden, 4 * hidden) + linear(tokens, hidden, 3 * inner);
    let double = stream(text) + stream(picture) + attention(tokens, tokens, hidden);
    let single =
        linear(tokens, hidden, 4 * hidden) + linear(tokens, hidden, 3 * inner) + attention(tokens, tokens, hidden);
    linear(text, config.joint_attention_dim, hidden)
        + linear(picture, config.in_channels, hidden)
        + linear(picture, hidden, config.outputs())
        + config.num_layers as f64 * double
        + config.num_single_layers as f64 * single
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

/// One picture through SDXL's UNet, from so many rows and columns of latents and tokens of text.
pub(super) fn unet(config: &UNetConfig, (rows, columns): (usize, usize), text: usize) -> f64 {
    let widths = &config.block_out_channels;
    let last = widths.len() - 1;
    let transformer = |level: usize, pixels: usize| {
        let width = widths[level];
        let own = linear(pixels, width, 4 * width) + attention(pixels, pixels, width);
        let of_text = linear(pixels, width, 2 * width)
            + linear(text, config.cross_attention_dim, 2 * width)
            + attention(pixels, text, width);
        let forward = linear(pixels, width, 12 * width);
        let blocks = config.transformer_layers_per_block.of(level) as f64;
        linear(pixels, width, 2 * width) + blocks * (own + of_text + forward)
    };
    let has_attention = |kind: &str| kind.starts_with("CrossAttn");
    let mut pixels = rows * columns;
    let mut sum = convolution(pixels, 9, config.in_channels, widths[0]);
    let mut skips = vec![widths[0]];
    let mut inputs = widths[0];
    for (level, width) in widths.iter().copied().enumerate() {
        for _ in 0..config.layers_per_block {
            sum += residual(pixels, inputs, width);
            if has_attention(&config.down_block_types[level]) {
                sum += transformer(level, pixels);
            }
            inputs = width;
            skips.push(width);
        }
        if level < last {
            pixels /= 4;
            sum += convolution(pixels, 9, width, width);
            skips.push(width);
        }
    }
    sum += 2.0 * residual(pixels, inputs, inputs) + transformer(last, pixels);
    for (place, width) in widths.iter().copied().rev().enumerate() {
        for _ in 0..=config.layers_per_block {
            sum += residual(pixels, inputs + skips.pop().unwrap_or_default(), width);
            if has_attention(&config.up_block_types[place]) {
                sum += transformer(last - place, pixels);
            }
            inputs = width;
        }
        if place < last {
            pixels *= 4;
            sum += convolution(pixels, 9, width, width);
        }
    }
    sum + convolution(pixels, 9, widths[0], config.out_channels)
}

//! The encoder and the decoder that the published autoencoders share: `diffusers/models/autoencoders/vae.py`.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use super::{
    attention::multi_head_attention,
    convolution::{Conv2d, GroupNorm},
    linear::Linear,
    picture,
};
use crate::error::{Error, Result};

/// Added to variances.
const EPSILON: f64 = 1e-6;

/// What the encoder and the decoder of an autoencoder are built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Colours in.
    pub in_channels: usize,
    /// Colours out.
    pub out_channels: usize,
    /// Widths of the blocks.
    pub block_out_channels: Vec<usize>,
    /// Widths of the decoder's blocks, where they differ.
    pub decoder_block_out_channels: Option<Vec<usize>>,
    /// Residual layers of an encoder block; a decoder block has one more.
    pub layers_per_block: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Groups of the normalisations.
    pub norm_num_groups: usize,
    /// Attention in the middle.
    pub mid_block_add_attention: bool,
}

impl Shape {
    /// Refuses what is not implemented: other activations and blocks than the published ones, and sizes that do not fit
    /// each other.
    ///
    /// # Errors
    /// [`Error::Config`] with the key's name.
    pub fn check(&self, activation: &str, down_blocks: &[String], up_blocks: &[String]) -> Result<()> {
        let refuse = |what: String| Err(Error::Config(format!("The autoencoder's {what}.")));
        if activation != "silu" {
            return refuse(format!("`act_fn` is `{activation}`; silu is supported"));
        }
        for (types, known) in [(down_blocks, "DownEncoderBlock2D"), (up_blocks, "UpDecoderBlock2D")] {
            if let Some(other) = types.iter().find(|kind| *kind != known) {
                return refuse(format!("block `{other}` is not supported; `{known}` is"));
            }
        }
        let widths = || self.block_out_channels.iter().chain(self.decoder_block_out_channels.iter().flatten());
        let groups = self.norm_num_groups;
        if self.block_out_channels.is_empty() || groups == 0 || widths().any(|width| *width == 0 || width % groups != 0)
        {
            return refuse(format!("`block_out_channels` must be multiples of `norm_num_groups` ({groups})"));
        }
        if self.latent_channels == 0 || self.in_channels != 3 || self.out_channels != 3 {
            return refuse("`in_channels` and `out_channels` must be 3, and `latent_channels` not 0".to_owned());
        }
        Ok(())
    }
}

/// Two convolutions beside a shortcut.
#[derive(Module, Debug)]
pub struct ResidualBlock<B: Backend> {
    /// Before the first convolution.
    pub norm1: GroupNorm<B>,
    /// First convolution.
    pub conv1: Conv2d<B>,
    /// Before the second convolution.
    pub norm2: GroupNorm<B>,
    /// Second convolution.
    pub conv2: Conv2d<B>,
    /// Where the width changes.
    pub conv_shortcut: Option<Conv2d<B>>,
}

impl<B: Backend> ResidualBlock<B> {
    fn new(inputs: usize, outputs: usize, groups: usize, device: &B::Device) -> Self {
        Self {
            norm1: GroupNorm::new(groups, inputs, EPSILON, device),
            conv1: Conv2d::new(inputs, outputs, 3, device),
            norm2: GroupNorm::new(groups, outputs, EPSILON, device),
            conv2: Conv2d::new(outputs, outputs, 3, device),
            conv_shortcut: (inputs != outputs).then(|| Conv2d::new(inputs, outputs, 1, device)),
        }
    }

    fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let inner = self.conv1.forward(self.norm1.forward_silu(input.clone()));
        let inner = self.conv2.forward(self.norm2.forward_silu(inner));
        let shortcut = match &self.conv_shortcut {
            Some(conv) => conv.forward(input),
            None => input,
        };
        picture::sum(shortcut, inner)
    }
}

/// Attention between all places, with one head.
#[derive(Module, Debug)]
pub struct SpatialAttention<B: Backend> {
    /// Before the projections.
    pub group_norm: GroupNorm<B>,
    /// Queries.
    pub to_q: Linear<B>,
    /// Keys.
    pub to_k: Linear<B>,
    /// Values.
    pub to_v: Linear<B>,
    /// Output; a list of one, as the published names have it (`to_out.0`).
    pub to_out: Vec<Linear<B>>,
}

impl<B: Backend> SpatialAttention<B> {
    fn new(channels: usize, groups: usize, device: &B::Device) -> Self {
        let linear = || Linear::new(channels, channels, true, device);
        Self {
            group_norm: GroupNorm::new(groups, channels, EPSILON, device),
            to_q: linear(),
            to_k: linear(),
            to_v: linear(),
            to_out: vec![linear()],
        }
    }

    fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let tokens = picture::to_places(self.group_norm.forward(input.clone()));
        let [query, key, value] = [&self.to_q, &self.to_k, &self.to_v].map(|layer| layer.forward(tokens.clone()));
        let mixed = multi_head_attention(query, key, value, 1, None);
        let mixed = self.to_out.iter().fold(mixed, |mixed, layer| layer.forward(mixed));
        let mixed = picture::of_places(mixed, &input);
        picture::sum(input, mixed)
    }
}

/// The middle: a residual block, attention, a residual block.
#[derive(Module, Debug)]
pub struct MidBlock<B: Backend> {
    /// Attention; a list of one or none.
    pub attentions: Vec<SpatialAttention<B>>,
    /// Residual blocks.
    pub resnets: Vec<ResidualBlock<B>>,
}

impl<B: Backend> MidBlock<B> {
    fn new(channels: usize, shape: &Shape, device: &B::Device) -> Self {
        let groups = shape.norm_num_groups;
        Self {
            attentions: (0..usize::from(shape.mid_block_add_attention))
                .map(|_| SpatialAttention::new(channels, groups, device))
                .collect(),
            resnets: (0..2).map(|_| ResidualBlock::new(channels, channels, groups, device)).collect(),
        }
    }

    fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let first = self.resnets[0].forward(input);
        let attended = self.attentions.iter().fold(first, |stream, attention| attention.forward(stream));
        self.resnets[1].forward(attended)
    }
}

/// A convolution under the published name `conv`.
#[derive(Module, Debug)]
pub struct Resampler<B: Backend> {
    /// The convolution.
    pub conv: Conv2d<B>,
}

/// Residual blocks, then half the size.
#[derive(Module, Debug)]
pub struct DownBlock<B: Backend> {
    /// Residual blocks.
    pub resnets: Vec<ResidualBlock<B>>,
    /// Halves the size; the last block has none.
    pub downsamplers: Vec<Resampler<B>>,
}

/// Residual blocks, then twice the size.
#[derive(Module, Debug)]
pub struct UpBlock<B: Backend> {
    /// Residual blocks.
    pub resnets: Vec<ResidualBlock<B>>,
    /// Doubles the size; the last block has none.
    pub upsamplers: Vec<Resampler<B>>,
}

/// Picture → moments of the latents.
#[derive(Module, Debug)]
pub struct Encoder<B: Backend> {
    /// Colours → first width.
    pub conv_in: Conv2d<B>,
    /// Blocks, from large to small.
    pub down_blocks: Vec<DownBlock<B>>,
    /// The middle.
    pub mid_block: MidBlock<B>,
    /// Last normalisation.
    pub conv_norm_out: GroupNorm<B>,
    /// Last width → means and logarithms of variances.
    pub conv_out: Conv2d<B>,
}

impl<B: Backend> Encoder<B> {
    /// An encoder with drawn weights.
    pub fn new(shape: &Shape, device: &B::Device) -> Self {
        let widths = &shape.block_out_channels;
        let (first, last) = (widths[0], widths[widths.len() - 1]);
        let mut inputs = first;
        let mut down_blocks = Vec::with_capacity(widths.len());
        for (index, width) in widths.iter().copied().enumerate() {
            let mut resnets = Vec::with_capacity(shape.layers_per_block);
            for _ in 0..shape.layers_per_block {
                resnets.push(ResidualBlock::new(inputs, width, shape.norm_num_groups, device));
                inputs = width;
            }
            let halves = usize::from(index + 1 < widths.len());
            let downsamplers = (0..halves).map(|_| Resampler { conv: Conv2d::halving(width, device) }).collect();
            down_blocks.push(DownBlock { resnets, downsamplers });
        }
        Self {
            conv_in: Conv2d::new(shape.in_channels, first, 3, device),
            down_blocks,
            mid_block: MidBlock::new(last, shape, device),
            conv_norm_out: GroupNorm::new(shape.norm_num_groups, last, EPSILON, device),
            conv_out: Conv2d::new(last, 2 * shape.latent_channels, 3, device),
        }
    }

    /// Pictures `[batch, colours, height, width]` → moments `[batch, 2 · latent, height / stride, width / stride]`.
    pub fn forward(&self, picture: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut stream = self.conv_in.forward(picture);
        for block in &self.down_blocks {
            stream = block.resnets.iter().fold(stream, |stream, resnet| resnet.forward(stream));
            stream = block.downsamplers.iter().fold(stream, |stream, down| down.conv.forward(stream));
        }
        let stream = self.mid_block.forward(stream);
        self.conv_out.forward(self.conv_norm_out.forward_silu(stream))
    }
}

/// Latents → picture.
#[derive(Module, Debug)]
pub struct Decoder<B: Backend> {
    /// Latents → last width.
    pub conv_in: Conv2d<B>,
    /// The middle.
    pub mid_block: MidBlock<B>,
    /// Blocks, from small to large.
    pub up_blocks: Vec<UpBlock<B>>,
    /// Last normalisation.
    pub conv_norm_out: GroupNorm<B>,
    /// First width → colours.
    pub conv_out: Conv2d<B>,
}

impl<B: Backend> Decoder<B> {
    /// A decoder with drawn weights.
    pub fn new(shape: &Shape, device: &B::Device) -> Self {
        let widths = shape.decoder_block_out_channels.as_ref().unwrap_or(&shape.block_out_channels);
        let (first, last) = (widths[0], widths[widths.len() - 1]);
        let mut inputs = last;
        let mut up_blocks = Vec::with_capacity(widths.len());
        for (index, width) in widths.iter().rev().copied().enumerate() {
            let mut resnets = Vec::with_capacity(shape.layers_per_block + 1);
            for _ in 0..=shape.layers_per_block {
                resnets.push(ResidualBlock::new(inputs, width, shape.norm_num_groups, device));
                inputs = width;
            }
            let doubles = usize::from(index + 1 < widths.len());
            let upsamplers = (0..doubles).map(|_| Resampler { conv: Conv2d::new(width, width, 3, device) }).collect();
            up_blocks.push(UpBlock { resnets, upsamplers });
        }
        Self {
            conv_in: Conv2d::new(shape.latent_channels, last, 3, device),
            mid_block: MidBlock::new(last, shape, device),
            up_blocks,
            conv_norm_out: GroupNorm::new(shape.norm_num_groups, first, EPSILON, device),
            conv_out: Conv2d::new(first, shape.out_channels, 3, device),
        }
    }

    /// Latents `[batch, latent, height, width]` → pictures `[batch, colours, height · stride, width · stride]`.
    pub fn forward(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        self.colours(self.stream(latents))
    }

    /// Latents → what the colours are made of, `[batch, first width, height · stride, width · stride]`.
    pub fn stream(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut stream = self.mid_block.forward(self.conv_in.forward(latents));
        for block in &self.up_blocks {
            stream = block.resnets.iter().fold(stream, |stream, resnet| resnet.forward(stream));
            stream = block.upsamplers.iter().fold(stream, |stream, up| up.conv.forward(doubled(stream)));
        }
        self.conv_norm_out.forward_silu(stream)
    }

    /// The colours of [`Self::stream`].
    pub fn colours(&self, stream: Tensor<B, 4>) -> Tensor<B, 4> {
        self.conv_out.forward(stream)
    }
}

/// Every pixel becomes two by two.
fn doubled<B: Backend>(input: Tensor<B, 4>) -> Tensor<B, 4> {
    let [_, _, height, width] = input.dims();
    picture::resized(input, [height * 2, width * 2])
}

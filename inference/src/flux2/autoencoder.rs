//! The autoencoder: `diffusers/models/autoencoders/autoencoder_kl_flux2.py` and `vae.py`. Pictures are in -1 … 1.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{
        Tensor,
        activation::silu,
        backend::Backend,
        module::interpolate,
        ops::{InterpolateMode, InterpolateOptions},
    },
};
use serde::{Deserialize, Serialize};

use super::latents::{pack, unpack};
use crate::nn::{
    attention::attention,
    convolution::{Conv2d, GroupNorm},
    linear::Linear,
};

/// Added to variances.
const EPSILON: f64 = 1e-6;

/// `vae/config.json`. Keys are those of diffusers; a key that is not known here is refused, because it may change the
/// result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderConfig {
    /// `AutoencoderKLFlux2`.
    #[serde(rename = "_class_name", default = "class_name")]
    pub class_name: String,
    /// Version that wrote the file.
    #[serde(rename = "_diffusers_version", default, skip_serializing_if = "Option::is_none")]
    pub diffusers_version: Option<String>,
    /// Where the file came from; says nothing about the model.
    #[serde(rename = "_name_or_path", default, skip_serializing_if = "Option::is_none")]
    pub name_or_path: Option<String>,
    /// Colours in.
    #[serde(default = "three")]
    pub in_channels: usize,
    /// Colours out.
    #[serde(default = "three")]
    pub out_channels: usize,
    /// Kinds of the encoder's blocks; there is one.
    #[serde(default)]
    pub down_block_types: Vec<String>,
    /// Kinds of the decoder's blocks; there is one.
    #[serde(default)]
    pub up_block_types: Vec<String>,
    /// Widths of the blocks.
    pub block_out_channels: Vec<usize>,
    /// Widths of the decoder's blocks, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder_block_out_channels: Option<Vec<usize>>,
    /// Residual layers of an encoder block; a decoder block has one more.
    #[serde(default = "one")]
    pub layers_per_block: usize,
    /// `silu`.
    #[serde(default = "silu_name")]
    pub act_fn: String,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Groups of the normalisations.
    #[serde(default = "groups")]
    pub norm_num_groups: usize,
    /// Size that it was trained at; says nothing about the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_size: Option<usize>,
    /// Whether decoding in more than half precision is advised; says nothing about the result here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_upcast: Option<bool>,
    /// A convolution after the encoder.
    #[serde(default = "yes")]
    pub use_quant_conv: bool,
    /// A convolution before the decoder.
    #[serde(default = "yes")]
    pub use_post_quant_conv: bool,
    /// Attention in the middle.
    #[serde(default = "yes")]
    pub mid_block_add_attention: bool,
    /// Added to the variance of the latents' statistics.
    #[serde(default = "batch_norm_epsilon")]
    pub batch_norm_eps: f64,
    /// How fast they moved while it was trained.
    #[serde(default = "momentum")]
    pub batch_norm_momentum: f64,
    /// How latents are packed: two by two.
    #[serde(default = "patch")]
    pub patch_size: Vec<usize>,
}

impl AutoencoderConfig {
    /// Pixels on a latent's edge.
    pub fn stride(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }
}

fn class_name() -> String {
    "AutoencoderKLFlux2".to_owned()
}

fn three() -> usize {
    3
}

fn one() -> usize {
    1
}

fn groups() -> usize {
    32
}

fn silu_name() -> String {
    "silu".to_owned()
}

fn yes() -> bool {
    true
}

fn batch_norm_epsilon() -> f64 {
    1e-4
}

fn momentum() -> f64 {
    0.1
}

fn patch() -> Vec<usize> {
    vec![2, 2]
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
        let inner = self.conv1.forward(silu(self.norm1.forward(input.clone())));
        let inner = self.conv2.forward(silu(self.norm2.forward(inner)));
        let shortcut = match &self.conv_shortcut {
            Some(conv) => conv.forward(input),
            None => input,
        };
        shortcut + inner
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
        let [batch, channels, height, width] = input.dims();
        let normed = self.group_norm.forward(input.clone());
        let tokens = normed.reshape([batch, channels, height * width]).swap_dims(1, 2);
        let head = |layer: &Linear<B>| layer.forward(tokens.clone()).unsqueeze_dim::<4>(1);
        let mixed = attention(head(&self.to_q), head(&self.to_k), head(&self.to_v), None);
        let mixed = mixed.reshape([batch, height * width, channels]);
        let mixed = self.to_out.iter().fold(mixed, |mixed, layer| layer.forward(mixed));
        input + mixed.swap_dims(1, 2).reshape([batch, channels, height, width])
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
    fn new(channels: usize, config: &AutoencoderConfig, device: &B::Device) -> Self {
        let groups = config.norm_num_groups;
        Self {
            attentions: (0..usize::from(config.mid_block_add_attention))
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
    fn new(config: &AutoencoderConfig, device: &B::Device) -> Self {
        let widths = &config.block_out_channels;
        let (first, last) = (widths[0], widths[widths.len() - 1]);
        let mut inputs = first;
        let mut down_blocks = Vec::with_capacity(widths.len());
        for (index, width) in widths.iter().copied().enumerate() {
            let mut resnets = Vec::with_capacity(config.layers_per_block);
            for _ in 0..config.layers_per_block {
                resnets.push(ResidualBlock::new(inputs, width, config.norm_num_groups, device));
                inputs = width;
            }
            let halves = usize::from(index + 1 < widths.len());
            let downsamplers = (0..halves).map(|_| Resampler { conv: Conv2d::halving(width, device) }).collect();
            down_blocks.push(DownBlock { resnets, downsamplers });
        }
        Self {
            conv_in: Conv2d::new(config.in_channels, first, 3, device),
            down_blocks,
            mid_block: MidBlock::new(last, config, device),
            conv_norm_out: GroupNorm::new(config.norm_num_groups, last, EPSILON, device),
            conv_out: Conv2d::new(last, 2 * config.latent_channels, 3, device),
        }
    }

    fn forward(&self, picture: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut stream = self.conv_in.forward(picture);
        for block in &self.down_blocks {
            stream = block.resnets.iter().fold(stream, |stream, resnet| resnet.forward(stream));
            stream = block.downsamplers.iter().fold(stream, |stream, down| down.conv.forward(stream));
        }
        let stream = self.mid_block.forward(stream);
        self.conv_out.forward(silu(self.conv_norm_out.forward(stream)))
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
    fn new(config: &AutoencoderConfig, device: &B::Device) -> Self {
        let widths = config.decoder_block_out_channels.as_ref().unwrap_or(&config.block_out_channels);
        let (first, last) = (widths[0], widths[widths.len() - 1]);
        let mut inputs = last;
        let mut up_blocks = Vec::with_capacity(widths.len());
        for (index, width) in widths.iter().rev().copied().enumerate() {
            let mut resnets = Vec::with_capacity(config.layers_per_block + 1);
            for _ in 0..=config.layers_per_block {
                resnets.push(ResidualBlock::new(inputs, width, config.norm_num_groups, device));
                inputs = width;
            }
            let doubles = usize::from(index + 1 < widths.len());
            let upsamplers = (0..doubles).map(|_| Resampler { conv: Conv2d::new(width, width, 3, device) }).collect();
            up_blocks.push(UpBlock { resnets, upsamplers });
        }
        Self {
            conv_in: Conv2d::new(config.latent_channels, last, 3, device),
            mid_block: MidBlock::new(last, config, device),
            up_blocks,
            conv_norm_out: GroupNorm::new(config.norm_num_groups, first, EPSILON, device),
            conv_out: Conv2d::new(first, config.out_channels, 3, device),
        }
    }

    fn forward(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut stream = self.mid_block.forward(self.conv_in.forward(latents));
        for block in &self.up_blocks {
            stream = block.resnets.iter().fold(stream, |stream, resnet| resnet.forward(stream));
            stream = block.upsamplers.iter().fold(stream, |stream, up| up.conv.forward(doubled(stream)));
        }
        self.conv_out.forward(silu(self.conv_norm_out.forward(stream)))
    }
}

/// Every pixel becomes two by two.
fn doubled<B: Backend>(input: Tensor<B, 4>) -> Tensor<B, 4> {
    let [_, _, height, width] = input.dims();
    interpolate(input, [height * 2, width * 2], InterpolateOptions::new(InterpolateMode::Nearest))
}

/// Statistics of packed latents, gathered while it was trained.
#[derive(Module, Debug)]
pub struct LatentStatistics<B: Backend> {
    /// Means, `[4 · latent channels]`.
    pub running_mean: Param<Tensor<B, 1>>,
    /// Variances, `[4 · latent channels]`.
    pub running_var: Param<Tensor<B, 1>>,
    /// Added to the variances.
    pub epsilon: f64,
}

impl<B: Backend> LatentStatistics<B> {
    fn one_per_channel(parameter: &Param<Tensor<B, 1>>) -> Tensor<B, 4> {
        let channels = parameter.dims()[0];
        parameter.val().detach().reshape([1, channels, 1, 1])
    }

    /// Packed latents → mean zero, variance one.
    pub fn normalise(&self, packed: Tensor<B, 4>) -> Tensor<B, 4> {
        let deviation = Self::one_per_channel(&self.running_var).add_scalar(self.epsilon).sqrt();
        (packed - Self::one_per_channel(&self.running_mean)) / deviation
    }

    /// The way back.
    pub fn restore(&self, packed: Tensor<B, 4>) -> Tensor<B, 4> {
        let deviation = Self::one_per_channel(&self.running_var).add_scalar(self.epsilon).sqrt();
        packed * deviation + Self::one_per_channel(&self.running_mean)
    }
}

/// The autoencoder.
#[derive(Module, Debug)]
pub struct Autoencoder<B: Backend> {
    /// Picture → moments.
    pub encoder: Encoder<B>,
    /// Latents → picture.
    pub decoder: Decoder<B>,
    /// After the encoder.
    pub quant_conv: Option<Conv2d<B>>,
    /// Before the decoder.
    pub post_quant_conv: Option<Conv2d<B>>,
    /// Statistics of packed latents.
    pub bn: LatentStatistics<B>,
}

impl<B: Backend> Autoencoder<B> {
    /// An autoencoder with drawn weights.
    pub fn new(config: &AutoencoderConfig, device: &B::Device) -> Self {
        let latent = config.latent_channels;
        let packed = latent * config.patch_size.iter().product::<usize>();
        Self {
            encoder: Encoder::new(config, device),
            decoder: Decoder::new(config, device),
            quant_conv: config.use_quant_conv.then(|| Conv2d::new(2 * latent, 2 * latent, 1, device)),
            post_quant_conv: config.use_post_quant_conv.then(|| Conv2d::new(latent, latent, 1, device)),
            bn: LatentStatistics {
                running_mean: Initializer::Zeros.init([packed], device),
                running_var: Initializer::Ones.init([packed], device),
                epsilon: config.batch_norm_eps,
            },
        }
    }

    /// Pictures `[batch, 3, height, width]` → means of the latents `[batch, latent, height / stride, width / stride]`.
    pub fn encode(&self, pictures: Tensor<B, 4>) -> Tensor<B, 4> {
        let moments = self.encoder.forward(pictures);
        let moments = match &self.quant_conv {
            Some(conv) => conv.forward(moments),
            None => moments,
        };
        let latent = moments.dims()[1] / 2;
        moments.narrow(1, 0, latent)
    }

    /// Latents → pictures, the way back of [`Self::encode`].
    pub fn decode(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        let latents = match &self.post_quant_conv {
            Some(conv) => conv.forward(latents),
            None => latents,
        };
        self.decoder.forward(latents)
    }

    /// Pictures → packed and normalised latents, as the transformer sees them.
    pub fn encode_packed(&self, pictures: Tensor<B, 4>) -> Tensor<B, 4> {
        self.bn.normalise(pack(self.encode(pictures)))
    }

    /// Packed and normalised latents → pictures.
    pub fn decode_packed(&self, packed: Tensor<B, 4>) -> Tensor<B, 4> {
        self.decode(unpack(self.bn.restore(packed)))
    }
}

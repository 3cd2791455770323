//! The autoencoder: `diffusers/models/autoencoders/autoencoder_kl_flux2.py` and `vae.py`. Pictures are in -1 … 1.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Tensor, backend::Backend},
};
use serde::{Deserialize, Serialize};

use super::latents::{pack, unpack};
pub use crate::nn::autoencoder::{Decoder, Encoder, MidBlock, ResidualBlock};
use crate::nn::{autoencoder::Shape, convolution::Conv2d};

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

    /// What the encoder and the decoder are built from.
    pub(crate) fn shape(&self) -> Shape {
        Shape {
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            block_out_channels: self.block_out_channels.clone(),
            decoder_block_out_channels: self.decoder_block_out_channels.clone(),
            layers_per_block: self.layers_per_block,
            latent_channels: self.latent_channels,
            norm_num_groups: self.norm_num_groups,
            mid_block_add_attention: self.mid_block_add_attention,
        }
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
            encoder: Encoder::new(&config.shape(), device),
            decoder: Decoder::new(&config.shape(), device),
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
        self.decoder.forward(self.before_decoder(latents))
    }

    fn before_decoder(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        match &self.post_quant_conv {
            Some(conv) => conv.forward(latents),
            None => latents,
        }
    }

    /// Pictures → packed and normalised latents, as the transformer sees them.
    pub fn encode_packed(&self, pictures: Tensor<B, 4>) -> Tensor<B, 4> {
        self.bn.normalise(pack(self.encode(pictures)))
    }

    /// Packed and normalised latents → pictures.
    pub fn decode_packed(&self, packed: Tensor<B, 4>) -> Tensor<B, 4> {
        self.decoder.forward(self.unpacked(packed))
    }

    /// Packed and normalised latents → latents as the decoder sees them.
    pub fn unpacked(&self, packed: Tensor<B, 4>) -> Tensor<B, 4> {
        self.before_decoder(unpack(self.bn.restore(packed)))
    }
}

//! The autoencoder: `diffusers/models/autoencoders/autoencoder_kl.py`. Pictures are in -1 … 1.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    nn::{
        autoencoder::{Decoder, Encoder, Shape},
        convolution::Conv2d,
    },
};

/// `vae/config.json`. Keys are those of diffusers; a key that is not known here is refused, because it may change the
/// result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderConfig {
    /// `AutoencoderKL`.
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
    /// Residual layers of an encoder block; a decoder block has one more.
    #[serde(default = "one")]
    pub layers_per_block: usize,
    /// `silu`.
    #[serde(default = "silu_name")]
    pub act_fn: String,
    /// Channels of the latents.
    #[serde(default = "four")]
    pub latent_channels: usize,
    /// Groups of the normalisations.
    #[serde(default = "groups")]
    pub norm_num_groups: usize,
    /// Size that it was trained at; says nothing about the result.
    #[serde(default)]
    pub sample_size: Option<usize>,
    /// What latents are multiplied with to have about variance one.
    #[serde(default = "scaling_factor")]
    pub scaling_factor: f64,
    /// Not supported.
    #[serde(default)]
    pub shift_factor: Option<f64>,
    /// Means of the latents' channels, where they are not zero.
    #[serde(default)]
    pub latents_mean: Option<Vec<f32>>,
    /// Deviations of the latents' channels.
    #[serde(default)]
    pub latents_std: Option<Vec<f32>>,
    /// Whether decoding in more than half precision is advised; says nothing about the result here.
    #[serde(default)]
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
            decoder_block_out_channels: None,
            layers_per_block: self.layers_per_block,
            latent_channels: self.latent_channels,
            norm_num_groups: self.norm_num_groups,
            mid_block_add_attention: self.mid_block_add_attention,
        }
    }

    /// Refuses what would change the result and is not implemented.
    ///
    /// # Errors
    /// [`Error::Config`] with the key's name.
    pub fn check(&self) -> Result<()> {
        self.shape().check(&self.act_fn, &self.down_block_types, &self.up_block_types)?;
        let refuse = |what: String| Err(Error::Config(format!("The autoencoder's {what}.")));
        if self.shift_factor.is_some_and(|shift| shift != 0.0) {
            return refuse("`shift_factor` is not supported; SDXL has none".to_owned());
        }
        if self.scaling_factor == 0.0 {
            return refuse("`scaling_factor` must not be 0".to_owned());
        }
        let statistics = [("latents_mean", &self.latents_mean), ("latents_std", &self.latents_std)];
        for (name, values) in statistics {
            if values.as_ref().is_some_and(|values| values.len() != self.latent_channels) {
                return refuse(format!("`{name}` must have a number for each of {} channels", self.latent_channels));
            }
        }
        Ok(())
    }

    /// Means and deviations of the latents' channels; the reference uses them only where both are stated.
    fn statistics(&self) -> (Vec<f32>, Vec<f32>) {
        match (&self.latents_mean, &self.latents_std) {
            (Some(mean), Some(deviation)) => (mean.clone(), deviation.clone()),
            _ => (vec![0.0; self.latent_channels], vec![1.0; self.latent_channels]),
        }
    }
}

fn class_name() -> String {
    "AutoencoderKL".to_owned()
}

fn one() -> usize {
    1
}

fn three() -> usize {
    3
}

fn four() -> usize {
    4
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

fn scaling_factor() -> f64 {
    0.18215
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
}

impl<B: Backend> Autoencoder<B> {
    /// An autoencoder with drawn weights.
    pub fn new(config: &AutoencoderConfig, device: &B::Device) -> Self {
        let latent = config.latent_channels;
        let shape = config.shape();
        Self {
            encoder: Encoder::new(&shape, device),
            decoder: Decoder::new(&shape, device),
            quant_conv: config.use_quant_conv.then(|| Conv2d::new(2 * latent, 2 * latent, 1, device)),
            post_quant_conv: config.use_post_quant_conv.then(|| Conv2d::new(latent, latent, 1, device)),
        }
    }

    /// Pictures `[batch, 3, height, width]` → means of the latents, scaled as the UNet sees them,
    /// `[batch, latent, height / stride, width / stride]`.
    pub fn encode(&self, pictures: Tensor<B, 4>, config: &AutoencoderConfig) -> Tensor<B, 4> {
        let moments = self.encoder.forward(pictures);
        let moments = match &self.quant_conv {
            Some(conv) => conv.forward(moments),
            None => moments,
        };
        let (mean, deviation) = by_channel(config, &moments.device());
        (moments.narrow(1, 0, config.latent_channels) - mean).mul_scalar(config.scaling_factor) / deviation
    }

    /// Latents as the UNet sees them → latents as the decoder sees them: the way back of [`Self::encode`] begins with it.
    pub fn unscaled(&self, latents: Tensor<B, 4>, config: &AutoencoderConfig) -> Tensor<B, 4> {
        let (mean, deviation) = by_channel(config, &latents.device());
        let latents = (latents * deviation).div_scalar(config.scaling_factor) + mean;
        match &self.post_quant_conv {
            Some(conv) => conv.forward(latents),
            None => latents,
        }
    }
}

/// Means and deviations as `[1, channels, 1, 1]`.
fn by_channel<B: Backend>(config: &AutoencoderConfig, device: &B::Device) -> (Tensor<B, 4>, Tensor<B, 4>) {
    let tensor = |values: Vec<f32>| {
        Tensor::<B, 1>::from_floats(values.as_slice(), device).reshape([1, config.latent_channels, 1, 1])
    };
    let (mean, deviation) = config.statistics();
    (tensor(mean), tensor(deviation))
}

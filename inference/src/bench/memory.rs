//! How much memory a measurement takes, roughly, before it begins: what cannot fit is refused instead of ending in the middle.

use std::path::Path;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Element, Tensor, backend::Backend},
};

use super::{BenchSpec, RANK};
use crate::{
    dtype::Precision,
    error::{Error, Result},
    flux2::{
        autoencoder::Autoencoder as Flux2Autoencoder, configs::Configs as Flux2Configs, transformer::Flux2Transformer,
    },
    memory::{self, readable},
    model::Family,
    nn::autoencoder::Shape,
    sdxl::{autoencoder::Autoencoder as SdxlAutoencoder, configs::Configs as SdxlConfigs, unet::UNet},
    text::{clip::ClipTextEncoder, decoder::Decoder},
};

/// Numbers that a block of a transformer has in memory for each token and each feature of its width while it is computed: the
/// stream, what is normalised, queries, keys, values, what was mixed.
const OF_A_BLOCK: u64 = 6;

/// The same of the feed-forward part, for each feature of its width: the gate, what is gated, the product.
const OF_A_FEED_FORWARD: u64 = 3;

/// The same of a residual layer, for each pixel and channel: what comes in, what is normalised, what comes out.
const OF_A_RESIDUAL: u64 = 3;

/// An estimate, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needed {
    /// Weights, and pairs beside them.
    pub weights: u64,
    /// What the largest stage computes with.
    pub activations: u64,
}

/// Numbers of a model's parts.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    /// Parameters of what denoises.
    denoiser: u64,
    /// Parameters of one pair of low rank beside each of its linear layers.
    pairs: u64,
    /// Parameters of everything else that is loaded.
    rest: u64,
    /// Parameters that a folder holds and that are not loaded.
    unread: u64,
    /// What the largest stage has in memory at once.
    activations: u64,
}

impl Needed {
    /// What measuring the model of a folder takes, whose weights lie there or are drawn. Configurations are read, and nothing is
    /// drawn for it.
    ///
    /// # Errors
    /// When a configuration or a weight file is missing or not understood.
    pub(super) fn of<B: Backend>(spec: &BenchSpec, folder: &Path, device: &B::Device) -> Result<Self> {
        let numbers = match Family::of(folder)? {
            Family::Flux2 => of_flux2::<B>(spec, &Flux2Configs::read(folder)?, device),
            Family::Sdxl => of_sdxl::<B>(spec, &SdxlConfigs::read(folder)?, device),
        };
        let number = <B::FloatElem as Element>::dtype().size() as u64;
        let loaded = numbers.denoiser + numbers.rest;
        let weights = if spec.folder.is_some() {
            let all = memory::of_model(folder, &spec.device, spec.precision)?;
            (all as f64 * loaded as f64 / (loaded + numbers.unread).max(1) as f64) as u64
        } else {
            let of_denoiser = if spec.precision == Precision::Fp8 { 1 } else { number };
            numbers.denoiser * of_denoiser + numbers.rest * number
        };
        let pairs = u64::from(spec.loras).saturating_mul(numbers.pairs * number);
        Ok(Self { weights: weights.saturating_add(pairs), activations: numbers.activations * number })
    }

    /// Refuses what cannot fit.
    ///
    /// # Errors
    /// [`Error::Memory`] with both numbers.
    pub(super) fn check(self, available: Option<u64>) -> Result<()> {
        let needed = self.weights.saturating_add(self.activations);
        match available {
            Some(available) if available < needed => Err(Error::Memory(format!(
                "This takes about {} of memory ({} for weights) and {} are free. Measure a smaller model, size or number of LoRAs, or \
                 use a device with more memory.",
                readable(needed),
                readable(self.weights),
                readable(available),
            ))),
            _ => Ok(()),
        }
    }
}

fn of_flux2<B: Backend>(spec: &BenchSpec, configs: &Flux2Configs, device: &B::Device) -> Numbers {
    let decoder = configs.text_encoder.decoder();
    let used = configs.text_layers().into_iter().max().unwrap_or_default();
    let text_encoder = count(&Decoder::<B>::with_layers(&decoder, used, device)).parameters;
    let whole_text_encoder = count(&Decoder::<B>::new(&decoder, device)).parameters;
    let transformer = count(&Flux2Transformer::<B>::new(&configs.transformer, device));
    let autoencoder = count(&Flux2Autoencoder::<B>::new(&configs.autoencoder, device)).parameters;
    let pixels = pixels(spec, configs.native_size);
    let prompt = crate::flux2::pipeline::prompt_length(None) as u64;
    let tokens = prompt + pixels / u64::from(configs.size_multiple().max(1)).pow(2);
    let block = |hidden: usize, inner: usize| OF_A_BLOCK * hidden as u64 + OF_A_FEED_FORWARD * inner as u64;
    // Both sides of a guidance are computed at once.
    let times = if configs.is_guided_freely() { 2 } else { 1 };
    let step = times * tokens * block(configs.transformer.hidden(), configs.transformer.mlp_hidden());
    let text = prompt * block(decoder.hidden, decoder.inner);
    Numbers {
        denoiser: transformer.parameters,
        pairs: transformer.pairs,
        rest: text_encoder + autoencoder,
        unread: whole_text_encoder - text_encoder,
        activations: step.max(text).max(of_decoding(&configs.autoencoder.shape(), pixels)),
    }
}

fn of_sdxl<B: Backend>(spec: &BenchSpec, configs: &SdxlConfigs, device: &B::Device) -> Numbers {
    let encoders = [(&configs.text_encoder, false), (&configs.text_encoder_2, true)];
    let of_text =
        |(config, has_projection)| count(&ClipTextEncoder::<B>::new(config, has_projection, device)).parameters;
    let unet = count(&UNet::<B>::new(&configs.unet, device));
    let autoencoder = count(&SdxlAutoencoder::<B>::new(&configs.autoencoder, device)).parameters;
    let pixels = pixels(spec, configs.native_size());
    let latents = pixels / u64::from(configs.size_multiple().max(1)).pow(2);
    // What the way up is put beside is kept on the way down, and each level down has a quarter of the pixels.
    let kept = |(level, width): (u32, &usize)| {
        (latents >> (2 * level)) * *width as u64 * (configs.unet.layers_per_block as u64 + 1 + OF_A_RESIDUAL)
    };
    let levels = (0..).zip(&configs.unet.block_out_channels);
    let times = if configs.is_turbo() { 1 } else { 2 };
    let step: u64 = times * levels.map(kept).sum::<u64>();
    Numbers {
        denoiser: unet.parameters,
        pairs: unet.pairs,
        rest: encoders.map(of_text).into_iter().sum::<u64>() + autoencoder,
        unread: 0,
        activations: step.max(of_decoding(&configs.autoencoder.shape(), pixels)),
    }
}

/// Pixels of the picture that is asked for.
fn pixels(spec: &BenchSpec, native_size: u32) -> u64 {
    u64::from(spec.width.unwrap_or(native_size)) * u64::from(spec.height.unwrap_or(native_size))
}

/// Numbers of the decoder's widest layer at full size: the first after the last doubling, which is still as wide as the level before.
fn of_decoding(shape: &Shape, pixels: u64) -> u64 {
    let widths = shape.decoder_block_out_channels.as_ref().unwrap_or(&shape.block_out_channels);
    let width = widths.iter().take(2).copied().max().unwrap_or_default();
    OF_A_RESIDUAL * pixels * width as u64
}

/// Counts a module's parameters by the shapes that they will have: none is drawn.
fn count<B: Backend, M: Module<B>>(module: &M) -> Counted {
    let mut counted = Counted::default();
    module.visit(&mut counted);
    counted
}

/// What was counted.
#[derive(Default)]
struct Counted {
    parameters: u64,
    /// Of one pair beside each matrix.
    pairs: u64,
}

impl<B: Backend> ModuleVisitor<B> for Counted {
    fn visit_float<const D: usize>(&mut self, weight: &Param<Tensor<B, D>>) {
        let shape = weight.lazy_shape();
        self.parameters += shape.num_elements() as u64;
        if let [outputs, inputs] = shape[..] {
            self.pairs += (RANK * (outputs + inputs)) as u64;
        }
    }
}

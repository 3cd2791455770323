//! Trains the starter model's autoencoder. The encoder takes principal components and stays as it is, so that latents do not
//! change while the decoder learns the way back.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use burn::{
    module::{AutodiffModule, Module},
    optim::{AdamWConfig, Optimizer},
    tensor::{
        Distribution, ElementConversion, Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

use super::{
    parts,
    pictures::{draw, to_tensor},
    principal_components::{self, Components},
    scenes::CaptionedPicture,
};
use crate::{
    error::{Error, Result},
    flux2::{
        autoencoder::{Autoencoder, AutoencoderConfig},
        latents::pack,
    },
    weights::module_file::{Stored, load, save},
};

/// How an autoencoder is trained.
#[derive(Clone, Debug)]
pub struct AutoencoderTraining {
    /// Edge of the pictures, in pixels.
    pub size: u32,
    /// Pictures a step.
    pub batch: usize,
    /// Parts of a batch that are computed at the same time.
    pub parts: usize,
    /// How long.
    pub time: Duration,
    /// Learning rate at its peak.
    pub learning_rate: f64,
    /// First seed of the pictures; go on from another one when training goes on.
    pub first_seed: u64,
}

/// Noise on the latents while training: what is decoded later does not lie exactly where the encoder puts it.
const LATENT_NOISE: f64 = 0.05;

/// Weight of the differences between neighbouring pixels in the loss: keeps edges sharp.
const EDGE_WEIGHT: f64 = 0.25;

/// Pictures from which the principal components are taken.
const COMPONENT_PICTURES: u64 = 6000;

/// The starter model's autoencoder.
pub fn config() -> AutoencoderConfig {
    let value = serde_json::json!({
        "_class_name": "AutoencoderKLFlux2",
        "block_out_channels": ([48; 4]),
        "decoder_block_out_channels": [8, 24, 48, 96],
        "down_block_types": (["DownEncoderBlock2D"; 4]),
        "up_block_types": (["UpDecoderBlock2D"; 4]),
        "layers_per_block": 0,
        "latent_channels": 16,
        "norm_num_groups": 4,
        "use_quant_conv": false,
        "use_post_quant_conv": false,
        "sample_size": 64,
    });
    serde_json::from_value(value).expect("invariant: the configuration above is complete")
}

/// Trains and writes `config.json` and the weights into a folder; goes on from weights that lie there.
///
/// # Errors
/// When the folder cannot be written.
pub fn train<B: AutodiffBackend>(folder: &Path, training: &AutoencoderTraining, device: &B::Device) -> Result<()> {
    let config = config();
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let config_file = folder.join("config.json");
    let json = serde_json::to_string_pretty(&config).map_err(|error| Error::Config(error.to_string()))?;
    std::fs::write(&config_file, json).map_err(Error::io(&config_file))?;
    let weights = folder.join("diffusion_pytorch_model.safetensors");
    let mut model = Autoencoder::<B>::new(&config, device);
    if weights.exists() {
        model = load::<B, _>(model, std::slice::from_ref(&weights), |name| Some(name.to_owned()))?;
    } else {
        let components = Components::of_drawn(COMPONENT_PICTURES, config.latent_channels);
        principal_components::begin(&mut model, &components, device);
        write(&model, &weights, training, device)?;
        tracing::info!("principal components are there");
    }
    model.encoder = model.encoder.no_grad();
    let encoder = model.valid();
    let mut optimiser = AdamWConfig::new().with_weight_decay(1e-4).with_beta_2(0.99).init::<B, Autoencoder<B>>();
    let pools = parts::pools(training.parts)?;
    let batches = draw(training.first_seed, training.batch, training.size, true);
    let (started, mut saved, mut step, mut losses) = (Instant::now(), Instant::now(), 0u64, Vec::new());
    while started.elapsed() < training.time {
        let batch = batches.recv().map_err(|_| Error::Input("No more pictures are drawn.".to_owned()))?;
        let share = batch.len().div_ceil(training.parts);
        let (loss, gradients) = parts::gradients(
            &model,
            batch.chunks(share).collect(),
            &pools,
            |copy: &Autoencoder<B>, part: &[CaptionedPicture]| {
                let pictures = to_tensor::<B::InnerBackend>(part.iter().map(|one| &one.picture), device);
                let latents = Tensor::from_inner(encoder.encode(pictures.clone()));
                loss_of(copy, latents, Tensor::from_inner(pictures)).mul_scalar(part.len() as f64 / batch.len() as f64)
            },
        )?;
        losses.push(loss);
        let share = started.elapsed().as_secs_f64() / training.time.as_secs_f64();
        let rate = training.learning_rate * schedule(step, share);
        model = optimiser.step(rate, model, gradients);
        step += 1;
        if step.is_multiple_of(25) {
            let pictures = step as f64 * training.batch as f64 / started.elapsed().as_secs_f64();
            let mean: f32 = Tensor::cat(std::mem::take(&mut losses), 0).mean().into_scalar().elem();
            tracing::info!(
                step,
                loss = format!("{mean:.5}"),
                pictures_per_second = format!("{pictures:.1}"),
                "autoencoder"
            );
        }
        if saved.elapsed() > Duration::from_secs(180) {
            write(&model, &weights, training, device)?;
            saved = Instant::now();
        }
    }
    write(&model, &weights, training, device)
}

/// Warm-up over 100 steps, then a cosine down to a twentieth at the end of the time.
pub(super) fn schedule(step: u64, share: f64) -> f64 {
    let warm = (step as f64 / 100.0).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos());
    warm * (0.05 + 0.95 * cosine)
}

/// Mean squared error of the pictures and, less, of the differences between their neighbouring pixels.
fn loss_of<B: AutodiffBackend>(model: &Autoencoder<B>, latents: Tensor<B, 4>, pictures: Tensor<B, 4>) -> Tensor<B, 1> {
    let noise = latents.random_like(Distribution::Normal(0.0, LATENT_NOISE));
    let decoded = model.decode(latents + noise);
    let difference = decoded - pictures;
    let [_, _, height, width] = difference.dims();
    let across = difference.clone().narrow(3, 1, width - 1) - difference.clone().narrow(3, 0, width - 1);
    let down = difference.clone().narrow(2, 1, height - 1) - difference.clone().narrow(2, 0, height - 1);
    let edges = across.square().mean() + down.square().mean();
    difference.square().mean() + edges.mul_scalar(EDGE_WEIGHT)
}

/// Measures the latents' statistics and writes the weights.
fn write<B: AutodiffBackend>(
    model: &Autoencoder<B>,
    file: &Path,
    training: &AutoencoderTraining,
    device: &B::Device,
) -> Result<()> {
    let mut model = model.valid();
    let batches = draw(u64::MAX / 2, training.batch.max(16), training.size, false);
    let mut packed = Vec::new();
    for batch in batches.iter().take(16) {
        let pictures = to_tensor::<B::InnerBackend>(batch.iter().map(|one| &one.picture), device);
        packed.push(pack(model.encode(pictures)));
    }
    let all = Tensor::cat(packed, 0);
    let [count, channels, height, width] = all.dims();
    let rows = all.permute([1, 0, 2, 3]).reshape([channels, count * height * width]);
    let mean = rows.clone().mean_dim(1);
    let variance = (rows - mean.clone()).square().mean_dim(1);
    model.bn.running_mean = model.bn.running_mean.map(|_| mean.reshape([channels]));
    model.bn.running_var = model.bn.running_var.map(|_| variance.reshape([channels]));
    save::<B::InnerBackend, _>(&model, file, Stored::F32, BTreeMap::new())
}

/// Mean peak signal-to-noise ratio of pictures through the latents and back, in decibels.
pub fn psnr<B: Backend>(model: &Autoencoder<B>, pictures: &Tensor<B, 4>) -> f64 {
    let decoded = model.decode(model.encode(pictures.clone())).clamp(-1.0, 1.0);
    let [count, channels, height, width] = decoded.dims();
    let errors = (decoded - pictures.clone()).square().reshape([count, channels * height * width]).mean_dim(1);
    let errors: Vec<f32> = errors.into_data().iter::<f32>().collect();
    errors.iter().map(|error| -10.0 * (f64::from(*error) / 4.0).max(1e-10).log10()).sum::<f64>() / count as f64
}

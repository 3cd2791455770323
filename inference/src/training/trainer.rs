//! The steps of a training: batches, gradients, learning rates.

use std::collections::BTreeMap;

use burn::{
    module::{AutodiffModule, Module},
    optim::{GradientsAccumulator, GradientsParams},
    tensor::{
        ElementConversion, Tensor, TensorData,
        backend::{AutodiffBackend, Backend},
    },
};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha20Rng;
use rand_distr::StandardNormal;
use rayon::ThreadPool;

use super::{
    cache::{Cache, View},
    loss::{GUIDANCE, logit_normal_times, rectified_flow},
    optimiser::AdamW,
    spec::TrainingSpec,
};
use crate::{
    error::{Error, Result},
    flux2::{position, transformer::Flux2Transformer},
    lora::{LowRankPair, inject},
};

/// One in so many pictures is shown without its prompt where guidance is used, so that both sides of the guidance learn.
const WITHOUT_PROMPT: f64 = 0.1;

/// Mean of the normal distribution whose logistic function the times are.
const TIME_MEAN: f64 = 0.4;

/// Share of the steps over which the learning rate rises.
const WARM_UP: f64 = 0.05;

/// The learning rate at the end over that at its peak.
const LAST_RATE: f64 = 0.1;

/// How many parts of a batch the processor computes at the same time. It does not depend on the machine, so that the
/// machine does not change the result.
const PARTS: usize = 2;

/// The transformer with its adapters, and what is needed to train them.
pub struct Trainer<'a, B: AutodiffBackend> {
    /// Frozen, but for the last pair of each layer that has one.
    pub transformer: Flux2Transformer<B>,
    /// The optimiser.
    pub optimiser: AdamW<B>,
    spec: &'a TrainingSpec,
    guided: bool,
    pools: Vec<ThreadPool>,
    device: B::Device,
}

/// Pairs to begin from: `A` small and random, `B` zero, so that the first step begins at the model itself.
pub fn first_pairs<B: Backend>(
    transformer: &mut Flux2Transformer<B>,
    spec: &TrainingSpec,
) -> BTreeMap<String, LowRankPair> {
    use inject::Adaptable;
    let rank = spec.rank as usize;
    let scale = (spec.alpha / f64::from(spec.rank)) as f32;
    let layers = transformer.linear_layers();
    let trained = layers.iter().filter(|(name, _)| is_trained(name)).zip(0u64..);
    let pair = |((name, layer), number): ((&String, &&mut crate::nn::linear::Linear<B>), u64)| {
        let (inputs, outputs) = layer.features();
        let mut random = ChaCha20Rng::seed_from_u64(spec.seed);
        random.set_stream(u64::MAX - number);
        let bound = 1.0 / (inputs as f32).sqrt();
        let a = (0..rank * inputs).map(|_| random.random_range(-bound..=bound)).collect();
        (name.clone(), LowRankPair { a, b: vec![0.0; outputs * rank], rank, inputs, outputs, scale })
    };
    trained.map(pair).collect()
}

/// Whether a layer is trained: those of the blocks, and what leads into them and out of them. Never the last
/// normalisation's, whose halves converters disagree on, and not what embeds the time.
fn is_trained(name: &str) -> bool {
    let outer = ["x_embedder", "context_embedder", "proj_out", "modulation"];
    name.starts_with("transformer_blocks.")
        || name.starts_with("single_transformer_blocks.")
        || outer.iter().any(|part| name.contains(part))
}

impl<'a, B: AutodiffBackend> Trainer<'a, B> {
    /// A trainer of `pairs` beside a frozen transformer.
    ///
    /// # Errors
    /// [`Error::Lora`] when the pairs do not fit.
    pub fn new(
        transformer: &Flux2Transformer<B::InnerBackend>,
        pairs: &BTreeMap<String, LowRankPair>,
        spec: &'a TrainingSpec,
        guided: bool,
        device: &B::Device,
    ) -> Result<Self> {
        let mut transformer = Flux2Transformer::<B>::from_inner(transformer.clone()).no_grad();
        inject::attach(&mut transformer, pairs, 1.0, device)?;
        // A card computes a batch as one; the processor's element-wise work uses one thread.
        let parts = if B::name(device).contains("flex") { PARTS } else { 1 };
        let pools = (0..parts).map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build());
        let pools = pools.collect::<std::result::Result<_, _>>().map_err(|error| Error::Device(error.to_string()))?;
        Ok(Self { transformer, optimiser: AdamW::new(), spec, guided, pools, device: device.clone() })
    }

    /// Makes step number `step` (from 0) of `steps` on views of one size, and says its loss and learning rate.
    ///
    /// # Errors
    /// When a thread ended early.
    pub fn step(
        &mut self,
        cache: &Cache<B::InnerBackend>,
        views: &[&View<B::InnerBackend>],
        (step, steps): (u32, u32),
    ) -> Result<(f32, f64)> {
        let share = views.len().div_ceil(self.pools.len());
        let this = &*self;
        let parts: Vec<_> = std::thread::scope(|scope| {
            let mut begun = Vec::new();
            for ((part, pool), number) in views.chunks(share).zip(&self.pools).zip(0..) {
                let (latents, context) = this.batch(cache, part, step, number);
                let copy = Flux2Transformer::<B>::from_inner(this.transformer.valid());
                let weight = part.len() as f64 / views.len() as f64;
                let grid = part[0].grid;
                let compute = move || this.gradients(&copy, (latents, context), grid, weight, (step, number));
                begun.push(scope.spawn(move || pool.install(compute)));
            }
            begun.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        });
        let (mut loss, mut sum) = (0.0, GradientsAccumulator::new());
        for part in parts {
            let (value, gradients) =
                part.map_err(|_| Error::Input("A thread of the training ended early.".to_owned()))?;
            loss += value;
            sum.accumulate(&self.transformer, gradients);
        }
        let rate = self.spec.learning_rate * schedule(step, steps);
        self.optimiser.step(&mut self.transformer, &mut sum.grads(), rate);
        Ok((loss, rate))
    }

    /// Latents and contexts of a part of a step's views, some contexts left out.
    fn batch(
        &self,
        cache: &Cache<B::InnerBackend>,
        views: &[&View<B::InnerBackend>],
        step: u32,
        number: u64,
    ) -> (Tensor<B::InnerBackend, 3>, Tensor<B::InnerBackend, 3>) {
        let mut random = random(self.spec.seed, Use::Omissions, step, number);
        let omitted: Vec<bool> = views.iter().map(|_| self.guided && random.random_bool(WITHOUT_PROMPT)).collect();
        cache.batch(views, |place| if omitted[place] { 0 } else { views[place].context })
    }

    fn gradients(
        &self,
        transformer: &Flux2Transformer<B>,
        (latents, context): (Tensor<B::InnerBackend, 3>, Tensor<B::InnerBackend, 3>),
        (rows, columns): (usize, usize),
        weight: f64,
        (step, number): (u32, u64),
    ) -> (f32, GradientsParams) {
        let shape = latents.dims();
        let mut random = random(self.spec.seed, Use::Noise, step, number);
        let noise: Vec<f32> = (&mut random).sample_iter(StandardNormal).take(shape.iter().product()).collect();
        let noise = Tensor::<B, 3>::from_data(TensorData::new(noise, shape), &self.device);
        let times = logit_normal_times(&mut random, shape[0], TIME_MEAN);
        let time = Tensor::<B, 1>::from_data(TensorData::new(times, [shape[0]]), &self.device);
        let text = position::text(context.dims()[1]);
        let rotation = transformer.rotation(&text, &position::picture(rows, columns, 0), &self.device);
        let (latents, context) = (Tensor::from_inner(latents), Tensor::from_inner(context));
        let loss = rectified_flow(transformer, latents, noise, time, context, GUIDANCE, &rotation).mul_scalar(weight);
        let value = loss.clone().inner().into_scalar().elem();
        (value, GradientsParams::from_grads(loss.backward(), transformer))
    }
}

/// What random numbers are for: each use has its own stream, which depends on the step alone. So a training that goes on
/// draws what it would have drawn.
#[derive(Clone, Copy)]
enum Use {
    Order,
    Omissions,
    Noise,
}

fn random(seed: u64, used: Use, step: u32, number: u64) -> ChaCha20Rng {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    random.set_stream((u64::from(step) << 16) | (number << 4) | used as u64);
    random
}

/// The batches of an epoch (from 0): numbers of views of one size each, in an order of the epoch's own.
pub fn batches<B: Backend>(views: &[View<B>], spec: &TrainingSpec, epoch: u32) -> Vec<Vec<usize>> {
    let mut random = random(spec.seed, Use::Order, epoch, 0);
    let mut order: Vec<usize> = (0..views.len()).collect();
    order.shuffle(&mut random);
    let mut by_size: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for number in order {
        by_size.entry(views[number].grid).or_default().push(number);
    }
    let mut batches: Vec<Vec<usize>> =
        by_size.values().flat_map(|numbers| numbers.chunks(spec.batch_size as usize).map(<[usize]>::to_vec)).collect();
    batches.shuffle(&mut random);
    batches
}

/// Rises over the first steps, then falls as a cosine to [`LAST_RATE`].
fn schedule(step: u32, steps: u32) -> f64 {
    let warm = (f64::from(steps) * WARM_UP).ceil().max(1.0);
    let done = f64::from(step) + 1.0;
    if done <= warm {
        return done / warm;
    }
    let share = (done - warm) / (f64::from(steps) - warm).max(1.0);
    LAST_RATE + (1.0 - LAST_RATE) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls() {
        let rates: Vec<f64> = (0..100).map(|step| schedule(step, 100)).collect();
        assert!((rates[4] - 1.0).abs() < 1e-9 && rates[0] < 0.3);
        assert!(rates[5..].windows(2).all(|pair| pair[1] < pair[0]));
        assert!((rates[99] - LAST_RATE).abs() < 1e-3);
        assert!(schedule(0, 1) > 0.0);
    }

    #[test]
    fn what_is_trained_can_be_read_by_everybody() {
        assert!(is_trained("transformer_blocks.0.ff.linear_in"));
        assert!(is_trained("single_transformer_blocks.3.attn.to_out"));
        assert!(!is_trained("norm_out.linear"));
    }
}

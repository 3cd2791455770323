//! The steps of a training: batches, gradients, learning rates.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

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
    optimiser::AdamW,
    spec::TrainingSpec,
    trainable::{Batch, Trainable},
};
use crate::{
    device,
    error::{Error, Result},
    lora::{
        LowRankPair,
        inject::{self, Adaptable},
    },
};

/// One in so many pictures is shown without its prompt where guidance is used, so that both sides of the guidance learn.
const WITHOUT_PROMPT: f64 = 0.1;

/// Share of the steps over which the learning rate rises.
const WARM_UP: f64 = 0.05;

/// The learning rate at the end over that at its peak.
const LAST_RATE: f64 = 0.1;

/// How many parts of a batch the processor computes at the same time. It does not depend on the machine, so that the
/// machine does not change the result.
const PARTS: usize = 2;

/// The network with its adapters, and what is needed to train them.
pub struct Trainer<'a, B: AutodiffBackend, P: Trainable<B>> {
    /// Frozen, but for the last pair of each layer that has one.
    pub network: P::Network,
    /// The optimiser.
    pub optimiser: AdamW<B>,
    /// Whether the device is waited for after each part of a step, so that its times can be told apart. A training does not
    /// wait.
    pub waits: bool,
    /// Whether gradients are [checkpointed](crate::nn::chain).
    pub checkpointing: bool,
    pipeline: &'a P,
    spec: &'a TrainingSpec,
    pools: Vec<ThreadPool>,
}

/// A step that was made.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Mean loss of its pictures, before it.
    pub loss: f32,
    /// The learning rate.
    pub learning_rate: f64,
    /// How long its parts took.
    pub times: Times,
}

/// How long the parts of a step took. A device that works while the program goes on is told apart only where the
/// [`Trainer`] waits for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// From noise to the loss. Where a batch is computed in parts side by side, of the part that took longest.
    pub forward: Duration,
    /// From the loss to the gradients, of the same part.
    pub backward: Duration,
    /// From the gradients to new pairs.
    pub optimiser: Duration,
}

/// What a part of a batch contributes to a step.
struct Part {
    loss: f32,
    gradients: GradientsParams,
    forward: Duration,
    backward: Duration,
}

/// Pairs to begin from: `A` small and random, `B` zero, so that the first step begins at the model itself.
pub fn first_pairs<B: AutodiffBackend, P: Trainable<B>>(
    pipeline: &P,
    spec: &TrainingSpec,
) -> BTreeMap<String, LowRankPair> {
    let rank = spec.rank as usize;
    let scale = (spec.alpha / f64::from(spec.rank)) as f32;
    let mut network = pipeline.network().clone();
    let layers = network.linear_layers();
    let trained = layers.iter().filter(|(name, _)| P::is_trained(name, spec.layers)).zip(0u64..);
    let pair = |((name, layer), number): ((&String, &&mut crate::nn::linear::Linear<B::InnerBackend>), u64)| {
        let (inputs, outputs) = layer.features();
        let mut random = ChaCha20Rng::seed_from_u64(spec.seed);
        random.set_stream(u64::MAX - number);
        let bound = 1.0 / (inputs as f32).sqrt();
        let a = (0..rank * inputs).map(|_| random.random_range(-bound..=bound)).collect();
        (name.clone(), LowRankPair { a, b: vec![0.0; outputs * rank], rank, inputs, outputs, kernel: None, scale })
    };
    trained.map(pair).collect()
}

impl<'a, B: AutodiffBackend, P: Trainable<B>> Trainer<'a, B, P> {
    /// A trainer of `pairs` beside a pipeline's frozen network.
    ///
    /// # Errors
    /// [`Error::Lora`] when the pairs do not fit.
    pub fn new(pipeline: &'a P, pairs: &BTreeMap<String, LowRankPair>, spec: &'a TrainingSpec) -> Result<Self> {
        let device = pipeline.device();
        let mut network = P::Network::from_inner(pipeline.network().clone()).no_grad();
        inject::attach(&mut network, pairs, 1.0, device)?;
        // A card computes a batch as one; the processor's element-wise work uses one thread.
        let parts = if device::is_processor::<B>(device) { PARTS } else { 1 };
        let pools = (0..parts).map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build());
        let pools = pools.collect::<std::result::Result<_, _>>().map_err(|error| Error::Device(error.to_string()))?;
        Ok(Self { network, optimiser: AdamW::new(), waits: false, checkpointing: false, pipeline, spec, pools })
    }

    /// Makes step number `step` (from 0) of `steps` on views of one size.
    ///
    /// # Errors
    /// When a thread ended early, or the device failed.
    pub fn step(
        &mut self,
        cache: &Cache<B::InnerBackend>,
        views: &[&View<B::InnerBackend>],
        (step, steps): (u32, u32),
    ) -> Result<Step> {
        let (mut loss, mut sum, mut times) = (0.0, GradientsAccumulator::new(), Times::default());
        for part in self.parts(cache, views, step)? {
            loss += part.loss;
            sum.accumulate(&self.network, part.gradients);
            if part.forward + part.backward > times.forward + times.backward {
                times = Times { forward: part.forward, backward: part.backward, ..times };
            }
        }
        let begun = Instant::now();
        let learning_rate = self.spec.learning_rate * schedule(step, steps);
        self.optimiser.step(&mut self.network, &mut sum.grads(), learning_rate);
        self.wait()?;
        times.optimiser = begun.elapsed();
        Ok(Step { loss, learning_rate, times })
    }

    /// Loss and gradients of every part of a batch, computed side by side.
    fn parts(&self, cache: &Cache<B::InnerBackend>, views: &[&View<B::InnerBackend>], step: u32) -> Result<Vec<Part>> {
        let share = views.len().div_ceil(self.pools.len());
        let compute = |part: &[&View<B::InnerBackend>], number| {
            let copy = P::Network::from_inner(self.network.valid());
            let weight = part.len() as f64 / views.len() as f64;
            let batch = self.batch(cache, part, step, number);
            move || self.gradients(&copy, batch, weight)
        };
        if self.pools.len() == 1 {
            // A card is told everything by one thread.
            return Ok(vec![compute(views, 0)()?]);
        }
        let parts: Vec<_> = std::thread::scope(|scope| {
            let mut begun = Vec::new();
            for ((part, pool), number) in views.chunks(share).zip(&self.pools).zip(0..) {
                let compute = compute(part, number);
                begun.push(scope.spawn(move || pool.install(compute)));
            }
            begun.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        });
        let ended = |_| Error::Input("A thread of the training ended early.".to_owned());
        parts.into_iter().map(|part| part.map_err(ended)?).collect()
    }

    /// A part of a step's views with noise and times, some of them without their prompts.
    fn batch(
        &self,
        cache: &Cache<B::InnerBackend>,
        views: &[&View<B::InnerBackend>],
        step: u32,
        number: u64,
    ) -> Batch<B> {
        let leaves_out = self.pipeline.leaves_prompts_out();
        let mut omissions = random(self.spec.seed, Use::Omissions, step, number);
        let omitted: Vec<bool> = views.iter().map(|_| leaves_out && omissions.random_bool(WITHOUT_PROMPT)).collect();
        let (latents, texts) = cache.batch(views, |place| if omitted[place] { 0 } else { views[place].text });
        let shape = latents.dims();
        let mut random = random(self.spec.seed, Use::Noise, step, number);
        let noise: Vec<f32> = (&mut random).sample_iter(StandardNormal).take(shape.iter().product()).collect();
        Batch {
            latents: Tensor::from_inner(latents),
            noise: Tensor::from_data(TensorData::new(noise, shape), self.pipeline.device()),
            times: self.pipeline.draw_times(&mut random, shape[0]),
            texts: Tensor::from_inner(texts),
            frames: views.iter().map(|view| view.frame).collect(),
            grid: views[0].grid,
        }
    }

    fn gradients(&self, network: &P::Network, batch: Batch<B>, weight: f64) -> Result<Part> {
        let begun = Instant::now();
        if self.checkpointing {
            let (loss, gradients) = self.pipeline.checkpointed_gradients(network, batch, weight);
            device::check_failures::<B>(self.pipeline.device())?;
            self.wait()?;
            // Both ways are one here.
            return Ok(Part { loss, gradients, forward: Duration::ZERO, backward: begun.elapsed() });
        }
        let loss = self.pipeline.loss(network, batch).mul_scalar(weight);
        // A number that is read has been computed: no other waiting is needed.
        let value = loss.clone().inner().into_scalar().elem();
        device::check_failures::<B>(self.pipeline.device())?;
        let forward = begun.elapsed();
        let gradients = GradientsParams::from_grads(loss.backward(), network);
        self.wait()?;
        Ok(Part { loss: value, gradients, forward, backward: begun.elapsed() - forward })
    }

    /// Waits for the device where it is asked for.
    fn wait(&self) -> Result<()> {
        if self.waits { device::finish::<B>(self.pipeline.device()) } else { Ok(()) }
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
}

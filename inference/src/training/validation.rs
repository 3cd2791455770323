//! Loss on held-out pictures, with the same noise and times every time: what differs between two measurements is the LoRA.

use burn::tensor::{ElementConversion, Tensor, TensorData, backend::AutodiffBackend};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::{
    cache::{Cache, View},
    trainable::{Batch, Trainable},
};

/// Times at which each picture is measured, evenly over the schedule.
const TIMES: u32 = 8;

/// Noises at each of them.
const NOISES: usize = 4;

/// The noise does not depend on the training's seed, so that trainings can be compared.
const SEED: u64 = 0x5eed;

/// Mean loss of a network on the held-out pictures; none when there are none.
pub fn loss<B: AutodiffBackend, P: Trainable<B>>(
    pipeline: &P,
    network: &P::Frozen,
    cache: &Cache<B::InnerBackend>,
) -> Option<f32> {
    let pictures = cache.held_out.len();
    if pictures == 0 {
        return None;
    }
    let sum: f32 =
        cache.held_out.iter().zip(0..).map(|(view, number)| of_picture(pipeline, network, cache, (view, number))).sum();
    Some(sum / pictures as f32)
}

fn of_picture<B: AutodiffBackend, P: Trainable<B>>(
    pipeline: &P,
    network: &P::Frozen,
    cache: &Cache<B::InnerBackend>,
    (view, number): (&View<B::InnerBackend>, u64),
) -> f32 {
    let values = view.latents.dims()[1];
    // One time after another: a large model has no room for all at once.
    let losses = pipeline.even_times(TIMES).into_iter().zip(0..).map(|(time, place)| {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        random.set_stream(number * u64::from(TIMES) + place);
        let noise: Vec<f32> = random.sample_iter(StandardNormal).take(NOISES * values).collect();
        let (latents, texts) = cache.batch(&[view; NOISES], |_| view.text);
        let batch = Batch {
            latents,
            noise: Tensor::from_data(TensorData::new(noise, [NOISES, values]), pipeline.device()),
            times: vec![time; NOISES],
            texts,
            frames: vec![view.frame; NOISES],
            grid: view.grid,
        };
        pipeline.loss_without_gradients(network, batch).into_scalar().elem::<f32>()
    });
    losses.sum::<f32>() / TIMES as f32
}

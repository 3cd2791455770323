//! Loss on held-out pictures, with the same noise and times every time: what differs between two measurements is the LoRA.

use burn::tensor::{ElementConversion, Tensor, TensorData, backend::Backend};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::{
    cache::{Cache, View},
    loss::{GUIDANCE, rectified_flow},
};
use crate::flux2::{position, transformer::Flux2Transformer};

/// Times at which each picture is measured, evenly over the schedule.
const TIMES: u64 = 8;

/// Noises at each of them.
const NOISES: u64 = 4;

/// The noise does not depend on the training's seed, so that trainings can be compared.
const SEED: u64 = 0x5eed;

/// Mean loss of a transformer on the held-out pictures; none when there are none.
pub fn loss<B: Backend>(transformer: &Flux2Transformer<B>, cache: &Cache<B>, device: &B::Device) -> Option<f32> {
    let pictures = cache.held_out.len();
    if pictures == 0 {
        return None;
    }
    let sum: f32 = cache
        .held_out
        .iter()
        .zip(0..)
        .map(|(view, number)| of_picture(transformer, cache, (view, number), device))
        .sum();
    Some(sum / pictures as f32)
}

fn of_picture<B: Backend>(
    transformer: &Flux2Transformer<B>,
    cache: &Cache<B>,
    (view, number): (&View<B>, u64),
    device: &B::Device,
) -> f32 {
    let [_, tokens, channels] = view.latents.dims();
    let (rows, columns) = view.grid;
    // One time after another: a large model has no room for all at once.
    let losses = (0..TIMES).map(|time| {
        let count = NOISES as usize;
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        random.set_stream(number * TIMES + time);
        let noise: Vec<f32> = random.sample_iter(StandardNormal).take(count * tokens * channels).collect();
        let noise = Tensor::from_data(TensorData::new(noise, [count, tokens, channels]), device);
        let time = (time as f32 + 0.5) / TIMES as f32;
        let (latents, context) = cache.batch(&vec![view; count], |_| view.context);
        let rotation =
            transformer.rotation(&position::text(context.dims()[1]), &position::picture(rows, columns, 0), device);
        let time = Tensor::full([count], time, device);
        rectified_flow(transformer, latents, noise, time, context, GUIDANCE, &rotation).into_scalar().elem::<f32>()
    });
    losses.sum::<f32>() / TIMES as f32
}

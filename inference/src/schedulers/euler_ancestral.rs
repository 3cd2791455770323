//! Euler steps that go below the next noise level and add noise to come back to it:
//! `scheduling_euler_ancestral_discrete.py`.

use burn::tensor::{Tensor, backend::Backend};

use super::discrete::{DiscreteConfig, NoiseLevels, Reading};

/// The class in `scheduler_config.json`.
pub const CLASS_NAME: &str = "EulerAncestralDiscreteScheduler";

/// One step: latents `[batch, channels, height, width]`, the network's prediction for them and noise of variance one → the
/// latents of the next level, and those that the end is expected to have.
pub fn step<B: Backend>(
    config: &DiscreteConfig,
    levels: &NoiseLevels,
    step: usize,
    latents: Tensor<B, 4>,
    predicted: Tensor<B, 4>,
    noise: Tensor<B, 4>,
) -> (Tensor<B, 4>, Tensor<B, 4>) {
    let (from, to) = (levels.sigmas[step], levels.sigmas[step + 1]);
    let up = (to * to * (from * from - to * to) / (from * from)).sqrt();
    let down = (to * to - up * up).sqrt();
    let Reading { estimate, derivative } = config.read(latents.clone(), predicted, from);
    (latents + derivative.mul_scalar(down - from) + noise.mul_scalar(up), estimate)
}

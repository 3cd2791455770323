//! Euler steps down the noise levels (Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models",
//! 2022, algorithm 2 without churn): `scheduling_euler_discrete.py`.

use burn::tensor::{Tensor, backend::Backend};

use super::discrete::{DiscreteConfig, NoiseLevels, Reading};

/// The class in `scheduler_config.json`.
pub const CLASS_NAME: &str = "EulerDiscreteScheduler";

/// One step: latents `[batch, channels, height, width]` and the network's prediction for them → the latents of the next
/// level, and those that the end is expected to have.
pub fn step<B: Backend>(
    config: &DiscreteConfig,
    levels: &NoiseLevels,
    step: usize,
    latents: Tensor<B, 4>,
    predicted: Tensor<B, 4>,
) -> (Tensor<B, 4>, Tensor<B, 4>) {
    let (from, to) = (levels.sigmas[step], levels.sigmas[step + 1]);
    let Reading { estimate, derivative } = config.read(latents.clone(), predicted, from);
    (latents + derivative.mul_scalar(to - from), estimate)
}

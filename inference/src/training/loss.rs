//! What is minimised: rectified flow (Liu et al., 2022), with times as Stable Diffusion 3 draws them (Esser et al., 2024),
//! and the prediction of noise (Ho et al., "Denoising Diffusion Probabilistic Models", 2020).

use burn::tensor::{DType, Tensor, backend::Backend};
use rand::Rng;
use rand_distr::StandardNormal;

use crate::{
    flux2::transformer::Flux2Transformer,
    nn::rope::Rotation,
    schedulers::discrete::Prediction,
    sdxl::unet::{Conditions, UNet},
};

/// The guidance scale that LoRAs are trained at where a model embeds it, as
/// `diffusers/examples/dreambooth/train_dreambooth_lora_flux2.py` does.
pub const GUIDANCE: f64 = 3.5;

/// Mean squared error of the velocity `noise - picture`, predicted at `(1 - t) picture + t noise`.
///
/// - `picture`, `noise`: `[batch, tokens, channels]`
/// - `time`: `[batch]`, 0 to 1
/// - `context`: `[batch, text tokens, context]`
/// - `guidance`: the guidance scale, which has an effect where the model embeds it
/// - result: `[1]`
pub fn rectified_flow<B: Backend>(
    transformer: &Flux2Transformer<B>,
    picture: Tensor<B, 3>,
    noise: Tensor<B, 3>,
    time: Tensor<B, 1>,
    context: Tensor<B, 3>,
    guidance: f64,
    rotation: &Rotation<B>,
) -> Tensor<B, 1> {
    let guidance = Tensor::full([1], guidance, (&time.device(), DType::F32));
    let FlowTask { noisy, velocity } = flow_task(picture, noise, &time);
    let predicted = transformer.forward(noisy, context, time, Some(guidance), rotation);
    mean_squared_error(predicted, velocity)
}

/// What is shown and what is to be predicted, `[batch, tokens, channels]` both.
pub(crate) struct FlowTask<B: Backend> {
    /// `(1 - t) picture + t noise`.
    pub(crate) noisy: Tensor<B, 3>,
    /// `noise - picture`.
    pub(crate) velocity: Tensor<B, 3>,
}

/// The task of [`rectified_flow`].
pub(crate) fn flow_task<B: Backend>(picture: Tensor<B, 3>, noise: Tensor<B, 3>, time: &Tensor<B, 1>) -> FlowTask<B> {
    let [batch, tokens, channels] = picture.dims();
    // One row a picture: backends multiply along a row fast.
    let rows = [batch, tokens * channels];
    let velocity = noise - picture.clone();
    let share = time.clone().reshape([batch, 1]);
    let noisy = picture.reshape(rows) + velocity.clone().reshape(rows) * share;
    FlowTask { noisy: noisy.reshape([batch, tokens, channels]), velocity }
}

/// The mean over everything of the squared difference, `[1]`.
pub(crate) fn mean_squared_error<B: Backend, const D: usize>(one: Tensor<B, D>, other: Tensor<B, D>) -> Tensor<B, 1> {
    (one - other).square().mean()
}

/// Mean squared error of what the network predicts at `√s picture + √(1 - s) noise`, where `s` is the share of the
/// picture, squared, that is left at the times of the conditions: of the noise, or of the velocity
/// `√s noise - √(1 - s) picture` (Salimans and Ho, "Progressive Distillation for Fast Sampling of Diffusion Models", 2022).
///
/// - `picture`, `noise`: `[batch, channels, height, width]`
/// - `signal`: one a picture, 0 to 1: see [`DiscreteConfig::signal`](crate::schedulers::discrete::DiscreteConfig::signal)
/// - result: `[1]`
pub fn noise_prediction<B: Backend>(
    unet: &UNet<B>,
    picture: Tensor<B, 4>,
    noise: Tensor<B, 4>,
    signal: &[f32],
    predicts: Prediction,
    conditions: Conditions<B>,
) -> Tensor<B, 1> {
    let PredictionTask { noisy, wanted } = prediction_task(picture, noise, signal, predicts);
    mean_squared_error(unet.forward(noisy, conditions), wanted)
}

/// What is shown and what is to be predicted, `[batch, channels, height, width]` both.
pub(crate) struct PredictionTask<B: Backend> {
    /// `√s picture + √(1 - s) noise`.
    pub(crate) noisy: Tensor<B, 4>,
    /// The noise, or the velocity.
    pub(crate) wanted: Tensor<B, 4>,
}

/// The task of [`noise_prediction`].
pub(crate) fn prediction_task<B: Backend>(
    picture: Tensor<B, 4>,
    noise: Tensor<B, 4>,
    signal: &[f32],
    predicts: Prediction,
) -> PredictionTask<B> {
    let dims = picture.dims();
    // One row a picture: backends multiply along a row fast.
    let rows = [dims[0], dims[1] * dims[2] * dims[3]];
    // Roots are drawn before half precision takes over, in which what is missing to 1 would vanish.
    let root = |share: &dyn Fn(f32) -> f32| {
        let roots: Vec<f32> = signal.iter().map(|signal| share(*signal).sqrt()).collect();
        Tensor::<B, 1>::from_floats(roots.as_slice(), &picture.device()).reshape([dims[0], 1])
    };
    let (kept, added) = (root(&|signal| signal), root(&|signal| 1.0 - signal));
    let (picture, noise) = (picture.reshape(rows), noise.reshape(rows));
    let noisy = picture.clone() * kept.clone() + noise.clone() * added.clone();
    let wanted = match predicts {
        Prediction::Noise => noise,
        Prediction::Velocity => noise * kept - picture * added,
    };
    PredictionTask { noisy: noisy.reshape(dims), wanted: wanted.reshape(dims) }
}

/// Times: the logistic function of a normal distribution of spread 1.
pub fn logit_normal_times(random: &mut impl Rng, count: usize, mean: f64) -> Vec<f32> {
    let mut draw = || {
        let normal: f64 = random.sample(StandardNormal);
        (1.0 / (1.0 + (-(mean + normal)).exp())) as f32
    };
    (0..count).map(|_| draw()).collect()
}

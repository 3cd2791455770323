//! Sinusoidal embedding of a time, and the two layers above it (Ho et al., "DDPM", 2020).

use burn::{
    module::Module,
    tensor::{DType, FloatDType, Tensor, TensorData, activation::silu, backend::Backend},
};

use super::{linear::Linear, norm::in_native_precision};

/// `[batch]` times → `[batch, width]`: cosines, then sines, of geometrically falling frequencies. In f32, as the times must be.
pub fn sinusoidal<B: Backend>(times: Tensor<B, 1>, width: usize) -> Tensor<B, 2> {
    let half = width / 2;
    let device = times.device();
    let frequencies: Vec<f32> = (0..half).map(|index| (-10_000f32.ln() * index as f32 / half as f32).exp()).collect();
    let frequencies = Tensor::<B, 2>::from_data(TensorData::new(frequencies, [1, half]), (&device, DType::F32));
    let angles = times.cast(FloatDType::F32).unsqueeze_dim::<2>(1) * frequencies;
    Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1)
}

/// The two layers above the sinusoids.
#[derive(Module, Debug)]
pub struct TimestepEmbedding<B: Backend> {
    /// `[channels] → [width]`.
    pub linear_1: Linear<B>,
    /// `[width] → [width]`.
    pub linear_2: Linear<B>,
}

impl<B: Backend> TimestepEmbedding<B> {
    /// Layers with drawn weights.
    pub fn new(channels: usize, width: usize, bias: bool, device: &B::Device) -> Self {
        Self { linear_1: Linear::new(channels, width, bias, device), linear_2: Linear::new(width, width, bias, device) }
    }

    /// `[batch, channels]` → `[batch, width]`.
    pub fn forward(&self, sinusoids: Tensor<B, 2>) -> Tensor<B, 2> {
        let sinusoids = in_native_precision(sinusoids);
        self.linear_2.forward(silu(self.linear_1.forward(sinusoids)))
    }
}

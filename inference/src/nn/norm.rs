//! Normalisations: of the root mean square (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019) and of mean and
//! variance (Ba et al., "Layer Normalization", 2016). Statistics are taken in f32 whatever the precision of the model.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{DType, Element, FloatDType, Tensor, backend::Backend},
};

use super::{
    cuda,
    processor::{self, RmsNormalisation, ScaledLayerNorm},
};

/// Root-mean-square normalisation with a learned scale (Zhang and Sennrich, 2019).
#[derive(Module, Debug)]
pub struct RmsNorm<B: Backend> {
    /// `[features]`.
    pub weight: Param<Tensor<B, 1>>,
    /// Added to the mean square.
    pub epsilon: f64,
}

impl<B: Backend> RmsNorm<B> {
    /// A normalisation whose scale is one.
    pub fn new(features: usize, epsilon: f64, device: &B::Device) -> Self {
        Self { weight: Initializer::Ones.init([features], device), epsilon }
    }

    /// `[batch, tokens, heads · features]` → the same shape, every head for itself.
    pub fn forward_by_head(&self, input: Tensor<B, 3>) -> Tensor<B, 3> {
        let weight = in_precision_of(self.weight.val(), &input);
        if let Some(normed) = cuda::rms_norm_by_head(&input, &weight, self.epsilon) {
            return normed;
        }
        let dims = input.dims();
        let features = self.weight.dims()[0];
        let rows = dims.iter().product::<usize>() / features;
        self.forward(input.reshape([rows, features])).reshape(dims)
    }

    /// `[…, features]` → the same shape.
    pub fn forward<const D: usize>(&self, input: Tensor<B, D>) -> Tensor<B, D> {
        let operation = RmsNormalisation { epsilon: self.epsilon as f32 };
        processor::run(&operation, [input.clone().into(), self.weight.val().into()])
            .or_else(|| self.on_card(&input))
            .unwrap_or_else(|| self.composed(input))
    }

    fn on_card<const D: usize>(&self, input: &Tensor<B, D>) -> Option<Tensor<B, D>> {
        let dims = input.dims();
        let rows = dims[..D - 1].iter().product();
        // Where half precision is learnt in, weights are kept in full.
        let weight = in_precision_of(self.weight.val(), input);
        let normed = cuda::rms_norm(&input.clone().reshape([rows, dims[D - 1]]), &weight, self.epsilon)?;
        Some(normed.reshape(dims))
    }

    /// The same from burn's operations.
    pub(super) fn composed<const D: usize>(&self, input: Tensor<B, D>) -> Tensor<B, D> {
        in_f32(input.clone(), |input| {
            let mean_square = input.clone().square().mean_dim(D - 1);
            input * mean_square.add_scalar(self.epsilon).sqrt().recip()
        }) * in_precision_of(self.weight.val(), &input).unsqueeze()
    }
}

/// Layer normalisation of `[batch, tokens, features]`, times a scale and plus a shift, each `[batch or 1, 1, features]`.
pub fn scaled_layer_norm<B: Backend>(
    input: Tensor<B, 3>,
    scale: Tensor<B, 3>,
    shift: Tensor<B, 3>,
    epsilon: f64,
) -> Tensor<B, 3> {
    let operation = ScaledLayerNorm { epsilon: epsilon as f32 };
    processor::run(&operation, [input.clone().into(), scale.clone().into(), shift.clone().into()])
        .or_else(|| cuda::layer_norm(&input, &scale, &shift, epsilon))
        .unwrap_or_else(|| composed_layer_norm(input, scale, shift, epsilon))
}

/// The same from burn's operations.
pub(super) fn composed_layer_norm<B: Backend>(
    input: Tensor<B, 3>,
    scale: Tensor<B, 3>,
    shift: Tensor<B, 3>,
    epsilon: f64,
) -> Tensor<B, 3> {
    let normed = in_f32(input, |input| {
        let centred = input.clone() - input.mean_dim(2);
        let variance = centred.clone().square().mean_dim(2);
        centred * variance.add_scalar(epsilon).sqrt().recip()
    });
    normed * scale + shift
}

/// Layer normalisation with a learned scale and shift (Ba et al., 2016).
#[derive(Module, Debug)]
pub struct LayerNorm<B: Backend> {
    /// `[features]`.
    pub weight: Param<Tensor<B, 1>>,
    /// `[features]`.
    pub bias: Param<Tensor<B, 1>>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl<B: Backend> LayerNorm<B> {
    /// A normalisation whose scale is one and whose shift is zero.
    pub fn new(features: usize, epsilon: f64, device: &B::Device) -> Self {
        Self {
            weight: Initializer::Ones.init([features], device),
            bias: Initializer::Zeros.init([features], device),
            epsilon,
        }
    }

    /// `[…, features]` → the same shape.
    pub fn forward<const D: usize>(&self, input: Tensor<B, D>) -> Tensor<B, D> {
        let dims = input.dims();
        let features = dims[D - 1];
        let rows = input.reshape([1, dims.iter().product::<usize>() / features, features]);
        scaled_layer_norm(rows, self.weight.val().unsqueeze(), self.bias.val().unsqueeze(), self.epsilon).reshape(dims)
    }
}

/// Runs a computation in f32 and gives its result the precision of the input.
pub fn in_f32<B: Backend, const D: usize>(
    input: Tensor<B, D>,
    compute: impl FnOnce(Tensor<B, D>) -> Tensor<B, D>,
) -> Tensor<B, D> {
    if input.dtype() == DType::F32 {
        return compute(input);
    }
    in_precision_of(compute(input.clone().cast(FloatDType::F32)), &input)
}

/// A tensor in the precision of another one.
pub fn in_precision_of<B: Backend, const D: usize, const E: usize>(
    input: Tensor<B, D>,
    other: &Tensor<B, E>,
) -> Tensor<B, D> {
    if input.dtype() == other.dtype() { input } else { input.cast(other.dtype()) }
}

/// A tensor in the precision that the backend computes in: what is read of a table may be stored in another.
pub fn in_native_precision<B: Backend, const D: usize>(input: Tensor<B, D>) -> Tensor<B, D> {
    let native = <B::FloatElem as Element>::dtype();
    if input.dtype() == native { input } else { input.cast(native) }
}

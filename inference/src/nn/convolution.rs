//! Two-dimensional convolution and group normalisation.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{
        Tensor,
        backend::Backend,
        module::conv2d,
        ops::{ConvOptions, PadMode, PaddedConvOptions},
    },
};

use super::norm::in_f32;

/// Up to so many pixels a convolution is computed as a matrix product over shifted copies of its input: nine times the
/// memory, but many times faster on the processor, forward and backward.
const SMALL: usize = 64 * 64;

/// A convolution with a square kernel.
#[derive(Module, Debug)]
pub struct Conv2d<B: Backend> {
    /// `[out, in, kernel, kernel]`.
    pub weight: Param<Tensor<B, 4>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<B, 1>>>,
    /// Step between outputs.
    pub stride: usize,
    /// Rows and columns of zeros on the left and on top.
    pub padding_start: usize,
    /// Rows and columns of zeros on the right and below.
    pub padding_end: usize,
}

impl<B: Backend> Conv2d<B> {
    /// A convolution that keeps the size, with weights drawn as PyTorch draws them.
    pub fn new(inputs: usize, outputs: usize, kernel: usize, device: &B::Device) -> Self {
        let fan_in = inputs * kernel * kernel;
        let draw = Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false };
        Self {
            weight: draw.init_with([outputs, inputs, kernel, kernel], Some(fan_in), None, device),
            bias: Some(draw.init_with([outputs], Some(fan_in), None, device)),
            stride: 1,
            padding_start: kernel / 2,
            padding_end: kernel / 2,
        }
    }

    /// A convolution without bias that takes one patch after the other, as vision transformers begin.
    pub fn of_patches(inputs: usize, outputs: usize, patch: usize, device: &B::Device) -> Self {
        let drawn = Self::new(inputs, outputs, patch, device);
        Self { bias: None, stride: patch, padding_start: 0, padding_end: 0, ..drawn }
    }

    /// A convolution that halves the size: zeros on the right and below only, as the published autoencoders have it.
    pub fn halving(channels: usize, device: &B::Device) -> Self {
        Self { stride: 2, padding_start: 0, padding_end: 1, ..Self::new(channels, channels, 3, device) }
    }

    /// A convolution that halves the size with zeros on every side, as UNets have it.
    pub fn halving_evenly(channels: usize, device: &B::Device) -> Self {
        Self { stride: 2, ..Self::new(channels, channels, 3, device) }
    }

    /// `[batch, in, height, width]` → `[batch, out, height / stride, width / stride]`.
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, _, kernel, _] = self.weight.dims();
        let [_, _, height, width] = input.dims();
        let keeps_size = self.stride == 1 && kernel == 2 * self.padding_start + 1 && kernel == 2 * self.padding_end + 1;
        if kernel > 1 && keeps_size && height * width <= SMALL {
            return self.as_product(input);
        }
        let options = if self.padding_start == self.padding_end {
            ConvOptions::new([self.stride; 2], [self.padding_start; 2], [1; 2], 1).into()
        } else {
            PaddedConvOptions::asymmetric([self.stride; 2], [self.padding_start; 2], [self.padding_end; 2], [1; 2], 1)
        };
        conv2d(input, self.weight.val(), self.bias.as_ref().map(Param::val), options)
    }

    /// The same for small pictures, as one matrix product over shifted copies. Rows are padded and laid end to end, so
    /// that a shift is a run of numbers; what the padding adds to each row of the result is cut off at the end.
    fn as_product(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let [outputs, inputs, kernel, _] = self.weight.dims();
        let [batch, _, height, width] = input.dims();
        let edge = self.padding_start;
        let row = width + 2 * edge;
        let length = height * row;
        // One row more below: the last shift runs over the end.
        let padded = input.pad((edge, edge, edge, edge + 1), PadMode::Constant(0.0));
        let padded = padded.reshape([batch, inputs, length + (2 * edge + 1) * row]);
        let shifted = |index: usize| padded.clone().narrow(2, index / kernel * row + index % kernel, length);
        let columns = Tensor::cat((0..kernel * kernel).map(shifted).collect(), 1);
        let weight = self.weight.val().permute([0, 2, 3, 1]).reshape([1, outputs, kernel * kernel * inputs]);
        let product = weight.matmul(columns).reshape([batch * outputs, length]);
        let product = match &self.bias {
            Some(bias) => product + one_per_row(bias, batch),
            None => product,
        };
        product.reshape([batch, outputs, height, row]).narrow(3, 0, width)
    }
}

/// A number a channel → a column with one row a channel of a picture: backends broadcast a number along a row fast, and
/// across other axes slowly.
fn one_per_row<B: Backend>(parameter: &Param<Tensor<B, 1>>, batch: usize) -> Tensor<B, 2> {
    let [channels] = parameter.dims();
    parameter.val().reshape([1, channels]).repeat_dim(0, batch).reshape([batch * channels, 1])
}

/// Group normalisation with a learned scale and shift (Wu and He, 2018).
#[derive(Module, Debug)]
pub struct GroupNorm<B: Backend> {
    /// `[channels]`.
    pub weight: Param<Tensor<B, 1>>,
    /// `[channels]`.
    pub bias: Param<Tensor<B, 1>>,
    /// Groups of channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

impl<B: Backend> GroupNorm<B> {
    /// A normalisation whose scale is one and whose shift is zero.
    pub fn new(groups: usize, channels: usize, epsilon: f64, device: &B::Device) -> Self {
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
            groups,
            epsilon,
        }
    }

    /// `[batch, channels, height, width]` → the same shape.
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let [batch, channels, height, width] = input.dims();
        let normed = in_f32(input, |input| {
            let grouped = input.reshape([batch, self.groups, channels / self.groups * height * width]);
            let centred = grouped.clone() - grouped.mean_dim(2);
            let variance = centred.clone().square().mean_dim(2);
            let normed = centred * variance.add_scalar(self.epsilon).sqrt().recip();
            normed.reshape([batch, channels, height, width])
        });
        let rows = normed.reshape([batch * channels, height * width]);
        let rows = rows * one_per_row(&self.weight, batch) + one_per_row(&self.bias, batch);
        rows.reshape([batch, channels, height, width])
    }
}

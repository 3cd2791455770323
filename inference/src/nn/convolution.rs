//! Two-dimensional convolution and group normalisation (Wu and He, "Group Normalization", 2018), as PyTorch's `Conv2d` and
//! `GroupNorm` compute them.

use burn::{
    module::{Initializer, Module, ModuleMapper, Param},
    tensor::{
        FloatDType, Tensor,
        activation::silu,
        backend::Backend,
        module::conv2d,
        ops::{ConvOptions, PaddedConvOptions},
    },
};

use super::{
    cuda,
    norm::{in_f32, in_precision_of},
    processor::{self, Convolution, GroupNormalisation},
};

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
    /// Adapters, applied together and never merged: taking one away costs nothing.
    pub adapters: Vec<LowRankConvolution<B>>,
}

/// One low-rank adapter of a convolution: one like it to fewer channels, then one of single pixels.
#[derive(Module, Debug)]
pub struct LowRankConvolution<B: Backend> {
    /// `[rank, in, kernel, kernel]`.
    pub down: Param<Tensor<B, 4>>,
    /// `[out, rank]`.
    pub up: Param<Tensor<B, 2>>,
    /// strength · alpha / rank.
    pub scale: f64,
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
            adapters: Vec::new(),
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

    /// Numbers that go into a pixel of the output, and channels out.
    pub fn features(&self) -> (usize, usize) {
        let [outputs, inputs, height, width] = self.weight.dims();
        (inputs * height * width, outputs)
    }

    /// `[batch, in, height, width]` → `[batch, out, height / stride, width / stride]`.
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let bias = self.bias.as_ref().map(Param::val);
        let output = self.convolve(input.clone(), self.weight.val(), bias);
        self.adapters.iter().fold(output, |output, adapter| {
            let (down, up) = (adapter.down.val(), adapter.up.val());
            let low = self.convolve(in_precision_of(input.clone(), &down), down, None).mul_scalar(adapter.scale);
            let [batch, rank, height, width] = low.dims();
            let high = up.unsqueeze::<3>().matmul(low.reshape([batch, rank, height * width]));
            let high = high.reshape([batch, output.dims()[1], height, width]);
            in_precision_of(high, &output) + output
        })
    }

    /// Adds the adapters to the weight, in f32, and takes them away.
    pub fn merge_adapters(&mut self) {
        for adapter in std::mem::take(&mut self.adapters) {
            self.weight = self.weight.clone().map(|weight| {
                let [rank, inputs, height, width] = adapter.down.dims();
                let down = adapter.down.val().cast(FloatDType::F32).reshape([rank, inputs * height * width]);
                let change = adapter
                    .up
                    .val()
                    .cast(FloatDType::F32)
                    .matmul(down)
                    .mul_scalar(adapter.scale)
                    .reshape(weight.dims());
                let sum = in_precision_of(weight.clone(), &change) + change;
                in_precision_of(sum, &weight)
            });
        }
    }

    /// A convolution with this one's steps and padding.
    fn convolve(&self, input: Tensor<B, 4>, weight: Tensor<B, 4>, bias: Option<Tensor<B, 1>>) -> Tensor<B, 4> {
        let Self { stride, padding_start, padding_end, .. } = *self;
        let operation = Convolution { stride, padding_start, padding_end };
        let pair = [input.clone().into(), weight.clone().into()];
        let computed = match (&bias, pair) {
            (Some(bias), [input, weight]) => processor::run(&operation, [input, weight, bias.clone().into()]),
            (None, pair) => processor::run(&operation, pair),
        };
        computed
            .or_else(|| self.on_card(&input, &weight, bias.as_ref()))
            .unwrap_or_else(|| self.composed(input.clone(), weight.clone(), bias.clone()))
    }

    /// The same where a card's own library computes it, which knows the same zeros on every side only.
    fn on_card(
        &self,
        input: &Tensor<B, 4>,
        weight: &Tensor<B, 4>,
        bias: Option<&Tensor<B, 1>>,
    ) -> Option<Tensor<B, 4>> {
        let Self { stride, padding_start, padding_end, .. } = *self;
        if padding_start == padding_end {
            return cuda::convolve(input, weight, bias, (stride, padding_start));
        }
        let (before, after) = (padding_start, padding_end);
        let padded = input.clone().pad((before, after, before, after), 0.0);
        cuda::convolve(&padded, weight, bias, (stride, 0))
    }

    /// The same by burn's convolution.
    pub(super) fn composed(
        &self,
        input: Tensor<B, 4>,
        weight: Tensor<B, 4>,
        bias: Option<Tensor<B, 1>>,
    ) -> Tensor<B, 4> {
        let options = if self.padding_start == self.padding_end {
            ConvOptions::new([self.stride; 2], [self.padding_start; 2], [1; 2], 1).into()
        } else {
            PaddedConvOptions::asymmetric([self.stride; 2], [self.padding_start; 2], [self.padding_end; 2], [1; 2], 1)
        };
        conv2d(input, weight, bias, options)
    }
}

/// A network whose convolutions' weights lie as the device's convolutions take them.
pub fn laid_out<B: Backend, M: Module<B>>(network: M) -> M {
    struct Weights;
    impl<B: Backend> ModuleMapper<B> for Weights {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
            if D != 4 {
                return param;
            }
            param.map(|weight| {
                let dims: [usize; 4] = std::array::from_fn(|axis| weight.dims()[axis]);
                match cuda::laid_out(&weight.clone().reshape(dims)) {
                    Some(laid_out) => Tensor::from_primitive(laid_out.into_primitive()),
                    None => weight,
                }
            })
        }
    }
    network.map(&mut Weights)
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
        self.computed(input.clone(), false).unwrap_or_else(|| self.composed(input))
    }

    /// The same, and x · sigmoid(x) of it.
    pub fn forward_silu(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        self.computed(input.clone(), true).unwrap_or_else(|| silu(self.composed(input)))
    }

    fn computed(&self, input: Tensor<B, 4>, is_activated: bool) -> Option<Tensor<B, 4>> {
        let operation = GroupNormalisation { groups: self.groups, epsilon: self.epsilon as f32, is_activated };
        let (weight, bias) = (self.weight.val(), self.bias.val());
        processor::run(&operation, [input.clone().into(), weight.clone().into(), bias.clone().into()])
            .or_else(|| cuda::group_norm(&input, (&weight, &bias), (self.groups, self.epsilon), is_activated))
    }

    /// The same from burn's operations.
    pub(super) fn composed(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let [batch, channels, height, width] = input.dims();
        let normed = in_f32(input, |input| {
            let grouped = input.reshape([batch, self.groups, channels / self.groups * height * width]);
            let centred = grouped.clone() - grouped.mean_dim(2);
            let variance = centred.clone().square().mean_dim(2);
            let normed = centred * variance.add_scalar(self.epsilon).sqrt().recip();
            normed.reshape([batch, channels, height, width])
        });
        let column = |parameter: &Param<Tensor<B, 1>>| parameter.val().reshape([1, channels, 1, 1]);
        normed * column(&self.weight) + column(&self.bias)
    }
}

//! A linear layer, with any number of low-rank adapters beside its weight.

use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use burn::{
    module::{Initializer, Module, Param},
    tensor::{FloatDType, Tensor, backend::Backend},
};

pub use super::cuda::fp8_as_stored;
use super::{
    cuda::{self, Fp8Weight},
    norm::{in_native_precision, in_precision_of},
    processor::{self, Input, Projection},
};
use crate::device::is_processor;

/// `y = x Wᵀ + b + Σ scale · (x Aᵀ) Bᵀ`.
#[derive(Module, Debug)]
pub struct Linear<B: Backend> {
    /// `[out, in]`, as PyTorch keeps it. Where it is kept in eight bits instead, all zeros that take no memory.
    pub weight: Param<Tensor<B, 2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<B, 1>>>,
    /// Adapters, applied together and never merged: taking one away costs nothing.
    pub adapters: Vec<LowRank<B>>,
    /// The weight, where it is [kept in eight bits](Self::keep_in_fp8).
    #[module(skip)]
    pub fp8: Option<Fp8Weight>,
    /// The weight and the adapters as one matrix, where they are [added up](Self::add_up).
    #[module(skip)]
    sum: Option<Sum>,
}

/// One low-rank adapter of a linear layer (Hu et al., "LoRA", 2021).
#[derive(Module, Debug)]
pub struct LowRank<B: Backend> {
    /// `[rank, in]`.
    pub a: Param<Tensor<B, 2>>,
    /// `[out, rank]`.
    pub b: Param<Tensor<B, 2>>,
    /// strength · alpha / rank.
    pub scale: f64,
}

impl<B: Backend> Linear<B> {
    /// A layer with weights drawn as PyTorch draws them.
    pub fn new(inputs: usize, outputs: usize, bias: bool, device: &B::Device) -> Self {
        let draw = Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false };
        let weight = draw.init_with([outputs, inputs], Some(inputs), Some(outputs), device);
        let bias = bias.then(|| draw.init_with([outputs], Some(inputs), Some(outputs), device));
        Self { weight, bias, adapters: Vec::new(), fp8: None, sum: None }
    }

    /// A layer of zeros: a residual branch that begins as nothing.
    pub fn zeros(inputs: usize, outputs: usize, bias: bool, device: &B::Device) -> Self {
        let draw = Initializer::Zeros;
        let weight = draw.init_with([outputs, inputs], None, None, device);
        let bias = bias.then(|| draw.init_with([outputs], None, None, device));
        Self { weight, bias, adapters: Vec::new(), fp8: None, sum: None }
    }

    /// A layer of this weight alone.
    pub fn of_weight(weight: Tensor<B, 2>) -> Self {
        Self { weight: Param::from_tensor(weight), bias: None, adapters: Vec::new(), fp8: None, sum: None }
    }

    /// Features in and out.
    pub fn features(&self) -> (usize, usize) {
        let [outputs, inputs] = self.weight.lazy_shape().dims();
        (inputs, outputs)
    }

    /// The weight in whole numbers, however it is kept.
    pub(super) fn whole_weight(&self) -> Tensor<B, 2> {
        let fp8 = self.fp8.as_ref();
        fp8.map_or_else(|| self.weight.val(), |fp8| cuda::widened(fp8).expect("invariant: its card is the backend's"))
    }

    /// Lays an adapter beside the others.
    pub fn adapt(&mut self, adapter: LowRank<B>) {
        self.adapters.push(adapter);
        self.sum = None;
    }

    /// Takes all adapters away.
    pub fn detach(&mut self) {
        self.adapters.clear();
        self.sum = None;
    }

    /// By how much longer the adapters let the layer compute: their operations over its own.
    pub fn overhead(&self) -> f64 {
        let (inputs, outputs) = self.features();
        let rank: usize = self.adapters.iter().map(|adapter| adapter.a.dims()[0]).sum();
        (rank * (inputs + outputs)) as f64 / (inputs * outputs) as f64
    }

    /// Has the layer compute with the sum of its weight and its adapters, which lies beside the weight from its first input on.
    pub fn add_up(&mut self) {
        self.sum = Some(Sum::default());
    }

    /// The weight, and what the adapters add for an input that comes in pieces: nothing where they are added up.
    fn weight_and_pair(&self, pieces: &[Tensor<B, 2>]) -> (Tensor<B, 2>, Option<Pair<B>>) {
        match &self.sum {
            Some(sum) => (sum.get_or_make(|| self.summed()), None),
            None => (self.whole_weight(), self.pair(pieces)),
        }
    }

    /// The weight plus `Σ scale · B A`, in f32.
    fn summed(&self) -> Tensor<B, 2> {
        let whole = self.whole_weight().cast(FloatDType::F32);
        self.adapters.iter().fold(whole, |sum, adapter| {
            let [a, b] = [&adapter.a, &adapter.b].map(|matrix| matrix.val().cast(FloatDType::F32));
            sum + b.matmul(a).mul_scalar(adapter.scale)
        })
    }

    /// Adds `Σ scale · B A` to the weight, in f32, and takes the adapters away. The weight is in the backend's own precision
    /// then, whatever it was stored in: eight bits would not tell most changes.
    pub fn merge_adapters(&mut self) {
        if self.adapters.is_empty() {
            return;
        }
        let sum = in_native_precision(self.summed());
        self.weight = self.weight.clone().map(|_| sum);
        self.fp8 = None;
        self.detach();
    }

    /// `[…, in]` → `[…, out]`.
    pub fn forward<const D: usize>(&self, input: Tensor<B, D>) -> Tensor<B, D> {
        let (_, outputs) = self.features();
        let [output] = self.forward_in_parts(input, [outputs]);
        output
    }

    /// What several layers make of one input `[…, in]`: as many `[…, out]`.
    pub fn forward_beside<const D: usize, const N: usize>(
        layers: [&Self; N],
        input: Tensor<B, D>,
    ) -> [Tensor<B, D>; N] {
        let mut dims = input.dims();
        let inputs = dims[D - 1];
        let flat = input.clone().reshape([dims.iter().product::<usize>() / inputs, inputs]);
        match cuda::project_beside(&layers, &flat).and_then(|outputs| outputs.try_into().ok()) {
            Some(outputs) => <[Tensor<B, 2>; N]>::map(outputs, |output| {
                dims[D - 1] = output.dims()[1];
                output.reshape(dims)
            }),
            None => layers.map(|layer| layer.forward(input.clone())),
        }
    }

    /// Has the weights of layers lie beside each other, so that [`Self::forward_beside`] is one product of them where it gains by
    /// it: on a card, of layers without biases, until a weight is replaced.
    fn lay_beside(layers: Vec<&mut Self>, device: &B::Device) {
        if is_processor::<B>(device) || layers.len() == 1 {
            return;
        }
        let joined = Tensor::cat(layers.iter().map(|layer| layer.weight.val()).collect(), 0);
        let mut start = 0;
        for layer in layers {
            let (inputs, outputs) = layer.features();
            let part = joined.clone().slice([start..start + outputs, 0..inputs]);
            layer.weight = layer.weight.clone().map(|_| part);
            start += outputs;
        }
    }

    /// Keeps the weights of layers of one input in eight bits, where the device has such, which is on a card. They take half the memory
    /// of bf16 then, and a rounding of 6 % at most of each number.
    pub fn keep_in_fp8(layers: Vec<&mut Self>) {
        let own: Vec<Tensor<B, 2>> = layers.iter().map(|layer| layer.whole_weight()).collect();
        Self::replace_by_fp8(layers, cuda::narrowed(&own).unwrap_or_default());
    }

    /// Puts weights of eight bits, one a layer, in the place of those that layers have. Without any, these stay.
    pub fn replace_by_fp8(layers: Vec<&mut Self>, weights: Vec<Fp8Weight>) {
        for (layer, fp8) in layers.into_iter().zip(weights) {
            let (inputs, outputs) = layer.features();
            let nothing = Tensor::<B, 2>::zeros([1, 1], &layer.weight.lazy_device()).expand([outputs, inputs]);
            layer.weight = Param::initialized(layer.weight.id, nothing);
            layer.fp8 = Some(fp8);
        }
    }

    /// A stream `[…, out]` plus what the layer makes of `[…, in]`.
    pub fn forward_onto<const D: usize>(&self, stream: Tensor<B, D>, input: Tensor<B, D>) -> Tensor<B, D> {
        let dims = stream.dims();
        let (inputs, outputs) = self.features();
        let rows = dims.iter().product::<usize>() / outputs;
        let [flat, onto] =
            [(&input, inputs), (&stream, outputs)].map(|(tensor, width)| tensor.clone().reshape([rows, width]));
        match cuda::project_onto(self, &flat, &onto) {
            Some(sum) => sum.reshape(dims),
            None => stream + self.forward(input),
        }
    }

    /// `[…, in]` → as many `[…, width]` as there are widths, which make up `out` together. The same as cutting the output
    /// of [`Self::forward`] to pieces, but that on the processor every piece lies whole in memory.
    pub fn forward_in_parts<const D: usize, const N: usize>(
        &self,
        input: Tensor<B, D>,
        widths: [usize; N],
    ) -> [Tensor<B, D>; N] {
        let mut dims = input.dims();
        let (inputs, outputs) = self.features();
        let rows = dims.iter().product::<usize>() / inputs;
        let flat = input.reshape([rows, inputs]);
        if let Some(parts) = self.on_card(std::slice::from_ref(&flat), widths) {
            return std::array::from_fn(|index| {
                dims[D - 1] = widths[index];
                parts[index].clone().reshape(dims)
            });
        }
        let (weight, pair) = self.weight_and_pair(std::slice::from_ref(&flat));
        let mut start = 0;
        widths.map(|width| {
            let part = |matrix: Tensor<B, 2>| if width == outputs { matrix } else { matrix.narrow(0, start, width) };
            let output = project(Projected {
                pieces: vec![flat.clone()],
                weight: part(weight.clone()),
                bias: self.bias.as_ref().map(|bias| bias.val().narrow(0, start, width)),
                pair: pair.clone().map(|pair| Pair { b: part(pair.b), ..pair }),
            });
            start += width;
            dims[D - 1] = width;
            output.reshape(dims)
        })
    }

    /// Pieces `[…, width]` whose widths make up `in` together → `[…, out]`. The same as [`Self::forward`] of the pieces side
    /// by side, but that nobody has to lay them there.
    pub fn forward_joined<const D: usize>(&self, pieces: Vec<Tensor<B, D>>) -> Tensor<B, D> {
        let (inputs, outputs) = self.features();
        let mut dims = pieces.first().map(Tensor::dims).unwrap_or([0; D]);
        let rows = dims[..D - 1].iter().product::<usize>();
        debug_assert_eq!(
            pieces.iter().map(|piece| piece.dims()[D - 1]).sum::<usize>(),
            inputs,
            "the pieces are the input"
        );
        let flat = |piece: Tensor<B, D>| {
            let width = piece.dims()[D - 1];
            piece.reshape([rows, width])
        };
        let pieces: Vec<Tensor<B, 2>> = pieces.into_iter().map(flat).collect();
        dims[D - 1] = outputs;
        if let Some([output]) = self.on_card(&pieces, [outputs]) {
            return output.reshape(dims);
        }
        let (weight, pair) = self.weight_and_pair(&pieces);
        let bias = self.bias.as_ref().map(Param::val);
        let output = project(Projected { pieces, weight, bias, pair });
        output.reshape(dims)
    }

    /// The outputs, cut into parts, where a card's own library computes them.
    fn on_card<const N: usize>(&self, pieces: &[Tensor<B, 2>], widths: [usize; N]) -> Option<[Tensor<B, 2>; N]> {
        cuda::project(self, pieces, &widths)?.try_into().ok()
    }

    /// What all adapters together add for an input that comes in pieces, as one pair of their ranks' sum.
    fn pair(&self, pieces: &[Tensor<B, 2>]) -> Option<Pair<B>> {
        let (a, b, scale) = match self.adapters.as_slice() {
            [] => return None,
            [LowRank { a, b, scale }] => (a.val(), b.val(), *scale),
            several => (
                Tensor::cat(several.iter().map(|one| one.a.val().mul_scalar(one.scale)).collect(), 0),
                Tensor::cat(several.iter().map(|one| one.b.val()).collect(), 1),
                1.0,
            ),
        };
        let low = project(Projected { pieces: pieces.to_vec(), weight: a, bias: None, pair: None });
        Some(Pair { low, b, scale })
    }
}

/// A matrix that is made when it is first wanted. Clones share it.
#[derive(Clone, Debug, Default)]
struct Sum(Arc<OnceLock<Box<dyn Any + Send + Sync>>>);

impl Sum {
    /// The matrix. Threads that want it at the same time may each make it, since the processor's threads help each other while they
    /// compute, and one that waited here might be the one to help.
    fn get_or_make<B: Backend>(&self, make: impl FnOnce() -> Tensor<B, 2>) -> Tensor<B, 2> {
        if let Some(made) = self.0.get().and_then(|made| made.downcast_ref::<Tensor<B, 2>>()) {
            return made.clone();
        }
        let made = make();
        // Who was first has the same.
        let _ = self.0.set(Box::new(made.clone()));
        made
    }
}

/// A network whose blocks are made of linear layers, the largest part of what it is.
pub trait Blocks<B: Backend> {
    /// The linear layers of its blocks, those that look at the same input together.
    fn layers_by_input(&mut self) -> Vec<Vec<&mut Linear<B>>>;

    /// Has the weights of layers that look at the same lie beside each other.
    fn lay_beside(&mut self, device: &B::Device) {
        self.layers_by_input().into_iter().for_each(|layers| Linear::lay_beside(layers, device));
    }
}

/// What a low-rank pair adds to an output: `scale · low · Bᵀ`.
#[derive(Clone)]
pub(super) struct Pair<B: Backend> {
    /// `[rows, rank]`, in the pair's precision, which may be another than the layer's.
    pub low: Tensor<B, 2>,
    /// `[out, rank]`.
    pub b: Tensor<B, 2>,
    /// What their product is multiplied by.
    pub scale: f64,
}

/// What an output of a linear layer is computed from.
pub(super) struct Projected<B: Backend> {
    /// `[rows, width]`, whose widths make up the weight's `in`.
    pub pieces: Vec<Tensor<B, 2>>,
    /// `[out, in]`.
    pub weight: Tensor<B, 2>,
    /// `[out]`.
    pub bias: Option<Tensor<B, 1>>,
    /// What adapters add.
    pub pair: Option<Pair<B>>,
}

/// `[rows, out]`, at once on the processor.
fn project<B: Backend>(from: Projected<B>) -> Tensor<B, 2> {
    let operation = Projection {
        pieces: from.pieces.len(),
        has_bias: from.bias.is_some(),
        pair: from.pair.as_ref().map(|pair| pair.scale as f32),
    };
    let mut inputs: Vec<Input<B>> = from.pieces.iter().map(|piece| piece.clone().into()).collect();
    inputs.push(from.weight.clone().into());
    inputs.extend(from.bias.iter().map(|bias| bias.clone().into()));
    inputs.extend(from.pair.iter().flat_map(|pair| [pair.low.clone().into(), pair.b.clone().into()]));
    processor::run_of_many(&operation, inputs)
        .or_else(|| cuda::project_with_gradient(&from))
        .unwrap_or_else(|| composed(from))
}

/// The same of burn's operations.
fn composed<B: Backend>(from: Projected<B>) -> Tensor<B, 2> {
    let mut start = 0;
    let products = from.pieces.into_iter().map(|piece| {
        let width = piece.dims()[1];
        let piece = in_precision_of(piece, &from.weight);
        start += width;
        piece.matmul(from.weight.clone().narrow(1, start - width, width).transpose())
    });
    let mut output = products.reduce(|sum, product| sum + product).expect("invariant: there is a piece");
    if let Some(bias) = from.bias {
        output = output + bias.unsqueeze();
    }
    if let Some(Pair { low, b, scale }) = from.pair {
        let high = low.mul_scalar(scale).matmul(b.transpose());
        output = output.clone() + in_precision_of(high, &output);
    }
    output
}

#[cfg(test)]
mod tests {
    use burn::{
        backend::{Flex, flex::FlexDevice},
        module::Param,
        tensor::{Distribution, Tensor},
    };

    use super::{Linear, LowRank};

    fn drawn(rows: usize, columns: usize) -> Tensor<Flex, 2> {
        Tensor::random([rows, columns], Distribution::Normal(0.0, 0.3), &FlexDevice)
    }

    fn adapter(rank: usize, scale: f64) -> LowRank<Flex> {
        LowRank { a: Param::from_tensor(drawn(rank, 12)), b: Param::from_tensor(drawn(20, rank)), scale }
    }

    /// What a layer makes of an input, in all ways that there are.
    fn outputs(layer: &Linear<Flex>, input: &Tensor<Flex, 2>) -> Vec<Tensor<Flex, 2>> {
        let [left, right] = layer.forward_in_parts(input.clone(), [8, 12]);
        let pieces = vec![input.clone().narrow(1, 0, 5), input.clone().narrow(1, 5, 7)];
        vec![layer.forward(input.clone()), left, right, layer.forward_joined(pieces)]
    }

    fn apart(one: &Linear<Flex>, other: &Linear<Flex>, input: &Tensor<Flex, 2>) -> f32 {
        let pairs = outputs(one, input).into_iter().zip(outputs(other, input));
        pairs.map(|(one, other)| (one - other).abs().max().into_scalar()).fold(0.0, f32::max)
    }

    #[test]
    fn adapters_that_are_added_up_add_the_same_until_they_change() {
        let (input, plain) = (drawn(7, 12), Linear::of_weight(drawn(20, 12)));
        let mut beside = plain.clone();
        beside.adapt(adapter(2, 0.7));
        beside.adapt(adapter(3, -1.5));
        let mut added = beside.clone();
        added.add_up();
        let shared = added.clone();
        assert!(apart(&plain, &added, &input) > 0.1);
        assert!(apart(&beside, &added, &input) < 1e-5);
        let sum = |layer: &Linear<Flex>| layer.sum.as_ref().is_some_and(|sum| sum.0.get().is_some());
        assert!(sum(&added) && sum(&shared), "clones share the sum");
        let one_more = adapter(2, 1.0);
        beside.adapt(one_more.clone());
        added.adapt(one_more);
        assert!(apart(&beside, &added, &input) == 0.0);
        added.add_up();
        assert!(apart(&beside, &added, &input) < 1e-5);
        added.detach();
        assert!(apart(&plain, &added, &input) == 0.0, "the weight stays as it was");
    }

    #[test]
    fn adapters_are_a_large_part_of_narrow_layers_only() {
        let overhead = |width: usize| {
            let mut layer = Linear::<Flex>::new(width, width, false, &FlexDevice);
            let [a, b] = [[16, width], [width, 16]].map(|shape| Param::from_tensor(Tensor::zeros(shape, &FlexDevice)));
            layer.adapt(LowRank { a, b, scale: 1.0 });
            layer.overhead()
        };
        // Two products by 16 instead of one by the width.
        assert!((overhead(192) - 32.0 / 192.0).abs() < 1e-9 && (overhead(3072) - 32.0 / 3072.0).abs() < 1e-9);
    }
}

//! Normalisations, rotations and gates with gradients.

use burn::tensor::{DType, Tensor, TensorMetadata, backend::Backend};

use super::{
    super::{
        rows::{Rows, is_known},
        rows_gradient::{RowsGradient, sums_of_rows},
    },
    BackwardPass, Card, OnCard, Operation, plain, run,
};

/// Layer normalisation of a stream, times a scale and plus a shift.
#[derive(Clone, Debug)]
struct LayerNorm {
    epsilon: f32,
}

impl Operation<3> for LayerNorm {
    fn forward(&self, inputs: [OnCard; 3]) -> (OnCard, Vec<OnCard>) {
        (Rows::LayerNorm { epsilon: self.epsilon }.of(inputs.into()), Vec::new())
    }

    fn backward<C: Card>(&self, pass: BackwardPass<3>) -> [Option<OnCard>; 3] {
        let BackwardPass { inputs: [input, scale, shift], gradient, wanted, .. } = pass;
        let kernel = RowsGradient::LayerNorm { epsilon: self.epsilon };
        let mut computed = kernel.of(vec![input, scale.clone(), gradient.clone()], 1 + usize::from(wanted[1]));
        let of_scale =
            if wanted[1] { computed.pop().map(|products| sums_of_rows::<C>(products, &scale)) } else { None };
        let of_shift = wanted[2].then(|| sums_of_rows::<C>(gradient, &shift));
        [computed.pop(), of_scale, of_shift]
    }
}

/// Root-mean-square normalisation of rows, times a weight.
#[derive(Clone, Debug)]
struct RmsNorm {
    epsilon: f32,
}

impl Operation<2> for RmsNorm {
    fn forward(&self, inputs: [OnCard; 2]) -> (OnCard, Vec<OnCard>) {
        (Rows::RmsNorm { epsilon: self.epsilon }.of(inputs.into()), Vec::new())
    }

    fn backward<C: Card>(&self, pass: BackwardPass<2>) -> [Option<OnCard>; 2] {
        let BackwardPass { inputs: [input, weight], gradient, wanted, .. } = pass;
        let kernel = RowsGradient::RmsNorm { epsilon: self.epsilon };
        let mut computed = kernel.of(vec![input, weight.clone(), gradient], 1 + usize::from(wanted[1]));
        let of_weight =
            if wanted[1] { computed.pop().map(|products| sums_of_rows::<C>(products, &weight)) } else { None };
        [computed.pop(), of_weight]
    }
}

/// A gate times a value.
#[derive(Clone, Debug)]
struct Gated {
    is_gelu: bool,
}

impl Operation<2> for Gated {
    fn forward(&self, inputs: [OnCard; 2]) -> (OnCard, Vec<OnCard>) {
        (Rows::Gated { is_gelu: self.is_gelu }.of(inputs.into()), Vec::new())
    }

    fn backward<C: Card>(&self, pass: BackwardPass<2>) -> [Option<OnCard>; 2] {
        let [gate, value] = pass.inputs;
        let computed = RowsGradient::Gated { is_gelu: self.is_gelu }.of(vec![gate, value, pass.gradient], 2);
        let mut computed = computed.into_iter();
        [computed.next(), computed.next()]
    }
}

/// A stream plus a branch times a gate.
#[derive(Clone, Debug)]
struct GatedSum;

impl Operation<3> for GatedSum {
    fn forward(&self, inputs: [OnCard; 3]) -> (OnCard, Vec<OnCard>) {
        (Rows::GatedSum.of(inputs.into()), Vec::new())
    }

    fn backward<C: Card>(&self, pass: BackwardPass<3>) -> [Option<OnCard>; 3] {
        let BackwardPass { inputs: [_, branch, gate], gradient, wanted, .. } = pass;
        let of_branch = || RowsGradient::Scaled.of(vec![gradient.clone(), gate.clone()], 1).remove(0);
        let of_gate = || {
            let products = RowsGradient::Product.of(vec![gradient.clone(), branch.clone()], 1).remove(0);
            sums_of_rows::<C>(products, &gate)
        };
        let (of_branch, of_gate) = (wanted[1].then(of_branch), wanted[2].then(of_gate));
        [Some(gradient), of_branch, of_gate]
    }
}

/// A rotation of pairs of numbers, which its gradient turns back.
#[derive(Clone, Debug)]
struct Turn {
    cosines: OnCard,
    sines: OnCard,
    halves: bool,
}

impl Turn {
    fn of(&self, input: OnCard, sines: OnCard) -> OnCard {
        let width = self.cosines.shape()[3];
        Rows::Turn { width, halves: self.halves }.of(vec![input, self.cosines.clone(), sines])
    }
}

impl Operation<1> for Turn {
    fn forward(&self, [input]: [OnCard; 1]) -> (OnCard, Vec<OnCard>) {
        (self.of(input, self.sines.clone()), Vec::new())
    }

    fn backward<C: Card>(&self, pass: BackwardPass<1>) -> [Option<OnCard>; 1] {
        [Some(self.of(pass.gradient, C::float_neg(self.sines.clone())))]
    }
}

/// The parameters of an operation of bf16 numbers, if the kernels know rows that are made of these widths.
macro_rules! known {
    ($card:expr, $widths:expr, $($input:expr),+) => {{
        let is_half = [$($input.dtype()),+].iter().all(|precision| *precision == DType::BF16);
        if !is_half || !is_known($card.device.index, $widths) {
            return None;
        }
        [$($input.clone().into_primitive().tensor()),+]
    }};
}

/// See [`rows::layer_norm`](super::super::rows::layer_norm).
pub(in super::super) fn layer_norm<B: Backend>(
    input: &Tensor<B, 3>,
    scale: &Tensor<B, 3>,
    shift: &Tensor<B, 3>,
    epsilon: f64,
) -> Option<Tensor<B, 3>> {
    let inputs = known!(plain(input)?, &[input.dims()[2]], input, scale, shift);
    run::<B, _, 3, 3>(LayerNorm { epsilon: epsilon as f32 }, inputs)
}

/// See [`rows::rms_norm`](super::super::rows::rms_norm).
pub(in super::super) fn rms_norm<B: Backend>(
    input: &Tensor<B, 2>,
    weight: &Tensor<B, 1>,
    epsilon: f64,
) -> Option<Tensor<B, 2>> {
    let inputs = known!(plain(input)?, &[input.dims()[1]], input, weight);
    run::<B, _, 2, 2>(RmsNorm { epsilon: epsilon as f32 }, inputs)
}

/// See [`rows::turn`](super::super::rows::turn).
pub(in super::super) fn turn<B: Backend>(
    input: &Tensor<B, 3>,
    cosines: &Tensor<B, 4>,
    sines: &Tensor<B, 4>,
    halves: bool,
) -> Option<Tensor<B, 3>> {
    let inputs = known!(plain(input)?, &[cosines.dims()[3] / 2], input);
    run::<B, _, 3, 1>(Turn { cosines: plain(cosines)?, sines: plain(sines)?, halves }, inputs)
}

/// See [`rows::gated`](super::super::rows::gated).
pub(in super::super) fn gated<B: Backend>(
    gate: &Tensor<B, 3>,
    value: &Tensor<B, 3>,
    is_gelu: bool,
) -> Option<Tensor<B, 3>> {
    let inputs = known!(plain(gate)?, &[gate.dims()[2]], gate, value);
    run::<B, _, 3, 2>(Gated { is_gelu }, inputs)
}

/// See [`rows::gated_sum`](super::super::rows::gated_sum).
pub(in super::super) fn gated_sum<B: Backend>(
    stream: &Tensor<B, 3>,
    branch: &Tensor<B, 3>,
    gate: &Tensor<B, 3>,
) -> Option<Tensor<B, 3>> {
    let inputs = known!(plain(stream)?, &[stream.dims()[2]], stream, branch, gate);
    run::<B, _, 3, 3>(GatedSum, inputs)
}

//! Stands where the card's operations stand in a program that is built with `cuda`: here nothing is computed on a card.

use burn::tensor::{Tensor, backend::Backend};

use super::linear::{Linear, Projected};

/// There is no weight of eight bits.
#[derive(Clone, Debug)]
pub enum Fp8Weight {}

pub fn narrowed<B: Backend>(_: &[Tensor<B, 2>]) -> Option<Vec<Fp8Weight>> {
    None
}

/// Weights from numbers of eight bits, which there are none of here.
pub fn fp8_as_stored<B: Backend>(_: &[(&[u8], Vec<f32>)], _: &B::Device) -> Option<Vec<Fp8Weight>> {
    None
}

pub fn widened<B: Backend>(weight: &Fp8Weight) -> Option<Tensor<B, 2>> {
    match *weight {}
}

pub fn project<B: Backend>(_: &Linear<B>, _: &[Tensor<B, 2>], _: &[usize]) -> Option<Vec<Tensor<B, 2>>> {
    None
}

pub fn project_beside<B: Backend>(_: &[&Linear<B>], _: &Tensor<B, 2>) -> Option<Vec<Tensor<B, 2>>> {
    None
}

pub fn project_onto<B: Backend>(_: &Linear<B>, _: &Tensor<B, 2>, _: &Tensor<B, 2>) -> Option<Tensor<B, 2>> {
    None
}

pub fn attention<B: Backend>(
    _: &Tensor<B, 3>,
    _: &Tensor<B, 3>,
    _: &Tensor<B, 3>,
    _: usize,
    _: Option<&Tensor<B, 4>>,
) -> Option<Tensor<B, 3>> {
    None
}

pub fn computes_scores_again<B: Backend>(_: &B::Device, _: usize) -> bool {
    false
}

pub fn project_with_gradient<B: Backend>(_: &Projected<B>) -> Option<Tensor<B, 2>> {
    None
}

pub fn convolve<B: Backend>(
    _: &Tensor<B, 4>,
    _: &Tensor<B, 4>,
    _: Option<&Tensor<B, 1>>,
    _: (usize, usize),
) -> Option<Tensor<B, 4>> {
    None
}

pub fn sum<B: Backend>(_: &Tensor<B, 4>, _: &Tensor<B, 4>) -> Option<Tensor<B, 4>> {
    None
}

pub fn shifted<B: Backend>(_: &Tensor<B, 4>, _: &Tensor<B, 2>) -> Option<Tensor<B, 4>> {
    None
}

pub fn beside<B: Backend>(_: &Tensor<B, 4>, _: &Tensor<B, 4>) -> Option<Tensor<B, 4>> {
    None
}

pub fn resized<B: Backend>(_: &Tensor<B, 4>, _: [usize; 2]) -> Option<Tensor<B, 4>> {
    None
}

pub fn laid_out<B: Backend>(_: &Tensor<B, 4>) -> Option<Tensor<B, 4>> {
    None
}

pub fn are_last<B: Backend>(_: &Tensor<B, 4>) -> bool {
    false
}

pub fn layer_norm<B: Backend>(_: &Tensor<B, 3>, _: &Tensor<B, 3>, _: &Tensor<B, 3>, _: f64) -> Option<Tensor<B, 3>> {
    None
}

pub fn rms_norm_by_head<B: Backend>(_: &Tensor<B, 3>, _: &Tensor<B, 1>, _: f64) -> Option<Tensor<B, 3>> {
    None
}

pub fn rms_norm<B: Backend>(_: &Tensor<B, 2>, _: &Tensor<B, 1>, _: f64) -> Option<Tensor<B, 2>> {
    None
}

pub fn turn<B: Backend>(_: &Tensor<B, 3>, _: &Tensor<B, 4>, _: &Tensor<B, 4>, _: bool) -> Option<Tensor<B, 3>> {
    None
}

pub fn activated<B: Backend>(_: &Tensor<B, 3>, _: bool) -> Option<Tensor<B, 3>> {
    None
}

pub fn gated<B: Backend>(_: &Tensor<B, 3>, _: &Tensor<B, 3>, _: bool) -> Option<Tensor<B, 3>> {
    None
}

pub fn gated_sum<B: Backend>(_: &Tensor<B, 3>, _: &Tensor<B, 3>, _: &Tensor<B, 3>) -> Option<Tensor<B, 3>> {
    None
}

pub fn group_norm<B: Backend>(
    _: &Tensor<B, 4>,
    _: (&Tensor<B, 1>, &Tensor<B, 1>),
    _: (usize, f64),
    _: bool,
) -> Option<Tensor<B, 4>> {
    None
}

pub fn joined<B: Backend>(_: &Tensor<B, 3>, _: &Tensor<B, 3>) -> Option<Tensor<B, 3>> {
    None
}

pub fn some_tokens<B: Backend>(_: &Tensor<B, 3>, _: usize, _: usize) -> Option<Tensor<B, 3>> {
    None
}

pub fn repeated_heads<B: Backend>(_: &Tensor<B, 3>, _: usize, _: usize) -> Option<Tensor<B, 3>> {
    None
}

pub fn without_gaps<B: Backend, const D: usize>(_: &Tensor<B, D>) -> Option<Tensor<B, D>> {
    None
}

/// A tensor that a network is given.
pub struct Given;

impl<B: Backend, const D: usize> From<&Tensor<B, D>> for Given {
    fn from(_: &Tensor<B, D>) -> Self {
        Self
    }
}

/// Nothing is written down.
#[derive(Clone, Debug, Default)]
pub struct Recordings;

impl Recordings {
    pub fn run<B: Backend, const D: usize>(
        &self,
        _: usize,
        _: Vec<Given>,
        network: impl FnOnce() -> Vec<Tensor<B, D>>,
    ) -> Vec<Tensor<B, D>> {
        network()
    }
}

pub fn failure<B: Backend>(_: &B::Device) -> Option<String> {
    None
}

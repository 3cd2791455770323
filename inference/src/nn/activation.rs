//! Activations, and gated ones (Shazeer, "GLU Variants Improve Transformer", 2020).

use burn::tensor::{
    Tensor,
    activation::{self, sigmoid, silu},
    backend::Backend,
};

use super::{
    cuda,
    processor::{self, Gated, GatedSum},
};

/// `gelu(x)` (Hendrycks and Gimpel, 2016), or the quick form of it that OpenAI's CLIP was trained with, `x · sigmoid(1.702 x)`.
pub fn gelu<B: Backend>(x: Tensor<B, 3>, is_quick: bool) -> Tensor<B, 3> {
    cuda::activated(&x, is_quick).unwrap_or_else(|| match is_quick {
        true => x.clone() * sigmoid(x.mul_scalar(1.702)),
        false => activation::gelu(x),
    })
}

/// `silu(gate) · value`.
pub fn silu_gated<B: Backend>(gate: Tensor<B, 3>, value: Tensor<B, 3>) -> Tensor<B, 3> {
    processor::run(&Gated::Silu, [gate.clone().into(), value.clone().into()])
        .or_else(|| cuda::gated(&gate, &value, false))
        .unwrap_or_else(|| silu(gate) * value)
}

/// `gelu(gate) · value`.
pub fn gelu_gated<B: Backend>(gate: Tensor<B, 3>, value: Tensor<B, 3>) -> Tensor<B, 3> {
    processor::run(&Gated::Gelu, [gate.clone().into(), value.clone().into()])
        .or_else(|| cuda::gated(&gate, &value, true))
        .unwrap_or_else(|| activation::gelu(gate) * value)
}

/// `stream + gate · branch`, the end of a residual branch (Peebles and Xie, "DiT", 2022); the gate is `[batch or 1, 1, width]`.
pub fn gated_sum<B: Backend>(stream: Tensor<B, 3>, branch: Tensor<B, 3>, gate: Tensor<B, 3>) -> Tensor<B, 3> {
    processor::run(&GatedSum, [stream.clone().into(), branch.clone().into(), gate.clone().into()])
        .or_else(|| cuda::gated_sum(&stream, &branch, &gate))
        .unwrap_or_else(|| branch * gate + stream)
}

//! Gated activations (Shazeer, "GLU Variants Improve Transformer", 2020).

use burn::tensor::{
    Tensor,
    activation::{gelu, silu},
    backend::Backend,
};

use super::processor::{self, Gated};

/// `silu(gate) · value`.
pub fn silu_gated<B: Backend>(gate: Tensor<B, 3>, value: Tensor<B, 3>) -> Tensor<B, 3> {
    processor::run(&Gated::Silu, [gate.clone().into(), value.clone().into()]).unwrap_or_else(|| silu(gate) * value)
}

/// `gelu(gate) · value`.
pub fn gelu_gated<B: Backend>(gate: Tensor<B, 3>, value: Tensor<B, 3>) -> Tensor<B, 3> {
    processor::run(&Gated::Gelu, [gate.clone().into(), value.clone().into()]).unwrap_or_else(|| gelu(gate) * value)
}

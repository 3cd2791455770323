//! The costly operations on an NVIDIA card, where NVIDIA's own libraries or a kernel written for one purpose beat what burn
//! composes: linear layers by cuBLASLt, convolutions by cuDNN, attention without scores in memory, normalisations in one pass.
//!
//! What stands here answers `None` where it cannot compute: on other backends, in other precisions, with gradients, and where the
//! library is not installed. Its caller composes then.
#![allow(unsafe_code, reason = "NVIDIA's libraries are called by their documented C interfaces")]

mod attention;
mod convolution;
mod lane;
mod operation;
mod products;
mod rows;

use burn::{
    backend::cuda::CudaDevice,
    tensor::{DType, Tensor, TensorPrimitive, backend::Backend},
};
use burn_cubecl::{CubeBackend, fusion::FusionCubeRuntime};
use burn_fusion::FusionTensor;
use cubecl::cuda::CudaRuntime;

use super::processor::as_kind;

pub use self::{
    attention::attention,
    convolution::convolve,
    products::project,
    rows::{gated, gated_sum, group_norm, layer_norm, rms_norm, turn},
};

/// What burn calls the card's numbers before it has computed them.
type Planned = FusionTensor<FusionCubeRuntime<CudaRuntime>>;

/// The same after.
type Computed = burn_cubecl::tensor::CubeTensor<CudaRuntime>;

/// burn's card, without its fusing of operations.
type Card = CubeBackend<CudaRuntime, half::bf16, i32, u8>;

/// The tensor as the card's, if it is one of bf16.
fn planned<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> Option<Planned> {
    planned_in(tensor, DType::BF16)
}

/// The tensor as the card's, if it is of this precision.
fn planned_in<B: Backend, const D: usize>(tensor: &Tensor<B, D>, precision: DType) -> Option<Planned> {
    if tensor.dtype() != precision {
        return None;
    }
    as_kind::<_, Planned>(tensor.clone().into_primitive().tensor()).ok()
}

/// Tensors as the card's, if they are of the same precision, which is bf16 or f32.
fn planned_alike<'a, B: Backend, const D: usize>(
    tensors: impl IntoIterator<Item = &'a Tensor<B, D>>,
) -> Option<Vec<Planned>> {
    let mut precision = None;
    let plan = |tensor: &Tensor<B, D>| {
        let wanted = *precision.get_or_insert(tensor.dtype());
        if matches!(wanted, DType::BF16 | DType::F32) { planned_in(tensor, wanted) } else { None }
    };
    tensors.into_iter().map(plan).collect()
}

/// The card's tensor as one of the backend that it came from.
fn unplanned<B: Backend, const D: usize>(tensor: Planned) -> Option<Tensor<B, D>> {
    as_kind::<_, B::FloatTensorPrimitive>(tensor)
        .ok()
        .map(|primitive| Tensor::from_primitive(TensorPrimitive::Float(primitive)))
}

/// The card of a tensor.
fn device_of(tensor: &Planned) -> CudaDevice {
    tensor.client.device().clone()
}

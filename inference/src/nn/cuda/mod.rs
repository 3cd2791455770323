//! The costly operations on an NVIDIA card, where NVIDIA's own libraries or a kernel written for one purpose beat what burn
//! composes: linear layers by cuBLASLt, convolutions by cuDNN, attention without scores in memory, normalisations in one pass.
//!
//! What stands here answers `None` where it cannot compute: on other backends, in other precisions, with gradients that it does not
//! know, and where the library is not installed. Its caller composes then.
#![allow(unsafe_code, reason = "NVIDIA's libraries are called by their documented C interfaces")]

mod arguments;
mod attention;
mod channels;
mod convolution;
mod fp8;
mod gradients;
mod lane;
mod layers;
mod operation;
mod products;
mod recording;
mod rows;
mod rows_gradient;
mod stream;
#[cfg(test)]
mod tests;
mod tokens;

use burn::tensor::{DType, Shape, Tensor, TensorMetadata, TensorPrimitive, backend::Backend};
use burn_cubecl::kernel::into_contiguous;
use cubecl::{
    cuda::CudaRuntime,
    zspace::{metadata::Metadata, strides},
};

use super::processor::as_kind;

pub use self::{
    attention::{attention, computes_scores_again},
    channels::{are_last, beside, laid_out, resized, shifted, sum},
    convolution::convolve,
    fp8::{Fp8Weight, fp8_as_stored, narrowed, widened},
    gradients::project as project_with_gradient,
    layers::{project, project_beside, project_onto},
    recording::{Given, Recordings},
    rows::{activated, gated, gated_sum, group_norm, layer_norm, rms_norm, rms_norm_by_head, turn},
    tokens::{joined, repeated_heads, some_tokens},
};

/// Numbers on a card.
type OnCard = burn_cubecl::tensor::CubeTensor<CudaRuntime>;

/// The tensor as the card's, if it is one of bf16.
fn on_card<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> Option<OnCard> {
    on_card_in(tensor, DType::BF16)
}

/// The tensor as the card's, if it is of this precision.
fn on_card_in<B: Backend, const D: usize>(tensor: &Tensor<B, D>, precision: DType) -> Option<OnCard> {
    if tensor.dtype() != precision {
        return None;
    }
    as_kind::<_, OnCard>(tensor.clone().into_primitive().tensor()).ok()
}

/// Tensors as the card's, if they are of the same precision, which is bf16 or f32.
fn on_card_alike<'a, B: Backend, const D: usize>(
    tensors: impl IntoIterator<Item = &'a Tensor<B, D>>,
) -> Option<Vec<OnCard>> {
    let mut precision = None;
    let plan = |tensor: &Tensor<B, D>| {
        let wanted = *precision.get_or_insert(tensor.dtype());
        if matches!(wanted, DType::BF16 | DType::F32) { on_card_in(tensor, wanted) } else { None }
    };
    tensors.into_iter().map(plan).collect()
}

/// The card's tensor as one of the backend that it came from.
fn from_card<B: Backend, const D: usize>(tensor: OnCard) -> Option<Tensor<B, D>> {
    as_kind::<_, B::FloatTensorPrimitive>(tensor)
        .ok()
        .map(|primitive| Tensor::from_primitive(TensorPrimitive::Float(primitive)))
}

/// The card's tensor as one of a backend that may be one with gradients, which it does not take part in.
fn constant<B: Backend, const D: usize>(tensor: OnCard) -> Option<Tensor<B, D>> {
    from_card(tensor.clone()).or_else(|| gradients::constant(tensor))
}

/// The tensor without gaps between its rows, which burn leaves where it copies numbers to a card.
pub fn without_gaps<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> Option<Tensor<B, D>> {
    let on_card: OnCard = as_kind(tensor.clone().into_primitive().tensor()).ok()?;
    from_card(into_contiguous(on_card))
}

/// Some rows of a tensor that lies without gaps, where they lie.
fn some_rows(tensor: &OnCard, first: usize, count: usize) -> OnCard {
    let mut dims: Vec<usize> = tensor.shape().iter().copied().collect();
    let row = dims[1..].iter().product::<usize>() * tensor.dtype.size();
    let [before, after] = [first, dims[0] - first - count].map(|rows| (rows * row) as u64);
    dims[0] = count;
    let handle = tensor.handle.clone().offset_start(before).offset_end(after);
    OnCard::new_contiguous(tensor.client.clone(), tensor.device.clone(), Shape::from(dims), handle, tensor.dtype)
}

/// Some columns of a matrix `[rows, columns]` that lies without gaps, where they lie.
fn columns(matrix: &OnCard, first: usize, count: usize) -> OnCard {
    let ([rows, all], number) = (matrix.shape().dims(), matrix.dtype.size());
    let [before, after] = [first, all - first - count].map(|columns| (columns * number) as u64);
    let handle = matrix.handle.clone().offset_start(before).offset_end(after);
    let meta = Metadata::new(Shape::new([rows, count]), strides![all, 1]);
    OnCard::new(matrix.client.clone(), handle, meta, matrix.device.clone(), matrix.dtype)
}

/// Why a card failed at something that it was told, if it did since somebody asked.
pub fn failure<B: Backend>(device: &B::Device) -> Option<String> {
    lane::take_failure(card_of::<B>(device)?)
}

/// Which card a device is, if it is one.
fn card_of<B: Backend>(device: &B::Device) -> Option<usize> {
    (device as &dyn std::any::Any).downcast_ref::<burn::backend::cuda::CudaDevice>().map(|card| card.index)
}

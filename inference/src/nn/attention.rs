//! Scaled dot-product attention (Vaswani et al., "Attention Is All You Need", 2017).

use std::sync::Arc;

use burn::tensor::{DType, Tensor, TensorData, activation::softmax, backend::Backend};

use super::{
    cuda,
    norm::in_f32,
    processor::{self, Mask},
    recorded::Given,
};
use crate::device::is_processor;

/// What a [`Bias`] holds where a query must not look. It stands for minus infinity, in every precision: finite, so that a
/// row of padding does not become not-a-number.
pub const UNSEEN: f32 = -1e30;

/// `[batch, queries, heads · width]` attends to `[batch, keys, heads · width]`, head by head → the queries' shape.
///
/// `bias` is added to the scores before the softmax; see [`Bias`].
pub fn multi_head_attention<B: Backend>(
    query: Tensor<B, 3>,
    key: Tensor<B, 3>,
    value: Tensor<B, 3>,
    heads: usize,
    bias: Option<&Bias<B>>,
) -> Tensor<B, 3> {
    let operation = processor::Attention { heads, mask: bias.map(|bias| bias.mask.clone()) };
    let inputs = [query.clone().into(), key.clone().into(), value.clone().into()];
    processor::run(&operation, inputs)
        .or_else(|| cuda::attention(&query, &key, &value, heads, bias.map(|bias| &bias.added)))
        .unwrap_or_else(|| composed(query.clone(), key.clone(), value.clone(), heads, bias))
}

/// Whether the gradient of attention with heads of a width keeps its scores on a device. Others compute them once more.
pub fn keeps_scores<B: Backend>(device: &B::Device, width: usize) -> bool {
    !is_processor::<B>(device) && !cuda::computes_scores_again::<B>(device, width)
}

/// The same from burn's operations.
pub(super) fn composed<B: Backend>(
    query: Tensor<B, 3>,
    key: Tensor<B, 3>,
    value: Tensor<B, 3>,
    heads: usize,
    bias: Option<&Bias<B>>,
) -> Tensor<B, 3> {
    let [batch, tokens, features] = query.dims();
    let split = |input: Tensor<B, 3>| {
        let [batch, tokens, features] = input.dims();
        input.reshape([batch, tokens, heads, features / heads]).swap_dims(1, 2)
    };
    let width = features / heads;
    let mut scores = split(query).matmul(split(key).swap_dims(2, 3)).mul_scalar(1.0 / (width as f64).sqrt());
    if let Some(bias) = bias {
        let precision = scores.dtype();
        scores = scores + bias.added.clone().cast(precision);
    }
    in_f32(scores, |scores| softmax(scores, 3)).matmul(split(value)).swap_dims(1, 2).reshape([batch, tokens, features])
}

/// What is added to the scores of every head.
#[derive(Clone, Debug)]
pub struct Bias<B: Backend> {
    mask: Mask,
    /// `[batch or 1, 1, queries, keys]`.
    added: Tensor<B, 4>,
}

impl<B: Backend> Bias<B> {
    /// A bias `[batch or 1, queries, keys]`.
    pub fn new(values: Vec<f32>, [batch, queries, keys]: [usize; 3], device: &B::Device) -> Self {
        let data = TensorData::new(values.clone(), [batch, 1, queries, keys]);
        Self {
            mask: Mask { values: Arc::new(values), is_batched: batch > 1 },
            added: Tensor::from_data(data, (device, DType::F32)),
        }
    }

    /// What a network that reads it is given.
    pub fn given(&self) -> Given {
        (&self.added).into()
    }
}

//! Scaled dot-product attention (Vaswani et al., "Attention Is All You Need", 2017).

use burn::tensor::{Tensor, activation::softmax, backend::Backend};

/// What a [`Bias`] holds where a query must not look. It stands for minus infinity, in every precision: finite, so that a
/// row of padding does not become not-a-number.
pub const UNSEEN: f32 = -1e30;

/// `[batch, heads, queries, width]` attends to `[batch, heads, keys, width]`; heads may be views into other layouts.
///
/// `bias` is added to the scores before the softmax; see [`Bias`].
pub fn attention<B: Backend>(
    query: Tensor<B, 4>,
    key: Tensor<B, 4>,
    value: Tensor<B, 4>,
    bias: Option<&Bias<B>>,
) -> Tensor<B, 4> {
    let width = query.dims()[3];
    let mut scores = query.matmul(key.swap_dims(2, 3)).mul_scalar(1.0 / (width as f64).sqrt());
    if let Some(bias) = bias {
        scores = bias.add_to(scores);
    }
    softmax(scores, 3).matmul(value)
}

/// `[batch, queries, heads · width]` attends to `[batch, keys, heads · width]`, head by head → the queries' shape.
pub fn multi_head_attention<B: Backend>(
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
    let mixed = attention(split(query), split(key), split(value), bias);
    mixed.swap_dims(1, 2).reshape([batch, tokens, features])
}

/// What is added to the scores of every head.
#[derive(Clone, Debug)]
pub struct Bias<B: Backend> {
    /// `[batch, heads or 1, queries · keys]`: backends add along a row fast, and across other axes slowly.
    rows: Tensor<B, 3>,
}

impl<B: Backend> Bias<B> {
    /// A bias `[batch, queries, keys]` for so many heads.
    pub fn new(bias: Tensor<B, 3>, heads: usize) -> Self {
        let [batch, queries, keys] = bias.dims();
        let rows = bias.reshape([batch, 1, queries * keys]);
        Self { rows: if batch == 1 { rows } else { rows.repeat_dim(1, heads) } }
    }

    fn add_to(&self, scores: Tensor<B, 4>) -> Tensor<B, 4> {
        let [batch, heads, queries, keys] = scores.dims();
        let rows = scores.reshape([batch, heads, queries * keys]) + self.rows.clone();
        rows.reshape([batch, heads, queries, keys])
    }
}

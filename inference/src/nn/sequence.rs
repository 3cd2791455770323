//! Sequences of tokens, `[batch, tokens, width]`, that are joined and taken apart.

use burn::tensor::{Tensor, backend::Backend};

use super::cuda;

/// The tokens of one, then those of another.
pub fn joined<B: Backend>(first: Tensor<B, 3>, second: Tensor<B, 3>) -> Tensor<B, 3> {
    cuda::joined(&first, &second).unwrap_or_else(|| Tensor::cat(vec![first, second], 1))
}

/// So many tokens, from one on.
pub fn part<B: Backend>(stream: Tensor<B, 3>, first: usize, count: usize) -> Tensor<B, 3> {
    cuda::some_tokens(&stream, first, count).unwrap_or_else(|| stream.narrow(1, first, count))
}

/// Each of so many heads several times: `[batch, tokens, heads · width]` → `[batch, tokens, heads · times · width]`.
pub fn with_heads_repeated<B: Backend>(stream: Tensor<B, 3>, heads: usize, times: usize) -> Tensor<B, 3> {
    if times == 1 {
        return stream;
    }
    cuda::repeated_heads(&stream, heads, times).unwrap_or_else(|| {
        let [batch, tokens, features] = stream.dims();
        let rows = stream.reshape([batch * tokens * heads, 1, features / heads]);
        rows.repeat_dim(1, times).reshape([batch, tokens, features * times])
    })
}

//! Latents: packed two by two, laid out as tokens, and back: `_patchify_latents`, `_pack_latents` and their inverses in diffusers'
//! `pipelines/flux2/pipeline_flux2.py`.

use burn::tensor::{Tensor, backend::Backend};

/// `[batch, channels, height, width]` → `[batch, 4 · channels, height / 2, width / 2]`.
pub fn pack<B: Backend>(latents: Tensor<B, 4>) -> Tensor<B, 4> {
    let [batch, channels, height, width] = latents.dims();
    latents.reshape([batch, channels, height / 2, 2, width / 2, 2]).permute([0, 1, 3, 5, 2, 4]).reshape([
        batch,
        channels * 4,
        height / 2,
        width / 2,
    ])
}

/// `[batch, 4 · channels, height, width]` → `[batch, channels, 2 · height, 2 · width]`.
pub fn unpack<B: Backend>(packed: Tensor<B, 4>) -> Tensor<B, 4> {
    let [batch, channels, height, width] = packed.dims();
    packed.reshape([batch, channels / 4, 2, 2, height, width]).permute([0, 1, 4, 2, 5, 3]).reshape([
        batch,
        channels / 4,
        height * 2,
        width * 2,
    ])
}

/// `[batch, channels, height, width]` → `[batch, height · width, channels]`.
pub fn to_tokens<B: Backend>(packed: Tensor<B, 4>) -> Tensor<B, 3> {
    let [batch, channels, height, width] = packed.dims();
    packed.reshape([batch, channels, height * width]).swap_dims(1, 2)
}

/// `[batch, height · width, channels]` → `[batch, channels, height, width]`.
pub fn from_tokens<B: Backend>(tokens: Tensor<B, 3>, height: usize, width: usize) -> Tensor<B, 4> {
    let [batch, _, channels] = tokens.dims();
    tokens.swap_dims(1, 2).reshape([batch, channels, height, width])
}

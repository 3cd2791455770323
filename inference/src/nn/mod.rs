//! Layers that are identical in every architecture. Weights keep the layout and the names of the published state dicts.

pub mod activation;
pub mod attention;
pub mod autoencoder;
pub mod chain;
pub mod convolution;
#[cfg_attr(not(feature = "cuda"), path = "no_cuda.rs")]
mod cuda;
pub mod linear;
pub mod norm;
pub mod picture;
pub mod processor;
pub mod recorded;
pub mod rope;
pub mod sequence;
pub mod timestep_embedding;

use burn::tensor::backend::Backend;

/// Why a device failed at something that it was told, if it did since somebody asked.
pub(crate) fn failure<B: Backend>(device: &B::Device) -> Option<String> {
    cuda::failure::<B>(device)
}

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
pub mod processor;
pub mod rope;
pub mod timestep_embedding;

//! Stable Diffusion XL and SDXL-Turbo (Podell et al., "SDXL: Improving Latent Diffusion Models for High-Resolution Image
//! Synthesis", 2023; Sauer et al., "Adversarial Diffusion Distillation", 2023). The names of modules follow the published
//! state dicts.

pub mod adapters;
pub mod autoencoder;
pub mod blocks;
pub mod conditioning;
pub mod config;
pub mod configs;
pub mod keys;
pub mod links;
pub mod pipeline;
pub mod spatial_transformer;
pub mod start;
#[cfg(test)]
mod start_tests;
pub mod text_context;
pub mod unet;

//! FLUX.2: one stream of text and picture tokens, first side by side, then joined (Black Forest Labs, 2025). The names of
//! modules follow the published state dicts.

pub mod autoencoder;
pub mod config;
pub mod configs;
pub mod double_stream;
pub mod final_layer;
pub mod latents;
pub mod links;
pub mod modulation;
pub mod pipeline;
pub mod position;
pub mod reference;
pub mod single_stream;
pub mod transformer;

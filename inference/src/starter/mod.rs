//! The starter model that ships with Atelier, and the pictures that it is trained on.

pub mod autoencoder_training;
pub mod base_training;
pub mod configuration;
pub mod encoded_scenes;
pub mod learner;
pub mod obedience;
mod parts;
pub mod pictures;
pub mod principal_components;
pub mod samples;
pub mod scenes;
pub mod tokenizer;
pub mod weight_average;

//! Text encoders and their tokenizers.

pub mod clip;
pub mod clip_tokenizer;
mod config;
pub mod decoder;
pub mod mistral;
pub mod qwen3;
pub mod sentence;
pub mod tokenizer;

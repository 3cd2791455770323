//! Text encoders and their tokenizers.

pub mod qwen3;
pub mod tokenizer;

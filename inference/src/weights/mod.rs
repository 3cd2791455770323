//! Weights and model folders on disk.

pub mod folder;
pub mod module_file;
pub mod safetensors;
pub mod tensor_file;

//! The `.safetensors` format: eight bytes with the length of a JSON header, the header, then the tensors' bytes
//! without a gap. Files of others are not believed: the header is read with every bound checked, and what contradicts
//! itself is refused by name. Format: <https://github.com/huggingface/safetensors#format>.

mod header;
mod mapped;
#[cfg(test)]
mod tests;
mod writer;

pub use header::{Header, LARGEST_HEADER, TensorEntry, check_header, read_header};
pub use mapped::MappedFile;
pub use safetensors::Dtype;
pub use writer::{StoredTensor, in_file_order, write};

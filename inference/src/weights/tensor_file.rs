//! Tensors of a `.safetensors` file by name, where no module stands behind them.

use std::{collections::BTreeMap, path::Path};

use burn::tensor::{Tensor, TensorData, backend::Backend};
use safetensors::{Dtype, SafeTensors};

use super::module_file::{floats, map};
use crate::error::{Error, Result};

/// The tensors of a file, in f32.
#[derive(Debug)]
pub struct TensorFile {
    tensors: BTreeMap<String, TensorData>,
    file: String,
}

impl TensorFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is missing, damaged, or holds numbers of another kind than floating point and 64-bit integers.
    pub fn read(file: &Path) -> Result<Self> {
        let bytes = map(file)?;
        let shown = file.display().to_string();
        let read = SafeTensors::deserialize(&bytes).map_err(|error| {
            Error::Weights(format!("`{shown}` is no intact safetensors file: {error}. Fetch it again."))
        })?;
        let mut tensors = BTreeMap::new();
        for (name, view) in read.iter() {
            let dtype = view.dtype();
            let values = match dtype {
                Dtype::F32 | Dtype::F16 | Dtype::BF16 => floats(view.data(), dtype),
                Dtype::I64 => integers(view.data()),
                _ => {
                    return Err(Error::Weights(format!(
                        "`{name}` in `{shown}` is stored as {dtype:?}; F32, F16, BF16 and I64 are read."
                    )));
                }
            };
            tensors.insert(name.to_owned(), TensorData::new(values, view.shape().to_vec()));
        }
        Ok(Self { tensors, file: shown })
    }

    /// The names of its tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor's numbers and shape.
    ///
    /// # Errors
    /// When the file does not hold it.
    pub fn data(&self, name: &str) -> Result<&TensorData> {
        self.tensors.get(name).ok_or_else(|| Error::Weights(format!("`{}` holds no tensor `{name}`.", self.file)))
    }

    /// A tensor on a device.
    ///
    /// # Errors
    /// When the file does not hold it, or with another number of axes.
    pub fn tensor<B: Backend, const D: usize>(&self, name: &str, device: &B::Device) -> Result<Tensor<B, D>> {
        let data = self.data(name)?;
        if data.shape.len() != D {
            return Err(Error::Weights(format!("`{name}` in `{}` has {} axes, not {D}.", self.file, data.shape.len())));
        }
        Ok(Tensor::from_data(data.clone(), device))
    }
}

/// Integers of 64 bits, such as times of a schedule.
fn integers(bytes: &[u8]) -> Vec<f32> {
    let (integers, _) = bytes.as_chunks();
    integers.iter().map(|bytes| i64::from_le_bytes(*bytes) as f32).collect()
}

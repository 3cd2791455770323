//! Writes files: the same tensors and metadata give the same bytes.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use half::bf16;
use safetensors::Dtype;
use serde_json::{Map, Value, json};

use super::header::LARGEST_HEADER;
use crate::error::{Error, Result};

/// A tensor to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTensor<'a> {
    /// Name.
    pub name: String,
    /// Number format.
    pub dtype: Dtype,
    /// Shape; empty for a single number.
    pub shape: Vec<usize>,
    /// Its numbers, row by row, least byte first.
    pub bytes: Cow<'a, [u8]>,
}

impl StoredTensor<'static> {
    /// A tensor in bf16, rounded to the nearest.
    pub fn bf16(name: String, shape: Vec<usize>, values: impl IntoIterator<Item = f32>) -> Self {
        let bytes = values.into_iter().flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect();
        Self { name, dtype: Dtype::BF16, shape, bytes: Cow::Owned(bytes) }
    }

    /// A tensor in f32.
    pub fn f32(name: String, shape: Vec<usize>, values: impl IntoIterator<Item = f32>) -> Self {
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        Self { name, dtype: Dtype::F32, shape, bytes: Cow::Owned(bytes) }
    }
}

/// Puts tensors into the order in which they stand in a file: wide number formats first, so that each is aligned,
/// then by name.
pub fn in_file_order(tensors: &mut [StoredTensor<'_>]) {
    tensors
        .sort_by(|one, other| other.dtype.bitsize().cmp(&one.dtype.bitsize()).then_with(|| one.name.cmp(&other.name)));
}

/// Writes tensors in the order given. The file appears under its name only when it is whole and on the disk.
///
/// # Errors
/// [`Error::Weights`] when the header would be larger than [`LARGEST_HEADER`], [`Error::Io`] when the file cannot be
/// written.
pub fn write(path: &Path, tensors: &[StoredTensor<'_>], metadata: &BTreeMap<String, String>) -> Result<()> {
    let header = header(tensors, metadata)?;
    let mut partial = OsString::from(path.as_os_str());
    partial.push(".partial");
    let partial = Path::new(&partial);
    let written = fill(partial, &header, tensors).and_then(|()| std::fs::rename(partial, path));
    if written.is_err() {
        // The first failure is what is told; a partial file that cannot be removed either is replaced by the next
        // attempt.
        std::fs::remove_file(partial).ok();
    }
    written.map_err(Error::io(path))
}

fn fill(path: &Path, header: &[u8], tensors: &[StoredTensor<'_>]) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header)?;
    tensors.iter().try_for_each(|tensor| file.write_all(&tensor.bytes))?;
    file.into_inner()?.sync_all()
}

/// The header's JSON, padded so that the tensors begin at a multiple of eight.
fn header(tensors: &[StoredTensor<'_>], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut object = Map::new();
    if !metadata.is_empty() {
        object.insert("__metadata__".to_owned(), json!(metadata));
    }
    let mut start = 0;
    for tensor in tensors {
        let end = start + tensor.bytes.len();
        let entry = json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, end] });
        if object.insert(tensor.name.clone(), entry).is_some() {
            return Err(Error::Weights(format!("The tensor `{}` would be written twice.", tensor.name)));
        }
        start = end;
    }
    let mut json = Value::Object(object).to_string().into_bytes();
    json.resize(json.len().next_multiple_of(8), b' ');
    if json.len() as u64 > LARGEST_HEADER {
        return Err(Error::Weights(format!(
            "The file's header would take {} bytes, and at most {LARGEST_HEADER} are read; shorten its metadata.",
            json.len()
        )));
    }
    Ok(json)
}

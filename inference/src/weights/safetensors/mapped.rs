//! Reads tensors from a file that is mapped into memory.

use std::{fs::File, path::Path};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::Dtype;

use super::header::{Header, TensorEntry, check_header};
use crate::{
    error::{Error, Result},
    weights::fp8,
};

/// A file whose header was checked and whose tensors are read where they lie: opening it costs the header, whatever
/// its size.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
    header: Header,
}

impl MappedFile {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Weights`] when its header is not intact (see [`check_header`]).
    #[allow(
        unsafe_code,
        reason = "mapping is unsafe because another process may change the file; stored files are immutable"
    )]
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(Error::io(path))?;
        let header = check_header(&mut file)?;
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
        // The file may have become shorter between the two looks at it.
        let reached = header.tensors.values().map(|entry| entry.end).max().unwrap_or_default();
        if (map.len() as u64) < header.length + reached {
            return Err(Error::Weights("This file became shorter while it was read; try again.".to_owned()));
        }
        Ok(Self { map, header })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Everything after the header, in the file's order.
    pub fn body(&self) -> &[u8] {
        &self.map[self.header.length as usize..]
    }

    /// The bytes of one of the header's tensors.
    pub fn bytes(&self, entry: &TensorEntry) -> &[u8] {
        &self.body()[entry.start as usize..entry.end as usize]
    }

    /// The entry of a tensor.
    fn entry(&self, name: &str) -> Result<&TensorEntry> {
        let entry = self.header.tensors.get(name);
        entry.ok_or_else(|| Error::Weights(format!("The file holds no tensor `{name}`.")))
    }

    /// The number that a tensor of one number is, such as a LoRA's alpha: integers are read as well as what [`Self::floats`] reads,
    /// because writers keep the type that the number had in their program (diffusers' converter to kohya's names writes
    /// alphas as int64).
    ///
    /// # Errors
    /// As [`Self::floats`], and [`Error::Weights`] when the tensor is not one number.
    pub fn number(&self, name: &str) -> Result<f32> {
        let entry = self.entry(name)?;
        let bytes = self.bytes(entry);
        let numbers = match entry.dtype {
            Dtype::I64 => words(bytes, |eight| i64::from_le_bytes(eight) as f32),
            Dtype::U64 => words(bytes, |eight| u64::from_le_bytes(eight) as f32),
            Dtype::I32 => words(bytes, |four| i32::from_le_bytes(four) as f32),
            Dtype::U32 => words(bytes, |four| u32::from_le_bytes(four) as f32),
            Dtype::I16 => words(bytes, |two| f32::from(i16::from_le_bytes(two))),
            Dtype::U16 => words(bytes, |two| f32::from(u16::from_le_bytes(two))),
            Dtype::I8 => words(bytes, |one| f32::from(i8::from_le_bytes(one))),
            Dtype::U8 => words(bytes, |[one]| f32::from(one)),
            _ => self.floats(name)?,
        };
        match numbers[..] {
            [number] => Ok(number),
            _ => Err(Error::Weights(format!("The tensor `{name}` holds {} numbers and not one.", numbers.len()))),
        }
    }

    /// The numbers of a tensor as f32, row by row. F32, F16, BF16, F64, F8_E4M3 and F8_E5M2 are read.
    ///
    /// # Errors
    /// [`Error::Weights`] when the file has no such tensor, or stores it in another number format.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>> {
        let entry = self.entry(name)?;
        let bytes = self.bytes(entry);
        Ok(match entry.dtype {
            Dtype::F32 => words(bytes, f32::from_le_bytes),
            Dtype::F16 => words(bytes, |two| f16::from_le_bytes(two).to_f32()),
            Dtype::BF16 => words(bytes, |two| bf16::from_le_bytes(two).to_f32()),
            Dtype::F64 => words(bytes, |eight| f64::from_le_bytes(eight) as f32),
            dtype @ (Dtype::F8_E4M3 | Dtype::F8_E5M2) => fp8::floats(bytes, dtype),
            other => {
                return Err(Error::Weights(format!(
                    "The tensor `{name}` is stored as {other}; F32, F16, BF16, F64, F8_E4M3 and F8_E5M2 are read; convert it first."
                )));
            }
        })
    }
}

/// Numbers of `N` bytes each.
fn words<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (words, _) = bytes.as_chunks::<N>();
    words.iter().map(|word| number(*word)).collect()
}

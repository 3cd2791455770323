//! A module's parameters in `.safetensors` files, under the names of its fields. They are the names of the published state
//! dicts, so that files of the reference implementation load as they are.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    path::{Path, PathBuf},
    rc::Rc,
};

use burn::{
    module::ParamId,
    store::{ModuleSnapshot, TensorSnapshot},
    tensor::{AllocationProperty, Bytes, DType, Element, Shape, TensorData, backend::Backend},
};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{
    ARE_READ,
    fp8::{self, Companion, Factor, is_fp8},
    is_read,
};
use crate::{
    error::{Error, Result},
    nn::processor,
};

/// How numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// 32 bits.
    F32,
    /// 16 bits, half precision.
    F16,
    /// 16 bits with the exponent of 32.
    Bf16,
}

/// Writes a module. The file appears under its name only when it is whole.
///
/// # Errors
/// When the file cannot be written.
pub fn save<B: Backend, M: ModuleSnapshot<B>>(
    module: &M,
    file: &Path,
    stored: Stored,
    metadata: BTreeMap<String, String>,
) -> Result<()> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for snapshot in module.collect(None, None, false) {
        let name = snapshot.full_path();
        let data =
            snapshot.to_data().map_err(|error| Error::Weights(format!("`{name}` cannot be read back: {error:?}.")))?;
        let shape = data.shape.to_vec();
        tensors.push((name, shape, bytes(data, stored)));
    }
    let dtype = match stored {
        Stored::F32 => Dtype::F32,
        Stored::F16 => Dtype::F16,
        Stored::Bf16 => Dtype::BF16,
    };
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(dtype, shape.clone(), bytes);
        view.map(|view| (name.clone(), view))
            .map_err(|error| Error::Weights(format!("`{name}` cannot be written: {error}.")))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    let metadata: HashMap<String, String> = metadata.into_iter().collect();
    let partial = file.with_extension("partial");
    safetensors::serialize_to_file(views, Some(metadata), &partial)
        .map_err(|error| Error::Weights(format!("`{}` cannot be written: {error}.", partial.display())))?;
    std::fs::rename(&partial, file).map_err(Error::io(file))
}

fn bytes(data: TensorData, stored: Stored) -> Vec<u8> {
    let values = data.iter::<f32>();
    match stored {
        Stored::F32 => values.flat_map(f32::to_le_bytes).collect(),
        Stored::F16 => values.flat_map(|value| f16::from_f32(value).to_le_bytes()).collect(),
        Stored::Bf16 => values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect(),
    }
}

/// Reads a module's parameters from one or several files. `rename` gives the module's name of a file's tensor, or none for
/// a tensor that the module does not use on purpose.
///
/// # Errors
/// When a file is missing or damaged, a shape differs, and for parameters that are missing or left over, by name.
pub fn load<B: Backend, M: ModuleSnapshot<B>>(
    module: M,
    files: &[PathBuf],
    rename: impl Fn(&str) -> Option<String>,
) -> Result<M> {
    load_keeping::<B, M>(module, files, Halves::Widened, rename)
}

/// The same, with a word on numbers in half precision.
///
/// # Errors
/// As [`load`].
pub fn load_keeping<B: Backend, M: ModuleSnapshot<B>>(
    module: M,
    files: &[PathBuf],
    halves: Halves,
    rename: impl Fn(&str) -> Option<String>,
) -> Result<M> {
    fill::<B, M>(module, open(files, rename)?, &|_| false, halves, files)
}

/// Fills a module with tensors of these files. Parameters whose names are `elsewhere` are not looked for.
///
/// # Errors
/// As [`load`].
pub(super) fn fill<B: Backend, M: ModuleSnapshot<B>>(
    mut module: M,
    tensors: Vec<TensorInFile>,
    elsewhere: &dyn Fn(&str) -> bool,
    halves: Halves,
    files: &[PathBuf],
) -> Result<M> {
    let native = <B::FloatElem as Element>::dtype();
    let snapshots = tensors.into_iter().map(|tensor| {
        let precision = halves.precision::<B>(native, tensor.dtype, &tensor.shape);
        tensor.snapshot(precision)
    });
    let result = module.apply(snapshots.collect(), None, None, false);
    let named = || files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
    if let Some(error) = result.errors.first() {
        return Err(Error::Weights(format!("The weights in {} do not fit the configuration: {error}.", named())));
    }
    let missing: Vec<&String> = result.missing.iter().map(|(name, _)| name).filter(|name| !elsewhere(name)).collect();
    if !missing.is_empty() {
        return Err(Error::Weights(format!("The weights in {} lack {}.", named(), listed(&missing))));
    }
    if !result.unused.is_empty() {
        let names: Vec<&String> = result.unused.iter().collect();
        return Err(Error::Weights(format!(
            "The weights in {} hold tensors that the model does not have: {}.",
            named(),
            listed(&names)
        )));
    }
    Ok(module)
}

/// The first names of a list, and how many more there are.
fn listed(names: &[&String]) -> String {
    let shown: Vec<&str> = names.iter().take(8).map(|name| name.as_str()).collect();
    let more = names.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// What becomes of numbers in half precision on a backend that computes in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halves {
    /// They are widened when they are read, and take twice the memory.
    Widened,
    /// Those of matrices stay as they are stored, in the mapped file, and are widened when they are used, which the layers
    /// that have matrices do on the processor. What is small is widened when it is read. Numbers of eight bits become bf16,
    /// which holds each of them exactly, but for their factors.
    Kept,
}

impl Halves {
    /// For a component in these files: what is large is kept, where to widen it again and again costs little beside what is
    /// computed with it, and to keep it in f32 would double what a model takes.
    pub fn of(files: &[PathBuf]) -> Self {
        let bytes: u64 = files.iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum();
        if bytes < LARGE { Self::Widened } else { Self::Kept }
    }

    /// Whether a tensor of a shape stays in half precision, where the processor computes.
    pub fn keeps(self, stored: Dtype, shape: &[usize]) -> bool {
        self == Self::Kept && (matches!(stored, Dtype::F16 | Dtype::BF16) || is_fp8(stored)) && shape.len() == 2
    }

    fn precision<B: Backend>(self, native: DType, stored: Dtype, shape: &[usize]) -> DType {
        match stored {
            _ if native != DType::F32 || !processor::computes::<B>(native) || !self.keeps(stored, shape) => native,
            Dtype::F16 => DType::F16,
            _ => DType::BF16,
        }
    }
}

/// Bytes of a component from which on its halves are kept.
const LARGE: u64 = 128 << 20;

/// A tensor where it lies in a file: nothing of it is read before it is used.
#[derive(Clone, Debug)]
pub(super) struct TensorInFile {
    /// Its name in the module.
    pub name: String,
    /// How it is stored.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its numbers in the mapped file.
    pub bytes: bytes::Bytes,
    /// What they are multiplied by.
    pub factor: Option<Factor>,
}

/// Tensors of files under the names that `rename` gives them; those that it gives none are not needed.
///
/// # Errors
/// When a file is missing or damaged, or numbers are stored in a way that is not read.
pub(super) fn open(files: &[PathBuf], rename: impl Fn(&str) -> Option<String>) -> Result<Vec<TensorInFile>> {
    // A factor may lie in another file than its weight.
    let (mut opened, mut factors, mut left_out) = (Vec::new(), BTreeMap::new(), HashSet::new());
    for file in files {
        let map = bytes::Bytes::from_owner(map(file)?);
        let tensors = SafeTensors::deserialize(&map).map_err(|error| {
            Error::Weights(format!("`{}` is no intact safetensors file: {error}. Fetch it again.", file.display()))
        })?;
        for (stored_name, view) in tensors.iter() {
            let (dtype, shape) = (view.dtype(), view.shape());
            fp8::check_mark(stored_name, view.data())?;
            match Companion::of(stored_name) {
                Some(Companion::FactorOf(weight)) => {
                    factors.insert(weight, Factor::read(stored_name, dtype, shape, view.data())?);
                    continue;
                }
                Some(Companion::NotNeeded) => continue,
                None => {}
            }
            let Some(name) = rename(stored_name) else {
                left_out.extend(is_fp8(dtype).then(|| stored_name.to_owned()));
                continue;
            };
            if !is_read(dtype) {
                return Err(Error::Weights(format!(
                    "`{name}` in `{}` is stored as {dtype:?}; {ARE_READ} are read.",
                    file.display()
                )));
            }
            let bytes = map.slice_ref(view.data());
            let tensor = TensorInFile { name, dtype, shape: shape.to_vec(), bytes, factor: None };
            opened.push((stored_name.to_owned(), tensor));
        }
    }
    for (stored_name, tensor) in opened.iter_mut().filter(|(_, tensor)| is_fp8(tensor.dtype)) {
        tensor.factor = factors.remove(stored_name);
        tensor.factor.iter().try_for_each(|factor| factor.check(stored_name, &tensor.shape))?;
    }
    match factors.keys().find(|weight| !left_out.contains(*weight)) {
        None => Ok(opened.into_iter().map(|(_, tensor)| tensor).collect()),
        Some(weight) => Err(Error::Weights(format!(
            "There are factors for `{weight}`, and no such weight in FP8. Choose a checkpoint in FP8 or BF16."
        ))),
    }
}

impl TensorInFile {
    /// Its numbers. Those that are stored in the precision that is wanted stay where they are in the mapped file: nothing is in
    /// memory twice.
    pub fn data(&self, precision: DType) -> TensorData {
        let same = match self.dtype {
            Dtype::F32 => precision == DType::F32,
            Dtype::F16 => precision == DType::F16,
            Dtype::BF16 => precision == DType::BF16,
            _ => false,
        };
        let shape = self.shape.clone();
        if same && cfg!(target_endian = "little") && self.bytes.as_ptr().addr().is_multiple_of(precision.size()) {
            let mapped = Bytes::from_shared(self.bytes.clone(), AllocationProperty::File);
            return TensorData::from_bytes(mapped, shape, precision);
        }
        let mut numbers = floats(&self.bytes, self.dtype);
        if let Some(factor) = &self.factor {
            factor.apply(&shape, &mut numbers);
        }
        TensorData::new(numbers, shape).convert_dtype(precision)
    }

    /// What a module takes, read when it is put in its place.
    fn snapshot(self, precision: DType) -> TensorSnapshot {
        let path = self.name.split('.').map(str::to_owned).collect();
        let shape = Shape::from(self.shape.clone());
        let data = Rc::new(move || Ok(self.data(precision)));
        TensorSnapshot::from_closure(data, precision, shape, path, Vec::new(), ParamId::new())
    }
}

/// Maps a file into memory.
///
/// # Errors
/// When it is missing or may not be read.
#[allow(
    unsafe_code,
    reason = "mapping a file is unsafe because another process may change it; weights are not written in place"
)]
pub(super) fn map(file: &Path) -> Result<Mmap> {
    let opened = File::open(file).map_err(Error::io(file))?;
    unsafe { Mmap::map(&opened) }.map_err(Error::io(file))
}

pub(super) fn floats(bytes: &[u8], dtype: Dtype) -> Vec<f32> {
    match dtype {
        Dtype::F16 => bytes.chunks_exact(2).map(|two| f16::from_le_bytes([two[0], two[1]]).to_f32()).collect(),
        Dtype::BF16 => bytes.chunks_exact(2).map(|two| bf16::from_le_bytes([two[0], two[1]]).to_f32()).collect(),
        Dtype::F8_E4M3 | Dtype::F8_E5M2 => fp8::floats(bytes, dtype),
        _ => bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect(),
    }
}

//! Checkpoints in one file, as communities share them, become model folders in diffusers' layout. A file holds weights alone;
//! configurations, tokenizers and what else it lacks come from a folder of a model like it.

mod flux2;
mod sdxl;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    model::{self, Family},
    weights::{
        self, folder,
        fp8::{self, Companion},
        safetensors::{MappedFile, StoredTensor, TensorEntry, in_file_order, read_header, write},
    },
};

/// Where a tensor of a file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// Folder of the component.
    component: &'static str,
    /// Its name there.
    name: String,
    /// What is done to it.
    change: Change,
}

/// What is done to a tensor on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Nothing.
    Nothing,
    /// One of so many equal shares of its rows is taken.
    Rows { part: usize, parts: usize },
    /// Rows become columns.
    Turned,
    /// The two halves of its rows change places.
    HalvesSwapped,
    /// A kernel of one pixel becomes a matrix.
    Flattened,
}

/// What is known of a name in a file.
enum Known {
    /// It goes to these places.
    Places(Vec<Place>),
    /// It is not needed.
    NotNeeded,
}

/// Makes a model folder from a checkpoint in one file. `like` is a folder of the same architecture, from which everything
/// comes that the file does not hold; `out` is made, and removed again if this fails.
///
/// # Errors
/// [`Error::Weights`] when the file is damaged, or holds something else than the model that `like` is, by the tensor that
/// says so; [`Error::Folder`] when `out` is there already; [`Error::Io`].
pub fn unpack(file: &Path, like: &Path, out: &Path) -> Result<()> {
    let source = MappedFile::open(file)?;
    let known: fn(&str, &Shape) -> Option<Known> = match Family::of(like)? {
        Family::Flux2 => flux2::known,
        Family::Sdxl => sdxl::known,
    };
    let shape = Shape::of(like)?;
    let components = sorted(&source, file, known, &shape)?;
    for (component, tensors) in &components {
        check(file, component, tensors, &like.join(component))?;
    }
    if out.exists() {
        return Err(Error::Folder(format!("`{}` is there already. Choose another folder.", out.display())));
    }
    let filled = fill(like, out, &components);
    if filled.is_err() {
        // The first failure is what is told.
        std::fs::remove_dir_all(out).ok();
    }
    filled
}

/// What of a model's shape decides names.
struct Shape {
    /// Levels of the autoencoder.
    autoencoder_levels: usize,
    /// Residual layers of a level of the UNet on the way down; 0 where there is no UNet.
    unet_layers: usize,
}

impl Shape {
    fn of(like: &Path) -> Result<Self> {
        let config = |part: &str| folder::read_json::<serde_json::Value>(&like.join(part).join("config.json"));
        let autoencoder = config("vae")?;
        let unet = if like.join("unet").exists() { Some(config("unet")?) } else { None };
        Ok(Self {
            autoencoder_levels: autoencoder["block_out_channels"].as_array().map_or(0, Vec::len),
            unet_layers: unet.map_or(0, |unet| unet["layers_per_block"].as_u64().unwrap_or(2) as usize),
        })
    }
}

type Components<'a> = BTreeMap<&'static str, Vec<StoredTensor<'a>>>;

/// The file's tensors, each where it goes.
fn sorted<'a>(
    source: &'a MappedFile,
    file: &Path,
    known: fn(&str, &Shape) -> Option<Known>,
    shape: &Shape,
) -> Result<Components<'a>> {
    let mut components = Components::new();
    let mut strange = Vec::new();
    fp8::check_metadata(&source.header().metadata)?;
    for (name, entry) in &source.header().tensors {
        let bytes = source.bytes(entry);
        fp8::check_mark(name, bytes)?;
        let companion = Companion::of(name);
        let weight = match &companion {
            Some(Companion::NotNeeded) => continue,
            Some(Companion::FactorOf(weight)) => weight,
            None => name,
        };
        match known(weight, shape) {
            None => strange.push(name.as_str()),
            Some(Known::NotNeeded) => {}
            Some(Known::Places(places)) => {
                for place in places {
                    let tensor = match companion {
                        None => changed(name, entry, bytes, &place)?,
                        Some(_) => factor(name, entry, bytes, &place)?,
                    };
                    components.entry(place.component).or_default().push(tensor);
                }
            }
        }
    }
    if !strange.is_empty() || components.is_empty() {
        let shown = strange.iter().take(4).copied().collect::<Vec<_>>().join("`, `");
        return Err(Error::Weights(format!(
            "`{}` is no checkpoint of this kind of model: {} of its {} tensors are not understood, such as `{shown}`.",
            file.display(),
            strange.len(),
            source.header().tensors.len(),
        )));
    }
    Ok(components)
}

/// The factor of a weight in eight bits, beside the weight's place. One for each row goes where its row goes.
fn factor<'a>(name: &str, entry: &TensorEntry, bytes: &'a [u8], place: &Place) -> Result<StoredTensor<'a>> {
    let is_one = entry.shape.iter().product::<usize>() == 1;
    let change = match place.change {
        _ if is_one => Change::Nothing,
        Change::Turned => {
            let why = "and one factor is read for a weight whose rows become columns";
            return Err(Error::Weights(format!("The tensor `{name}` has the shape {:?}, {why}.", entry.shape)));
        }
        Change::Flattened => Change::Nothing,
        change => change,
    };
    let beside = Place { name: fp8::factor_of(&place.name), change, ..place.clone() };
    changed(name, entry, bytes, &beside)
}

/// A tensor as it stands in its place.
fn changed<'a>(name: &str, entry: &TensorEntry, bytes: &'a [u8], place: &Place) -> Result<StoredTensor<'a>> {
    if !weights::is_read(entry.dtype) {
        return Err(Error::Weights(format!(
            "The tensor `{name}` is stored as {}; {} are read. Choose a checkpoint in one of them.",
            entry.dtype,
            weights::ARE_READ
        )));
    }
    let refused = |why: &str| Error::Weights(format!("The tensor `{name}` has the shape {:?}, {why}.", entry.shape));
    let width = entry.dtype.bitsize() / 8;
    let mut shape = entry.shape.clone();
    let bytes = match place.change {
        Change::Nothing => Cow::Borrowed(bytes),
        Change::Rows { part, parts } => {
            let rows = shape.first_mut().filter(|rows| rows.is_multiple_of(parts));
            *rows.ok_or_else(|| refused("which cannot be parted"))? /= parts;
            let share = bytes.len() / parts;
            Cow::Borrowed(&bytes[part * share..(part + 1) * share])
        }
        Change::HalvesSwapped => {
            let (first, second) = bytes.split_at(bytes.len() / 2);
            Cow::Owned([second, first].concat())
        }
        Change::Turned => {
            let [rows, columns] = shape[..] else { return Err(refused("and should be a matrix")) };
            shape = vec![columns, rows];
            let number = |row: usize, column: usize| &bytes[(row * columns + column) * width..][..width];
            let turned = (0..columns).flat_map(|column| (0..rows).map(move |row| (row, column)));
            Cow::Owned(turned.flat_map(|(row, column)| number(row, column)).copied().collect())
        }
        Change::Flattened => {
            let is_flat = shape.len() == 2 || shape.len() == 4 && shape[2..] == [1, 1];
            if !is_flat {
                return Err(refused("and should be a matrix"));
            }
            shape.truncate(2);
            Cow::Borrowed(bytes)
        }
    };
    Ok(StoredTensor { name: place.name.clone(), dtype: entry.dtype, shape, bytes })
}

/// Makes sure that a component has every tensor of the model like it, each of the same shape.
fn check(file: &Path, component: &str, tensors: &[StoredTensor<'_>], like: &Path) -> Result<()> {
    let found: BTreeMap<String, &[usize]> = tensors
        .iter()
        .filter_map(|tensor| Some((sdxl::name_of_today(component, &tensor.name)?, tensor.shape.as_slice())))
        .collect();
    for weights in folder::weight_files(like)? {
        for (name, entry) in read_header(&weights)?.tensors {
            // Tables that follow from the configuration have no such name.
            let Some(plain) = sdxl::name_of_today(component, &name) else { continue };
            match found.get(&plain) {
                Some(shape) if **shape == entry.shape => {}
                Some(shape) => {
                    return Err(Error::Weights(format!(
                        "`{}` holds another model: `{name}` of its {component} has the shape {shape:?}, and {:?} is needed.",
                        file.display(),
                        entry.shape
                    )));
                }
                None => {
                    return Err(Error::Weights(format!(
                        "`{}` is not whole: `{name}` of its {component} is missing.",
                        file.display()
                    )));
                }
            }
        }
    }
    Ok(())
}

/// Writes the folder: the components of the file, and everything else of the model like it.
fn fill(like: &Path, out: &Path, components: &Components<'_>) -> Result<()> {
    std::fs::create_dir_all(out).map_err(Error::io(out))?;
    for entry in entries(like)? {
        let name = entry.file_name().unwrap_or_default();
        let target = out.join(name);
        if !entry.is_dir() {
            copy(&entry, &target)?;
            continue;
        }
        let is_held = components.contains_key(name.to_string_lossy().as_ref());
        std::fs::create_dir_all(&target).map_err(Error::io(&target))?;
        for part in entries(&entry)? {
            let file_name = part.file_name().unwrap_or_default();
            let is_weights = file_name.to_string_lossy().contains(".safetensors");
            if part.is_file() && !(is_held && is_weights) {
                copy(&part, &target.join(file_name))?;
            }
        }
    }
    for (component, tensors) in components {
        let stem = if component.starts_with("text_encoder") { "model" } else { "diffusion_pytorch_model" };
        let mut tensors = tensors.clone();
        in_file_order(&mut tensors);
        write(&out.join(component).join(format!("{stem}.safetensors")), &tensors, &BTreeMap::new())?;
    }
    model::facts(out).map(|_| ())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    let entries = read.map(|entry| entry.map(|entry| entry.path()));
    entries.collect::<std::io::Result<_>>().map_err(Error::io(folder))
}

/// Another name of the same bytes where the file system has such, else a copy.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, to).map(|_| ()).map_err(Error::io(to))
}

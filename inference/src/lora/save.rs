//! Writes a LoRA in one of three layouts, in bf16.

use std::{collections::BTreeMap, fmt, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    adapter::{Adapter, LowRankPair},
    formats::{
        bfl::{self, Place},
        detect::Family,
        kohya,
    },
    hashes::sha256_of_tensors,
    metadata,
};
use crate::{
    error::{Error, Result},
    weights::safetensors::{StoredTensor, in_file_order, write},
};

/// How keys are named, and where alpha stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Layout {
    /// Black Forest Labs' names, alpha / rank folded into B: what ComfyUI and ai-toolkit read. The default of FLUX.2;
    /// there is none for SDXL.
    Bfl,
    /// diffusers' names, alpha / rank folded into B.
    Diffusers,
    /// kohya's names, with `.alpha`; the original numbering of the UNet for SDXL, whose default it is. Of FLUX.2's layers
    /// outside of the blocks, diffusers' reader of it leaves out the modulations: [`left_out`] says so.
    Kohya,
}

impl fmt::Display for Layout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bfl => "BFL",
            Self::Diffusers => "DIFFUSERS",
            Self::Kohya => "KOHYA",
        })
    }
}

impl FromStr for Layout {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name.to_ascii_uppercase().as_str() {
            "BFL" => Ok(Self::Bfl),
            "DIFFUSERS" => Ok(Self::Diffusers),
            "KOHYA" => Ok(Self::Kohya),
            _ => Err(Error::Input(format!("`{name}` is no layout. Use BFL, DIFFUSERS or KOHYA."))),
        }
    }
}

/// Writes an adapter for FLUX.2 or SDXL. The same adapter gives the same bytes; the file appears under its name only when
/// it is whole. Its header says what [`metadata::of_file`] makes of the adapter's metadata.
///
/// # Errors
/// [`Error::Lora`] when the adapter is for another family, is empty, or adapts a module that has no form in the
/// layout; [`Error::Io`] when the file cannot be written.
pub fn save(adapter: &Adapter, layout: Layout, path: &Path) -> Result<()> {
    if adapter.targets.is_empty() {
        return Err(Error::Lora("The LoRA adapts no module, so there is nothing to write.".to_owned()));
    }
    let mut tensors = tensors(&named(adapter, layout)?, layout);
    in_file_order(&mut tensors);
    let metadata = metadata::of_file(adapter, &sha256_of_tensors(&tensors));
    write(path, &tensors, &metadata)
}

/// What programs leave out of an adapter's file in a layout, in sentences.
pub fn left_out(adapter: &Adapter, layout: Layout) -> Vec<String> {
    if (adapter.facts.family, layout) != (Family::Flux2, Layout::Kohya) {
        return Vec::new();
    }
    let mut unread = adapter.targets.keys().filter(|module| !bfl::is_read_from_kohya(module));
    let Some(first) = unread.next() else { return Vec::new() };
    vec![format!(
        "diffusers leaves out {} of the {} modules that this LoRA adapts when their names are kohya's, `{first}` the first of \
         them, and makes other pictures with it. Take BFL or DIFFUSERS for diffusers; ComfyUI reads all of them.",
        unread.count() + 1,
        adapter.targets.len(),
    )]
}

/// Pairs under the names that they have in a file.
fn named(adapter: &Adapter, layout: Layout) -> Result<BTreeMap<String, LowRankPair>> {
    match (adapter.facts.family, layout) {
        (Family::Flux2, Layout::Diffusers) => Ok(prefixed("transformer.", adapter.targets.clone())),
        (Family::Flux2, Layout::Bfl) => Ok(prefixed("diffusion_model.", joined(adapter, layout)?)),
        (Family::Flux2, Layout::Kohya) => {
            let pairs = joined(adapter, layout)?.into_iter();
            Ok(pairs.map(|(module, pair)| (format!("lora_unet_{}", module.replace('.', "_")), pair)).collect())
        }
        (Family::Sdxl, Layout::Diffusers | Layout::Kohya) => {
            let named = |(module, pair): (&String, &LowRankPair)| {
                Ok((sdxl_name(module, layout)?, shaped_like_its_layer(module, pair)))
            };
            adapter.targets.iter().map(named).collect()
        }
        (Family::Sdxl, Layout::Bfl) => {
            Err(Error::Lora("LoRAs for SDXL have no form in the layout BFL; take KOHYA or DIFFUSERS.".to_owned()))
        }
        (Family::Sd1, _) => Err(Error::Lora(
            "LoRAs for Stable Diffusion 1 are not written in other layouts; take the file as it came.".to_owned(),
        )),
    }
}

fn prefixed(prefix: &str, pairs: BTreeMap<String, LowRankPair>) -> BTreeMap<String, LowRankPair> {
    pairs.into_iter().map(|(module, pair)| (format!("{prefix}{module}"), pair)).collect()
}

/// A pair whose kernel is its layer's: some files write a projection as a convolution of one pixel.
fn shaped_like_its_layer(module: &str, pair: &LowRankPair) -> LowRankPair {
    let kernel = kohya::is_convolution(module).then(|| pair.kernel.unwrap_or([1, 1]));
    LowRankPair { kernel, ..pair.clone() }
}

/// The name of an SDXL module in a file.
fn sdxl_name(module: &str, layout: Layout) -> Result<String> {
    if layout == Layout::Diffusers {
        return Ok(module.to_owned());
    }
    kohya::to_kohya(module).ok_or_else(|| {
        Error::Lora(format!("The LoRA adapts `{module}`, which has no name in the layout {layout}; take DIFFUSERS."))
    })
}

fn tensors(pairs: &BTreeMap<String, LowRankPair>, layout: Layout) -> Vec<StoredTensor<'static>> {
    let mut tensors = Vec::new();
    for (name, pair) in pairs {
        if layout != Layout::Kohya {
            put(&mut tensors, name, ("lora_A", "lora_B"), &pair.folded());
            continue;
        }
        put(&mut tensors, name, ("lora_down", "lora_up"), pair);
        // In f32: a rounded alpha would change the strength of the whole module.
        tensors.push(StoredTensor::f32(format!("{name}.alpha"), Vec::new(), [pair.scale * pair.rank as f32]));
    }
    tensors
}

fn put(tensors: &mut Vec<StoredTensor<'static>>, module: &str, (down, up): (&str, &str), pair: &LowRankPair) {
    let LowRankPair { a, b, rank, inputs, outputs, kernel, .. } = pair;
    let (down_shape, up_shape) = match kernel {
        None => (vec![*rank, *inputs], vec![*outputs, *rank]),
        Some([height, width]) => (vec![*rank, inputs / (height * width), *height, *width], vec![*outputs, *rank, 1, 1]),
    };
    tensors.push(StoredTensor::bf16(format!("{module}.{down}.weight"), down_shape, a.iter().copied()));
    tensors.push(StoredTensor::bf16(format!("{module}.{up}.weight"), up_shape, b.iter().copied()));
}

/// Pairs under Black Forest Labs' names, those of a joined projection as one.
fn joined(adapter: &Adapter, layout: Layout) -> Result<BTreeMap<String, LowRankPair>> {
    let mut groups: BTreeMap<String, (usize, BTreeMap<usize, &LowRankPair>)> = BTreeMap::new();
    for (name, pair) in &adapter.targets {
        let Some(Place { module, part, parts }) = bfl::to_bfl(name) else {
            return Err(Error::Lora(format!(
                "The LoRA adapts `{name}`, which programs read differently in the layout {layout}; take DIFFUSERS."
            )));
        };
        groups.entry(module).or_insert_with(|| (parts, BTreeMap::new())).1.insert(part, pair);
    }
    let join = |(name, (parts, pairs)): (String, (usize, BTreeMap<usize, &LowRankPair>))| {
        let pair = if parts == 1 { pairs.into_values().next().cloned() } else { join(parts, &pairs) };
        let pair = pair.ok_or_else(|| {
            Error::Lora(format!("The parts of `{name}` differ in width and cannot be joined; take DIFFUSERS."))
        })?;
        Ok((name, pair))
    };
    groups.into_iter().map(join).collect()
}

/// One pair that changes a joined projection as the pairs of its parts do. Parts with the same A share it, and their
/// rows of B stand below each other. Otherwise the A's stand below each other and the B's on the diagonal: exact, at
/// the sum of the ranks, and what diffusers' and our own reader take apart again.
fn join(parts: usize, pairs: &BTreeMap<usize, &LowRankPair>) -> Option<LowRankPair> {
    let first = *pairs.values().next()?;
    let (rows, inputs) = (first.outputs, first.inputs);
    if pairs.values().any(|pair| pair.outputs != rows || pair.inputs != inputs) {
        return None;
    }
    let outputs = parts * rows;
    let has_one_scale = pairs.values().all(|pair| pair.scale == first.scale);
    if pairs.len() == parts && has_one_scale && pairs.values().all(|pair| pair.a == first.a) {
        let b = pairs.values().flat_map(|pair| &pair.b).copied().collect();
        return Some(LowRankPair { b, outputs, ..first.clone() });
    }
    let scale = if has_one_scale { first.scale } else { 1.0 };
    let rank: usize = pairs.values().map(|pair| pair.rank).sum();
    let mut a = Vec::with_capacity(rank * inputs);
    let mut b = vec![0.0; outputs * rank];
    let mut column = 0;
    for (part, pair) in pairs {
        let own = if has_one_scale { (*pair).clone() } else { pair.folded() };
        a.extend_from_slice(&own.a);
        for (row, weights) in own.b.chunks_exact(own.rank).enumerate() {
            let start = (part * rows + row) * rank + column;
            b[start..start + own.rank].copy_from_slice(weights);
        }
        column += own.rank;
    }
    Some(LowRankPair { a, b, rank, inputs, outputs, kernel: None, scale })
}

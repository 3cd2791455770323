//! What a LoRA file's keys and shapes say, whatever dialect it speaks: which modules it adapts, in which tensors, for
//! which model. Only the header is looked at.

pub mod bfl;
pub mod detect;
pub mod kohya;
pub mod peft;

use std::collections::{BTreeMap, BTreeSet};

use self::{
    bfl::Mapping,
    detect::{AdapterFacts, Family},
    peft::Part,
};
use super::save::Layout;
use crate::{
    error::{Error, Result},
    weights::safetensors::{Header, TensorEntry},
};

/// A pair of matrices in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The module as the file names it.
    pub name: String,
    /// The modules that it stands for.
    pub mapping: Mapping,
    /// Key of A.
    pub down: String,
    /// Key of B.
    pub up: String,
    /// Key of alpha, if the file states one.
    pub alpha: Option<String>,
    /// Rank.
    pub rank: usize,
    /// Features in.
    pub inputs: usize,
    /// Features out, of all modules together.
    pub outputs: usize,
    /// Height and width of a convolution's kernel; a matrix has none.
    pub kernel: Option<[usize; 2]>,
}

/// What a header says.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Pairs, by the file's names.
    pub groups: Vec<Group>,
    /// Keys that are not understood.
    pub unmatched: Vec<String>,
    /// Keys in all.
    pub keys: usize,
    /// Layout of the first pair.
    pub layout: Layout,
    /// What it was made for.
    pub facts: AdapterFacts,
}

/// Pieces of keys that only other kinds of adapters have, and their names.
const OTHER_KINDS: &[(&str, &str)] = &[
    ("lokr_w1", "LoKr"),
    ("lokr_w1_a", "LoKr"),
    ("lokr_w1_b", "LoKr"),
    ("lokr_w2", "LoKr"),
    ("lokr_w2_a", "LoKr"),
    ("lokr_w2_b", "LoKr"),
    ("lokr_t2", "LoKr"),
    ("hada_w1_a", "LoHa"),
    ("hada_w1_b", "LoHa"),
    ("hada_w2_a", "LoHa"),
    ("hada_w2_b", "LoHa"),
    ("hada_t1", "LoHa"),
    ("hada_t2", "LoHa"),
    ("oft_diag", "OFT"),
    ("oft_r", "OFT"),
    ("oft_R", "OFT"),
    ("boft_R", "BOFT"),
    ("boft_s", "BOFT"),
    ("ia3_l", "IA3"),
    ("on_input", "IA3"),
    ("vera_lambda_b", "VeRA"),
    ("vera_lambda_d", "VeRA"),
    ("dora_scale", "DoRA"),
    ("lora_magnitude_vector", "DoRA"),
    ("lora_mid", "LoCon with a Tucker core"),
    ("diff", "full differences of weights"),
    ("diff_b", "full differences of weights"),
    ("set_weight", "replaced weights"),
    ("w_norm", "LyCORIS norms"),
    ("b_norm", "LyCORIS norms"),
];

/// Looks at a header.
///
/// # Errors
/// [`Error::Lora`] for other kinds of adapters and FLUX.1's by name, for pairs that are not whole or contradict
/// themselves, and for files without a pair that is understood.
pub fn survey(header: &Header) -> Result<Survey> {
    header.tensors.iter().try_for_each(|(key, entry)| refuse_other_kinds(key, entry))?;
    let mut unmatched = Vec::new();
    let modules = by_module(header, &mut unmatched);
    if let Some(name) = modules.keys().find(|name| detect::is_flux1_module(name)) {
        return Err(detect::refused_flux1(&format!("its module `{name}` is only there")));
    }
    let mut layout = None;
    let mut groups = Vec::new();
    for (name, parts) in modules {
        let whole_or_broken = parts.contains_key(&Part::Down) || parts.contains_key(&Part::Up);
        match find(&name).filter(|_| whole_or_broken) {
            Some((mapping, spoken)) => {
                layout.get_or_insert(spoken);
                groups.push(group(header, name, mapping, &parts)?);
            }
            None => unmatched.extend(parts.into_values().map(str::to_owned)),
        }
    }
    let Some(layout) = layout else { return Err(nothing_understood(header)) };
    let facts = detect::facts(&shapes(&groups), &header.metadata)?;
    if let Some(key) = unmatched.iter().find(|key| facts.is_like_flux1 && detect::is_flux1_key(key)) {
        return Err(detect::refused_flux1(&format!("its key `{key}` is only there")));
    }
    if facts.family == Family::Flux2 {
        // Pairs for text encoders are not FLUX.2's: its encoders are never adapted.
        let (ours, others) =
            groups.into_iter().partition(|group| group.mapping.modules.iter().all(|name| bfl::is_diffusers(name)));
        groups = ours;
        let others: Vec<Group> = others;
        unmatched
            .extend(others.into_iter().flat_map(|group| [Some(group.down), Some(group.up), group.alpha]).flatten());
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = groups.iter().flat_map(|group| &group.mapping.modules).find(|name| !seen.insert(name.as_str()))
    {
        return Err(Error::Lora(format!("The file adapts the module `{twice}` twice, under two names.")));
    }
    unmatched.sort();
    Ok(Survey { groups, unmatched, keys: header.tensors.len(), layout, facts })
}

/// A refusal of another kind of adapter.
fn refused(kind: &str, key: &str) -> Error {
    Error::Lora(format!("This file is no plain LoRA but holds {kind} (its key `{key}`), which is not supported."))
}

fn refuse_other_kinds(key: &str, entry: &TensorEntry) -> Result<()> {
    let pieces: Vec<&str> = key.split('.').collect();
    if let Some((_, kind)) = OTHER_KINDS.iter().find(|(piece, _)| pieces[1..].contains(piece)) {
        return Err(refused(kind, key));
    }
    if pieces[1..].contains(&"oft_blocks") {
        // Blocks of a butterfly have one axis more.
        return Err(refused(if entry.shape.len() > 3 { "BOFT" } else { "OFT" }, key));
    }
    match pieces[..] {
        [.., "a1" | "a2" | "b1" | "b2", "weight"] => Err(refused("GLoRA", key)),
        [.., "lora_A" | "lora_B", "bias"] | [.., "lora_down" | "lora_up", "bias"] => Err(refused("biases", key)),
        _ => Ok(()),
    }
}

type Parts<'a> = BTreeMap<Part, &'a str>;

/// Keys by module.
fn by_module<'a>(header: &'a Header, unmatched: &mut Vec<String>) -> BTreeMap<String, Parts<'a>> {
    let mut modules: BTreeMap<String, Parts<'a>> = BTreeMap::new();
    for key in header.tensors.keys() {
        let place = peft::split(key).map(|(module, part)| (modules.entry(module).or_default(), part));
        match place {
            Some((parts, part)) if !parts.contains_key(&part) => {
                parts.insert(part, key);
            }
            _ => unmatched.push(key.clone()),
        }
    }
    modules
}

/// The modules that a name stands for, and the layout that it speaks.
fn find(module: &str) -> Option<(Mapping, Layout)> {
    kohya::from_kohya(module).map(|mapping| (mapping, Layout::Kohya)).or_else(|| peft::from_dotted(module))
}

fn group(header: &Header, name: String, mapping: Mapping, parts: &Parts<'_>) -> Result<Group> {
    let (Some(down), Some(up)) = (parts.get(&Part::Down), parts.get(&Part::Up)) else {
        return Err(Error::Lora(format!(
            "The module `{name}` has only one of its two matrices; the file is not whole."
        )));
    };
    let shape = |key: &str| header.tensors.get(key).map(|entry| entry.shape.as_slice()).unwrap_or_default();
    let (down_shape, up_shape) = (shape(down), shape(up));
    let not_fitting = || {
        Error::Lora(format!(
            "The matrices of `{name}` have the shapes {down_shape:?} and {up_shape:?}, which are no low-rank pair."
        ))
    };
    let ([rank, down_inputs @ ..], [outputs, up_rank, up_kernel @ ..]) = (down_shape, up_shape) else {
        return Err(not_fitting());
    };
    let is_matrix_or_convolution = matches!((down_inputs.len(), up_kernel.len()), (1, 0) | (3, 2));
    // Sizes beside a zero are not bounded by the file's.
    let inputs = down_inputs.iter().try_fold(1usize, |product, size| product.checked_mul(*size)).unwrap_or_default();
    let fits = is_matrix_or_convolution
        && rank == up_rank
        && [*rank, inputs, *outputs].iter().all(|size| *size > 0)
        && up_kernel.iter().all(|size| *size == 1)
        && outputs.is_multiple_of(mapping.modules.len())
        && (!mapping.swaps_halves || outputs.is_multiple_of(2));
    if !fits {
        return Err(not_fitting());
    }
    let alpha = parts.get(&Part::Alpha).map(|key| (*key).to_owned());
    if let Some(key) = alpha.as_deref().filter(|key| shape(key).iter().any(|size| *size != 1)) {
        return Err(Error::Lora(format!("The alpha `{key}` has the shape {:?} and is not one number.", shape(key))));
    }
    let (down, up) = ((*down).to_owned(), (*up).to_owned());
    let kernel = match down_inputs {
        [_, height, width] => Some([*height, *width]),
        _ => None,
    };
    Ok(Group { down, up, alpha, rank: *rank, inputs, outputs: *outputs, kernel, name, mapping })
}

/// Features in and out of every module.
fn shapes(groups: &[Group]) -> BTreeMap<&str, [usize; 2]> {
    let of_group = |group| {
        let Group { mapping, inputs, outputs, .. }: &Group = group;
        let rows = outputs / mapping.modules.len();
        mapping.modules.iter().map(move |name| (name.as_str(), [*inputs, rows]))
    };
    groups.iter().flat_map(of_group).collect()
}

fn nothing_understood(header: &Header) -> Error {
    let Some(first) = header.tensors.keys().next() else { return Error::Lora("The file holds no tensors.".to_owned()) };
    let is_whole_model =
        header.tensors.keys().filter_map(|key| key.strip_suffix(".weight")).any(|name| find(name).is_some());
    if is_whole_model {
        return Error::Lora(
            "The file holds a model's own weights and not a LoRA; bring it as a base model.".to_owned(),
        );
    }
    Error::Lora(format!(
        "No key of the file, the first being `{first}`, names a pair of matrices for a module of FLUX.2 or SDXL; it was \
         made for another model."
    ))
}

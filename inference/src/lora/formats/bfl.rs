//! Names of FLUX.2's modules: Black Forest Labs' with their joined projections, and diffusers' that they stand for.
//! The pairs are those of diffusers' `_convert_non_diffusers_flux2_lora_to_diffusers`
//! (`loaders/lora_conversion_utils.py`).

/// The diffusers modules that a module of a file stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// diffusers' modules; several share the rows of a joined projection in this order.
    pub modules: Vec<String>,
    /// Whether the two halves of the output are exchanged: Black Forest Labs' last normalisation gives (shift,
    /// scale), diffusers' (scale, shift).
    pub swaps_halves: bool,
}

impl Mapping {
    /// A module that stands for itself alone.
    pub(super) fn one(module: String) -> Self {
        Self { modules: vec![module], swaps_halves: false }
    }
}

/// Modules of a block: Black Forest Labs' name within the block, and diffusers' names within theirs.
type BlockModules = &'static [(&'static str, &'static [&'static str])];

/// Modules of a double block.
const DOUBLE: BlockModules = &[
    ("img_attn.qkv", &["attn.to_q", "attn.to_k", "attn.to_v"]),
    ("txt_attn.qkv", &["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"]),
    ("img_attn.proj", &["attn.to_out.0"]),
    ("txt_attn.proj", &["attn.to_add_out"]),
    ("img_mlp.0", &["ff.linear_in"]),
    ("img_mlp.2", &["ff.linear_out"]),
    ("txt_mlp.0", &["ff_context.linear_in"]),
    ("txt_mlp.2", &["ff_context.linear_out"]),
];

/// Modules of a single block.
const SINGLE: BlockModules = &[("linear1", &["attn.to_qkv_mlp_proj"]), ("linear2", &["attn.to_out"])];

/// The module whose halves the two layouts order differently.
const LAST_NORM: &str = "norm_out.linear";

/// Modules that stand once.
const OUTER: &[(&str, &str)] = &[
    ("img_in", "x_embedder"),
    ("txt_in", "context_embedder"),
    ("time_in.in_layer", "time_guidance_embed.timestep_embedder.linear_1"),
    ("time_in.out_layer", "time_guidance_embed.timestep_embedder.linear_2"),
    ("guidance_in.in_layer", "time_guidance_embed.guidance_embedder.linear_1"),
    ("guidance_in.out_layer", "time_guidance_embed.guidance_embedder.linear_2"),
    ("double_stream_modulation_img.lin", "double_stream_modulation_img.linear"),
    ("double_stream_modulation_txt.lin", "double_stream_modulation_txt.linear"),
    ("single_stream_modulation.lin", "single_stream_modulation.linear"),
    ("final_layer.linear", "proj_out"),
    ("final_layer.adaLN_modulation.1", LAST_NORM),
];

/// The two kinds of blocks: Black Forest Labs' stack, diffusers' stack, modules.
const STACKS: &[(&str, &str, BlockModules)] =
    &[("double_blocks", "transformer_blocks", DOUBLE), ("single_blocks", "single_transformer_blocks", SINGLE)];

/// diffusers' modules of one of Black Forest Labs' modules.
pub fn from_bfl(module: &str) -> Option<Mapping> {
    if let Some((_, diffusers)) = OUTER.iter().find(|(bfl, _)| *bfl == module) {
        return Some(Mapping { modules: vec![(*diffusers).to_owned()], swaps_halves: *diffusers == LAST_NORM });
    }
    let (stack, rest) = module.split_once('.')?;
    let (number, inner) = rest.split_once('.')?;
    let (_, theirs, table) = STACKS.iter().find(|(bfl, ..)| *bfl == stack)?;
    let (_, names) = table.iter().find(|(bfl, _)| *bfl == inner)?;
    let number = block_number(number)?;
    let modules = names.iter().map(|name| format!("{theirs}.{number}.{name}")).collect();
    Some(Mapping { modules, swaps_halves: false })
}

/// Where one of diffusers' modules stands in Black Forest Labs' layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Black Forest Labs' module.
    pub module: String,
    /// The place among the modules that share its rows, from 0.
    pub part: usize,
    /// How many modules share its rows: 1 or 3.
    pub parts: usize,
}

/// Black Forest Labs' module of one of diffusers', if it has one. The last normalisation's modulation has none:
/// programs disagree on the order of its halves.
pub fn to_bfl(module: &str) -> Option<Place> {
    if module == LAST_NORM {
        return None;
    }
    if let Some((bfl, _)) = OUTER.iter().find(|(_, diffusers)| *diffusers == module) {
        return Some(Place { module: (*bfl).to_owned(), part: 0, parts: 1 });
    }
    let (stack, rest) = module.split_once('.')?;
    let (number, inner) = rest.split_once('.')?;
    let (ours, _, table) = STACKS.iter().find(|(_, diffusers, _)| *diffusers == stack)?;
    let number = block_number(number)?;
    table.iter().find_map(|(bfl, names)| {
        let part = names.iter().position(|name| *name == inner)?;
        Some(Place { module: format!("{ours}.{number}.{bfl}"), part, parts: names.len() })
    })
}

/// A name of which every point was made an underscore, as kohya's files have it: Black Forest Labs' names or
/// diffusers'.
pub fn from_flat(flat: &str) -> Option<Mapping> {
    let is = |name: &str, flat: &str| name.replace('.', "_") == flat;
    if let Some((bfl, _)) = OUTER.iter().find(|(bfl, _)| is(bfl, flat)) {
        return from_bfl(bfl);
    }
    if let Some((_, diffusers)) = OUTER.iter().find(|(_, diffusers)| is(diffusers, flat)) {
        return Some(Mapping::one((*diffusers).to_owned()));
    }
    STACKS.iter().find_map(|(bfl_stack, diffusers_stack, table)| {
        let within = |stack: &str| flat.strip_prefix(stack)?.strip_prefix('_')?.split_once('_');
        if let Some((number, inner)) = within(bfl_stack) {
            let (bfl, _) = table.iter().find(|(bfl, _)| is(bfl, inner))?;
            return from_bfl(&format!("{bfl_stack}.{number}.{bfl}"));
        }
        let (number, inner) = within(diffusers_stack)?;
        let name = table.iter().flat_map(|(_, names)| *names).find(|name| is(name, inner))?;
        Some(Mapping::one(format!("{diffusers_stack}.{}.{name}", block_number(number)?)))
    })
}

/// Whether diffusers reads a module from a file with kohya's names: `_convert_kohya_flux2_lora_to_diffusers` knows the blocks,
/// what leads into them and out of them and what embeds the time, and neither the modulations nor what embeds the guidance.
pub fn is_read_from_kohya(module: &str) -> bool {
    !module.contains("modulation") && !module.contains("guidance_embedder") && module != LAST_NORM
}

/// Whether a name is one of diffusers' FLUX.2 modules.
pub fn is_diffusers(module: &str) -> bool {
    module == LAST_NORM || to_bfl(module).is_some()
}

/// A block's number: decimal digits without a sign or leading zeros.
pub(super) fn block_number(text: &str) -> Option<u32> {
    let is_plain =
        text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_is_found_again_under_each_of_its_names() {
        let blocks = DOUBLE.iter().map(|(bfl, _)| format!("double_blocks.3.{bfl}"));
        let singles = SINGLE.iter().map(|(bfl, _)| format!("single_blocks.11.{bfl}"));
        let outer = OUTER.iter().map(|(bfl, _)| (*bfl).to_owned());
        for bfl in blocks.chain(singles).chain(outer) {
            let mapping = from_bfl(&bfl).expect("a published name");
            assert_eq!(from_flat(&bfl.replace('.', "_")).as_ref(), Some(&mapping), "{bfl}");
            for (part, module) in mapping.modules.iter().enumerate() {
                assert!(is_diffusers(module), "{module}");
                assert_eq!(from_flat(&module.replace('.', "_")), Some(Mapping::one(module.clone())), "{module}");
                let place = Place { module: bfl.clone(), part, parts: mapping.modules.len() };
                assert_eq!(to_bfl(module), (module != LAST_NORM).then_some(place), "{module}");
            }
        }
        for strange in
            ["double_blocks.x.img_attn.qkv", "double_blocks.+1.img_attn.qkv", "double_blocks.01.img_attn.qkv"]
        {
            assert_eq!(from_bfl(strange), None);
        }
    }
}

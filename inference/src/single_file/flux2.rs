//! Checkpoints of FLUX.2's transformer under Black Forest Labs' names: `flux2/src/flux2/model.py`, and diffusers'
//! `convert_flux2_transformer_checkpoint_to_diffusers` (`loaders/single_file_utils.py`).

use super::{Change, Known, Place, Shape};
use crate::lora::formats::bfl::from_bfl;

/// The component that such a file holds.
const TRANSFORMER: &str = "transformer";

/// What other programs put before every name.
const PREFIXES: [&str; 2] = ["model.diffusion_model.", "diffusion_model."];

/// Normalisations of queries and keys: Black Forest Labs' name within a block, and diffusers'.
const NORMS: [(&str, &str); 6] = [
    ("img_attn.norm.query_norm.scale", "attn.norm_q.weight"),
    ("img_attn.norm.key_norm.scale", "attn.norm_k.weight"),
    ("txt_attn.norm.query_norm.scale", "attn.norm_added_q.weight"),
    ("txt_attn.norm.key_norm.scale", "attn.norm_added_k.weight"),
    ("norm.query_norm.scale", "attn.norm_q.weight"),
    ("norm.key_norm.scale", "attn.norm_k.weight"),
];

/// Where a tensor goes.
pub(super) fn known(name: &str, _: &Shape) -> Option<Known> {
    let name = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    let place = |name: String, change: Change| Place { component: TRANSFORMER, name, change };
    if let Some(name) = norm(name) {
        return Some(Known::Places(vec![place(name, Change::Nothing)]));
    }
    let (module, parameter) = name.rsplit_once('.')?;
    let mapping = from_bfl(module).filter(|_| ["weight", "bias"].contains(&parameter))?;
    let parts = mapping.modules.len();
    let places = mapping.modules.iter().enumerate().map(|(part, module)| {
        let change = match (mapping.swaps_halves, parts) {
            (true, _) => Change::HalvesSwapped,
            (false, 1) => Change::Nothing,
            _ => Change::Rows { part, parts },
        };
        place(format!("{module}.{parameter}"), change)
    });
    Some(Known::Places(places.collect()))
}

fn norm(name: &str) -> Option<String> {
    let (stack, rest) = name.split_once('.')?;
    let (number, inner) = rest.split_once('.')?;
    let stack = match stack {
        "double_blocks" => "transformer_blocks",
        "single_blocks" => "single_transformer_blocks",
        _ => return None,
    };
    let (_, diffusers) = NORMS.iter().find(|(bfl, _)| *bfl == inner)?;
    Some(format!("{stack}.{number}.{diffusers}"))
}

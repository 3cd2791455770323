//! What a LoRA was made for, told from the shapes of its tensors: not from its name, nor from what it declares.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    lora::metadata::declared,
};

/// A family of models whose LoRAs are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// FLUX.2.
    Flux2,
    /// Stable Diffusion XL.
    Sdxl,
    /// Stable Diffusion 1.
    Sd1,
}

impl Family {
    /// Its name in reports and in the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flux2 => "flux2",
            Self::Sdxl => "sdxl",
            Self::Sd1 => "sd1",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What a LoRA was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterFacts {
    /// Family.
    pub family: Family,
    /// `klein-4b`, `klein-9b` or `dev` for FLUX.2's published widths and `width-192`, … for others; `base` for SDXL
    /// and SD 1.
    pub variant: String,
    /// Width of the network's streams; 0 where no pair shows it, and for UNets, which have several.
    pub hidden_width: u32,
    /// Width of the text context; 0 where no pair shows it and the width of the network implies none.
    pub context_width: u32,
    /// Whether the adapted modules look the same in FLUX.1, so that the shapes alone do not rule it out.
    pub is_like_flux1: bool,
}

/// FLUX.2's published widths: text context, network, short name, name.
const FLUX2: &[(u32, u32, &str, &str)] = &[
    (7680, 3072, "klein-4b", "FLUX.2 [klein] 4B"),
    (12288, 4096, "klein-9b", "FLUX.2 [klein] 9B"),
    (15360, 6144, "dev", "FLUX.2 [dev]"),
];

/// The width of FLUX.1, which FLUX.2 [klein] 4B has as well.
const FLUX1_WIDTH: usize = 3072;

/// Blocks of FLUX.2 [klein] 4B: double, single. FLUX.1 has 19 and 38.
const KLEIN_4B_BLOCKS: (usize, usize) = (5, 20);

/// Detects from the features in and out of every module.
///
/// # Errors
/// [`Error::Lora`] for FLUX.1, by name, and when no module tells a family.
pub fn facts(shapes: &BTreeMap<&str, [usize; 2]>, metadata: &BTreeMap<String, String>) -> Result<AdapterFacts> {
    let has = |prefix: &str| shapes.keys().any(|name| name.starts_with(prefix));
    if shapes.keys().any(|name| super::bfl::is_diffusers(name)) {
        let facts = flux2(shapes);
        if let Some(reason) = flux1_evidence(shapes) {
            return Err(refused_flux1(&reason));
        }
        if facts.is_like_flux1 && declared(metadata).is_some_and(|text| declares_flux1(&text)) {
            return Err(refused_flux1("its metadata says so, and its shapes allow it"));
        }
        return Ok(facts);
    }
    let context_width = unet_context_width(shapes);
    let has_deep_attention = shapes.keys().any(|name| {
        let depth = name.split_once(".transformer_blocks.").and_then(|(_, rest)| rest.split_once('.'));
        depth.is_some_and(|(number, _)| number != "0")
    });
    let has_four_levels = has("unet.down_blocks.0.attentions") || has("unet.down_blocks.3") || has("unet.up_blocks.3");
    let family = match context_width {
        2048 => Family::Sdxl,
        768 => Family::Sd1,
        1024 => {
            return Err(Error::Lora("This LoRA was made for Stable Diffusion 2, which is not supported.".to_owned()));
        }
        _ if has_deep_attention || has("text_encoder_2") || has("unet.add_embedding") => Family::Sdxl,
        _ if has_four_levels || !has("unet") => Family::Sd1,
        _ => Family::Sdxl,
    };
    Ok(of_unet(family, context_width))
}

/// The facts of an SDXL LoRA.
pub fn sdxl(shapes: &BTreeMap<&str, [usize; 2]>) -> AdapterFacts {
    of_unet(Family::Sdxl, unet_context_width(shapes))
}

/// Width of the text that a UNet attends to; 0 where no pair shows it.
fn unet_context_width(shapes: &BTreeMap<&str, [usize; 2]>) -> u32 {
    let context = shapes.iter().find(|(name, _)| name.ends_with("attn2.to_k") || name.ends_with("attn2.to_v"));
    context.map_or(0, |(_, [inputs, _])| *inputs as u32)
}

fn of_unet(family: Family, context_width: u32) -> AdapterFacts {
    let context_width = match (context_width, family) {
        (0, Family::Sdxl) => 2048,
        (0, Family::Sd1) => 768,
        (width, _) => width,
    };
    AdapterFacts { family, variant: "base".to_owned(), hidden_width: 0, context_width, is_like_flux1: false }
}

/// The facts of a FLUX.2 LoRA.
pub fn flux2(shapes: &BTreeMap<&str, [usize; 2]>) -> AdapterFacts {
    let hidden = hidden_width(shapes);
    let shown = shapes.get("context_embedder").map(|[inputs, _]| *inputs as u32);
    let named =
        FLUX2.iter().find(|(context, width, ..)| *width == hidden && shown.is_none_or(|shown| shown == *context));
    AdapterFacts {
        family: Family::Flux2,
        variant: named.map_or_else(|| format!("width-{hidden}"), |(_, _, variant, _)| (*variant).to_owned()),
        hidden_width: hidden,
        context_width: shown.or(named.map(|(context, ..)| *context)).unwrap_or_default(),
        is_like_flux1: hidden as usize == FLUX1_WIDTH && shapes.keys().all(|name| is_same_in_flux1(name)),
    }
}

/// The width of a FLUX.2 network's streams.
fn hidden_width(shapes: &BTreeMap<&str, [usize; 2]>) -> u32 {
    let side = |name: &str| {
        let layer = name.splitn(3, '.').nth(2).filter(|_| name.contains("transformer_blocks."));
        Some(match layer.unwrap_or(name) {
            "attn.to_q" | "attn.to_k" | "attn.to_v" | "attn.add_q_proj" | "attn.add_k_proj" | "attn.add_v_proj" => 0,
            "ff.linear_in" | "ff_context.linear_in" | "attn.to_qkv_mlp_proj" | "proj_out" | "norm_out.linear" => 0,
            "attn.to_out.0" | "attn.to_add_out" | "ff.linear_out" | "ff_context.linear_out" | "attn.to_out" => 1,
            "x_embedder" | "context_embedder" => 1,
            other if other.contains("modulation") => 0,
            other if other.starts_with("time_guidance_embed.") => 1,
            _ => return None,
        })
    };
    let widths = shapes.iter().filter_map(|(name, shape)| side(name).map(|side| shape[side]));
    super::super::adapter::most_frequent(widths) as u32
}

/// Whether FLUX.1 has the module with the same shape as FLUX.2 [klein] 4B.
fn is_same_in_flux1(module: &str) -> bool {
    module.starts_with("transformer_blocks.") && module.contains(".attn.")
        || module == "time_guidance_embed.timestep_embedder.linear_1"
        || module.starts_with("time_guidance_embed.") && module.ends_with("linear_2")
        || module == "norm_out.linear"
}

/// What shows that a LoRA was made for FLUX.1, if anything does: the widths of its feed-forward layers (12288 where
/// FLUX.2 [klein] 4B has 18432), of its inputs, and how deep it goes.
fn flux1_evidence(shapes: &BTreeMap<&str, [usize; 2]>) -> Option<String> {
    let width = FLUX1_WIDTH;
    shapes.iter().find_map(|(name, shape)| {
        let (stack, rest) = name.split_once('.').unwrap_or((name, ""));
        let (number, layer) = rest.split_once('.').unwrap_or_default();
        let theirs = match (stack, layer) {
            (_, "ff.linear_in" | "ff_context.linear_in") => [width, 4 * width],
            (_, "ff.linear_out" | "ff_context.linear_out") => [4 * width, width],
            ("single_transformer_blocks", "attn.to_qkv_mlp_proj") => [width, 7 * width],
            ("single_transformer_blocks", "attn.to_out") => [5 * width, width],
            ("context_embedder", _) => [4096, width],
            ("x_embedder", _) => [64, width],
            ("proj_out", _) => [width, 64],
            _ => [0, 0],
        };
        if *shape == theirs {
            return Some(format!("its `{name}` takes {} numbers to {}", shape[0], shape[1]));
        }
        let blocks = match stack {
            "transformer_blocks" => KLEIN_4B_BLOCKS.0,
            "single_transformer_blocks" => KLEIN_4B_BLOCKS.1,
            _ => return None,
        };
        let is_too_deep = shape.contains(&width) && number.parse().is_ok_and(|number: usize| number >= blocks);
        is_too_deep.then(|| format!("it is {width} wide and reaches the block `{stack}.{number}`"))
    })
}

/// Whether a module, as a file names it, is one that FLUX.1 has and FLUX.2 has not.
pub(super) fn is_flux1_module(name: &str) -> bool {
    const ONLY_THERE: &[&str] = &[
        ".img_mod.lin",
        ".txt_mod.lin",
        "_img_mod_lin",
        "_txt_mod_lin",
        ".modulation.lin",
        "_modulation_lin",
        "vector_in.",
        "lora_unet_vector_in_",
        ".proj_mlp",
        "_proj_mlp",
    ];
    // FLUX.2's modulations are called `…_modulation.lin`, and stand outside of the blocks.
    let is_block =
        name.contains("double_blocks") || name.contains("single_blocks") || name.contains("transformer_blocks");
    let is_single = name.contains("single_transformer_blocks");
    ONLY_THERE.iter().any(|piece| name.contains(piece) && (is_block || !piece.contains("modulation")))
        || is_single
            && [".attn.to_q", ".attn.to_k", ".attn.to_v", "_attn_to_k", "_attn_to_v", ".norm.linear"]
                .iter()
                .any(|end| name.ends_with(end))
}

/// Whether a key beside attention pairs that FLUX.1 has as well is for a feed-forward layer or norm as FLUX.1 has
/// them.
pub(super) fn is_flux1_key(key: &str) -> bool {
    ["ff.net.", "ff_net_", "ff_context.net.", "ff_context_net_", "norm1.linear", "norm1_context", "time_text_embed"]
        .iter()
        .any(|piece| key.contains(piece))
}

/// The refusal of a LoRA for FLUX.1.
pub(super) fn refused_flux1(reason: &str) -> Error {
    Error::Lora(format!(
        "This LoRA was made for FLUX.1 ({reason}), which is not FLUX.2; choose one made for FLUX.2 or SDXL."
    ))
}

fn declares_flux1(declared: &str) -> bool {
    let plain: String = declared.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    plain.contains("flux1") || plain == "flux" || plain == "fluxdev" || plain == "fluxschnell"
}

/// A family and its two widths: what decides whether a LoRA and a model belong together.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// Name of the family, as [`Family`] shows itself.
    pub family: &'a str,
    /// Width of the network's streams; 0 where it is not known.
    pub hidden_width: u32,
    /// Width of the text context; 0 where it is not known.
    pub context_width: u32,
}

impl Base<'_> {
    /// What people call it.
    fn name(self) -> String {
        let Self { family, hidden_width, context_width } = self;
        let matches = |known: u32, width: u32| width == 0 || known == width;
        match family {
            "flux2" => {
                let named = FLUX2
                    .iter()
                    .find(|(context, hidden, ..)| *hidden == hidden_width && matches(*context, context_width));
                if let Some((.., name)) = named {
                    return (*name).to_owned();
                }
                let context =
                    if context_width == 0 { String::new() } else { format!(" and text width {context_width}") };
                format!("a FLUX.2 model of width {hidden_width}{context}")
            }
            "sdxl" if matches(2048, context_width) => "SDXL".to_owned(),
            "sdxl" => format!("an SDXL model of text width {context_width}"),
            "sd1" => "Stable Diffusion 1".to_owned(),
            other => format!("{other} of width {hidden_width} and text width {context_width}"),
        }
    }
}

/// Whether a LoRA belongs to a model. A width that the LoRA does not show (0) fits any.
///
/// # Errors
/// [`Error::Lora`] with both names when it does not.
pub fn fits(lora: Base<'_>, model: Base<'_>) -> Result<()> {
    let agrees = |ours: u32, theirs: u32| ours == 0 || theirs == 0 || ours == theirs;
    if lora.family == model.family
        && agrees(lora.hidden_width, model.hidden_width)
        && agrees(lora.context_width, model.context_width)
    {
        return Ok(());
    }
    Err(Error::Lora(format!(
        "This LoRA was made for {}, and the model is {}; choose a LoRA and a model that belong together.",
        lora.name(),
        model.name(),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(shapes: &[(&'static str, [usize; 2])]) -> Result<AdapterFacts> {
        facts(&shapes.iter().copied().collect(), &BTreeMap::new())
    }

    #[test]
    fn published_widths_have_names_and_others_are_numbers() {
        let widths = [(3072, 7680, "klein-4b"), (4096, 12288, "klein-9b"), (6144, 15360, "dev")];
        for (hidden, context, variant) in widths {
            let one = detected(&[("transformer_blocks.0.ff.linear_in", [hidden, 6 * hidden])]).expect("FLUX.2");
            assert_eq!((one.variant.as_str(), one.context_width), (variant, context));
            assert!(!one.is_like_flux1);
        }
        let own = detected(&[("single_transformer_blocks.3.attn.to_out", [768, 192])]).expect("FLUX.2");
        assert_eq!((own.variant.as_str(), own.hidden_width, own.context_width), ("width-192", 192, 0));
    }

    #[test]
    fn flux1_is_refused_by_name_and_klein_is_not() {
        let flux1: &[(&'static str, [usize; 2])] = &[
            ("transformer_blocks.0.ff.linear_in", [3072, 12288]),
            ("single_transformer_blocks.0.attn.to_qkv_mlp_proj", [3072, 21504]),
            ("transformer_blocks.18.attn.to_q", [3072, 3072]),
            ("context_embedder", [4096, 3072]),
        ];
        for module in flux1 {
            let refusal = detected(&[*module]).expect_err("FLUX.1").to_string();
            assert!(refusal.contains("FLUX.1"), "{refusal}");
        }
        let klein = detected(&[("transformer_blocks.4.attn.to_q", [3072, 3072])]).expect("klein");
        assert!(klein.is_like_flux1);
        let says = BTreeMap::from([("modelspec.architecture".to_owned(), "flux-1-dev/lora".to_owned())]);
        assert!(facts(&BTreeMap::from([("transformer_blocks.4.attn.to_q", [3072, 3072])]), &says).is_err());
        for name in ["lora_unet_single_blocks_3_modulation_lin", "transformer.single_transformer_blocks.0.attn.to_q"] {
            assert!(is_flux1_module(name), "{name}");
        }
        for name in [
            "diffusion_model.single_stream_modulation.lin",
            "lora_unet_double_stream_modulation_img_lin",
            "transformer.transformer_blocks.0.attn.to_q",
        ] {
            assert!(!is_flux1_module(name), "{name}");
        }
    }

    #[test]
    fn the_refusal_of_a_wrong_base_names_both() {
        fn base(facts: &AdapterFacts) -> Base<'_> {
            let AdapterFacts { hidden_width, context_width, .. } = *facts;
            Base { family: facts.family.name(), hidden_width, context_width }
        }
        let flux2 = |hidden_width, context_width| Base { family: "flux2", hidden_width, context_width };
        let sdxl_base = Base { family: "sdxl", hidden_width: 320, context_width: 2048 };
        let lora = detected(&[("transformer_blocks.0.ff.linear_in", [4096, 24576])]).expect("FLUX.2");
        assert!(fits(base(&lora), flux2(4096, 12288)).is_ok());
        let refusal = fits(base(&lora), flux2(3072, 7680)).expect_err("another model").to_string();
        assert!(refusal.contains("FLUX.2 [klein] 9B") && refusal.contains("FLUX.2 [klein] 4B"), "{refusal}");
        let sdxl = detected(&[("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", [2048, 640])])
            .expect("SDXL");
        let sd1 =
            detected(&[("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", [768, 640])]).expect("SD 1");
        assert!(fits(base(&sdxl), sdxl_base).is_ok());
        let refusal = fits(base(&sd1), sdxl_base).expect_err("another model").to_string();
        assert!(refusal.contains("Stable Diffusion 1") && refusal.contains("SDXL"), "{refusal}");
        // A width that the LoRA does not show is no reason to refuse it.
        let own = detected(&[("transformer_blocks.0.attn.to_q", [192, 192])]).expect("FLUX.2");
        assert!(fits(base(&own), flux2(192, 576)).is_ok() && fits(base(&own), flux2(256, 576)).is_err());
    }
}

//! Dotted names: diffusers' and PEFT's own, and the prefixes under which trainers write them; how the two matrices of
//! a pair are spelled; and `lora_adapter_metadata`, where newer files keep alpha. Sources: diffusers
//! `utils/state_dict_utils.py`, `loaders/lora_base.py`; PEFT `utils/save_and_load.py`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    bfl::{self, Mapping},
    kohya,
};
use crate::{
    error::{Error, Result},
    lora::save::Layout,
};

/// Prefixes before a FLUX.2 module's path.
const PREFIXES: &[&str] = &["base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer."];

/// The key of the metadata that keeps PEFT's configurations.
pub const CONFIGURATION_KEY: &str = "lora_adapter_metadata";

/// Which tensor of a pair a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A, from the features in to the rank.
    Down,
    /// B, from the rank to the features out.
    Up,
    /// alpha.
    Alpha,
}

/// Endings of keys, of which the longest stand before those that they end in.
const ENDINGS: &[(&str, Part)] = &[
    (".lora_linear_layer.down.weight", Part::Down),
    (".lora_linear_layer.up.weight", Part::Up),
    (".lora.down.weight", Part::Down),
    (".lora.up.weight", Part::Up),
    ("_lora.down.weight", Part::Down),
    ("_lora.up.weight", Part::Up),
    (".lora_down.weight", Part::Down),
    (".lora_up.weight", Part::Up),
    (".lora_A.weight", Part::Down),
    (".lora_B.weight", Part::Up),
    (".lora_A", Part::Down),
    (".lora_B", Part::Up),
    (".alpha", Part::Alpha),
];

/// The module that a key belongs to, and which of its tensors it names.
pub fn split(key: &str) -> Option<(String, Part)> {
    if let Some((ending, part)) = ENDINGS.iter().find(|(ending, _)| key.ends_with(ending)) {
        let module = &key[..key.len() - ending.len()];
        if ending.starts_with('_') {
            return Some((attention_of_processor(module), *part));
        }
        return Some((module.to_owned(), *part));
    }
    // PEFT names the adapter between the matrix and `weight`.
    let (module_and_matrix, adapter) = key.strip_suffix(".weight")?.rsplit_once('.')?;
    let is_name =
        !adapter.is_empty() && adapter.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let (module, part) = match module_and_matrix.rsplit_once('.')? {
        (module, "lora_A") => (module, Part::Down),
        (module, "lora_B") => (module, Part::Up),
        _ => return None,
    };
    is_name.then(|| (module.to_owned(), part))
}

/// The layer that the oldest spelling names: `…attn1.processor.to_q_lora.down.weight`.
fn attention_of_processor(module: &str) -> String {
    let module = module.replace(".processor.", ".");
    let is_text_encoder = module.starts_with("text_encoder");
    let Some((attention, layer)) = module.rsplit_once('.') else { return module };
    let layer = match (layer, is_text_encoder) {
        ("to_q", true) => "q_proj",
        ("to_k", true) => "k_proj",
        ("to_v", true) => "v_proj",
        ("to_out", true) => "out_proj",
        ("to_out", false) if attention.contains("attn1") || attention.contains("attn2") => "to_out.0",
        (layer, _) => layer,
    };
    format!("{attention}.{layer}")
}

/// The modules that a dotted name stands for, and the layout that it speaks.
pub fn from_dotted(module: &str) -> Option<(Mapping, Layout)> {
    let module = module.strip_prefix("base_model.model.").unwrap_or(module);
    for part in ["text_encoder_2", "text_encoder", "unet"] {
        if let Some(path) = module.strip_prefix(part).and_then(|rest| rest.strip_prefix('.')) {
            let path = if part == "unet" { kohya::unet(path) } else { kohya::text_encoder(path) };
            return path.map(|path| (Mapping::one(format!("{part}.{path}")), Layout::Diffusers));
        }
    }
    let mut name = module;
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    if bfl::is_diffusers(name) {
        return Some((Mapping::one(name.to_owned()), Layout::Diffusers));
    }
    bfl::from_bfl(name).map(|mapping| (mapping, Layout::Bfl))
}

/// PEFT's configuration of one adapted part of a pipeline.
#[derive(Clone, Debug, Default, PartialEq)]
struct Configuration {
    alpha: Option<f64>,
    alpha_pattern: BTreeMap<String, f64>,
    is_rank_stabilised: bool,
}

/// alpha as the metadata states it, for files that have no alpha tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatedAlphas {
    parts: BTreeMap<String, Configuration>,
}

impl StatedAlphas {
    /// Reads the configurations from a header's metadata.
    ///
    /// # Errors
    /// [`Error::Lora`] when they are there and not understood: reading on would apply the LoRA at a wrong strength.
    pub fn read(metadata: &BTreeMap<String, String>) -> Result<Self> {
        let Some(text) = metadata.get(CONFIGURATION_KEY) else { return Ok(Self::default()) };
        let not_understood =
            |what: &str| Error::Lora(format!("The metadata `{CONFIGURATION_KEY}` is not understood: {what}."));
        let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
            return Err(not_understood("it is no JSON object"));
        };
        let mut parts: BTreeMap<String, Configuration> = BTreeMap::new();
        for (key, value) in fields {
            let (part, field) = key.split_once('.').unwrap_or(("transformer", &key));
            let configuration = parts.entry(part.to_owned()).or_default();
            match (field, value) {
                ("lora_alpha", Value::Number(alpha)) => configuration.alpha = alpha.as_f64(),
                ("alpha_pattern", Value::Object(pattern)) => {
                    for (name, alpha) in pattern {
                        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.^".contains(&byte));
                        let alpha = alpha.as_f64().filter(|_| is_plain);
                        let alpha = alpha
                            .ok_or_else(|| not_understood(&format!("its alpha for `{name}` is no plain entry")))?;
                        configuration.alpha_pattern.insert(name, alpha);
                    }
                }
                ("lora_alpha" | "alpha_pattern", _) => {
                    return Err(not_understood(&format!("`{key}` has another form")));
                }
                ("use_rslora", value) => configuration.is_rank_stabilised = value == Value::Bool(true),
                ("use_dora", Value::Bool(true)) => return Err(super::refused("DoRA", &key)),
                _ => {}
            }
        }
        Ok(Self { parts })
    }

    /// The scale of a module's pair, 1 where nothing is stated.
    pub fn scale(&self, module: &str, rank: usize) -> f32 {
        let (part, path) = match module.split_once('.') {
            Some((part @ ("unet" | "text_encoder" | "text_encoder_2"), path)) => (part, path),
            _ => ("transformer", module),
        };
        let Some(configuration) = self.parts.get(part) else { return 1.0 };
        let own = configuration.alpha_pattern.iter().find(|(name, _)| match name.strip_prefix('^') {
            Some(whole) => whole == path,
            None => path.strip_suffix(name.as_str()).is_some_and(|before| before.is_empty() || before.ends_with('.')),
        });
        let Some(alpha) = own.map(|(_, alpha)| *alpha).or(configuration.alpha) else { return 1.0 };
        let divisor = if configuration.is_rank_stabilised { (rank as f64).sqrt() } else { rank as f64 };
        (alpha / divisor) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_pair_names_its_module() {
        let spellings = [
            ("transformer.x_embedder.lora_A.weight", "transformer.x_embedder", Part::Down),
            ("transformer.x_embedder.lora_B.default_0.weight", "transformer.x_embedder", Part::Up),
            ("unet.mid_block.attentions.0.proj_in.lora.down.weight", "unet.mid_block.attentions.0.proj_in", Part::Down),
            ("unet.a.attn1.processor.to_out_lora.up.weight", "unet.a.attn1.to_out.0", Part::Up),
            ("text_encoder.a.self_attn.to_q_lora.down.weight", "text_encoder.a.self_attn.q_proj", Part::Down),
            (
                "text_encoder.a.self_attn.q_proj.lora_linear_layer.up.weight",
                "text_encoder.a.self_attn.q_proj",
                Part::Up,
            ),
            ("lora_unet_img_in.lora_down.weight", "lora_unet_img_in", Part::Down),
            ("lora_unet_img_in.alpha", "lora_unet_img_in", Part::Alpha),
        ];
        for (key, module, part) in spellings {
            assert_eq!(split(key), Some((module.to_owned(), part)), "{key}");
        }
        for other in ["transformer.x_embedder.weight", "a.lora_C.default.weight", "lora_A.weight"] {
            assert_eq!(split(other), None, "{other}");
        }
    }

    #[test]
    fn stated_alphas_follow_pefts_rules() {
        let read = |text: &str| StatedAlphas::read(&BTreeMap::from([(CONFIGURATION_KEY.to_owned(), text.to_owned())]));
        let plain = read(
            r#"{"transformer.r":4,"transformer.lora_alpha":2,"transformer.alpha_pattern":{"to_q":8,"^x_embedder":1}}"#,
        );
        let plain = plain.expect("a configuration");
        assert_eq!(plain.scale("transformer_blocks.0.attn.to_k", 4), 0.5);
        assert_eq!(plain.scale("transformer_blocks.0.attn.to_q", 4), 2.0);
        assert_eq!(plain.scale("x_embedder", 4), 0.25);
        assert_eq!(plain.scale("unet.conv_in", 4), 1.0);
        let stabilised =
            read(r#"{"transformer.lora_alpha":2,"transformer.use_rslora":true}"#).expect("a configuration");
        assert_eq!(stabilised.scale("x_embedder", 4), 1.0);
        for bad in ["[]", "{", r#"{"transformer.lora_alpha":"2"}"#, r#"{"transformer.alpha_pattern":{"a[0-9]":1}}"#] {
            assert!(matches!(read(bad), Err(Error::Lora(_))), "{bad}");
        }
    }
}

//! kohya's names: one word a module, every point of its path made an underscore, with `lora_unet_`, `lora_te1_`, …
//! before. For UNets they are diffusers' block names or the original ("sgm") numbering. Source: kohya sd-scripts
//! `networks/lora.py`; the numbering is that of diffusers' `_maybe_map_sgm_blocks_to_diffusers`.

use super::bfl::{self, Mapping, block_number};

/// Prefixes of kohya's modules, and the part of a pipeline that each stands for.
const PREFIXES: &[(&str, &str)] = &[
    ("lora_unet_", "unet"),
    ("lora_transformer_", "unet"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te_", "text_encoder"),
];

/// Words of module paths that hold an underscore themselves, and those that only stand between them; the longest
/// match wins.
const WORDS: &[&str] = &[
    "down_blocks",
    "up_blocks",
    "mid_block",
    "input_blocks",
    "output_blocks",
    "middle_block",
    "attentions",
    "resnets",
    "transformer_blocks",
    "attn1",
    "attn2",
    "to_q",
    "to_k",
    "to_v",
    "to_out",
    "ff",
    "net",
    "proj",
    "proj_in",
    "proj_out",
    "conv",
    "conv1",
    "conv2",
    "conv_in",
    "conv_out",
    "conv_shortcut",
    "time_emb_proj",
    "downsamplers",
    "upsamplers",
    "time_embedding",
    "add_embedding",
    "linear_1",
    "linear_2",
    "in_layers",
    "out_layers",
    "emb_layers",
    "skip_connection",
    "op",
    "out",
    "time_embed",
    "label_emb",
    "text_model",
    "encoder",
    "layers",
    "self_attn",
    "q_proj",
    "k_proj",
    "v_proj",
    "out_proj",
    "mlp",
    "fc1",
    "fc2",
    "text_projection",
];

/// Modules of a UNet that stand once: the original path, and diffusers'.
const OUTER: &[(&str, &str)] = &[
    ("input_blocks.0.0", "conv_in"),
    ("out.2", "conv_out"),
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("label_emb.0.0", "add_embedding.linear_1"),
    ("label_emb.0.2", "add_embedding.linear_2"),
];

/// Modules of a residual block: the original path, and diffusers'.
const RESNET: &[(&str, &str)] = &[
    ("in_layers.2", "conv1"),
    ("out_layers.3", "conv2"),
    ("emb_layers.1", "time_emb_proj"),
    ("skip_connection", "conv_shortcut"),
];

/// Entries of the original numbering that make a block: two layers and what changes the size on the way down, three layers
/// on the way up.
const LAYERS: u32 = 3;

/// The most underscores within a word.
const LONGEST_WORD: usize = 3;

/// The modules that one of kohya's names stands for. UNet and text encoder modules have their part before the path.
pub fn from_kohya(module: &str) -> Option<Mapping> {
    let (flat, part) = PREFIXES.iter().find_map(|(prefix, part)| Some((module.strip_prefix(prefix)?, *part)))?;
    if part == "unet" {
        return bfl::from_flat(flat).or_else(|| Some(Mapping::one(format!("unet.{}", unet(&points(flat)?)?))));
    }
    text_encoder(&points(flat)?).map(|path| Mapping::one(format!("{part}.{path}")))
}

/// kohya's name of a module of SDXL, its part before the path: the original numbering for the UNet. None for a module that
/// has no name there.
pub fn to_kohya(module: &str) -> Option<String> {
    let parts = [("unet", "lora_unet_"), ("text_encoder", "lora_te1_"), ("text_encoder_2", "lora_te2_")];
    let (part, path) = module.split_once('.')?;
    let (_, prefix) = parts.iter().find(|(name, _)| *name == part)?;
    let path = if part == "unet" { to_sgm(path)? } else { text_encoder(path)? };
    Some(format!("{prefix}{}", path.replace('.', "_")))
}

/// Whether a path names a convolution of a UNet.
pub fn is_convolution(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or_default();
    ["conv", "conv1", "conv2", "conv_in", "conv_out", "conv_shortcut"].contains(&last)
}

/// A path with its points: `down_blocks_1_attentions_0_proj_in` gives `down_blocks.1.attentions.0.proj_in`.
fn points(flat: &str) -> Option<String> {
    let pieces: Vec<&str> = flat.split('_').collect();
    let mut words: Vec<String> = Vec::new();
    let mut at = 0;
    while at < pieces.len() {
        let longest = (1..=LONGEST_WORD.min(pieces.len() - at)).rev().find_map(|count| {
            let word = pieces[at..at + count].join("_");
            (WORDS.contains(&word.as_str()) || count == 1 && block_number(&word).is_some()).then_some((count, word))
        });
        let (count, word) = longest?;
        words.push(word);
        at += count;
    }
    Some(words.join("."))
}

/// A path within a CLIP text encoder, with the `text_model` that newer versions of its library leave out.
pub(super) fn text_encoder(path: &str) -> Option<String> {
    let inner = path.strip_prefix("text_model.").unwrap_or(path);
    if inner == "text_projection" {
        return Some(inner.to_owned());
    }
    let (number, module) = inner.strip_prefix("encoder.layers.")?.split_once('.')?;
    let known =
        ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2"];
    (block_number(number).is_some() && known.contains(&module)).then(|| format!("text_model.{inner}"))
}

/// A path within a UNet, under diffusers' block names.
pub(super) fn unet(path: &str) -> Option<String> {
    if let Some((_, diffusers)) = OUTER.iter().find(|(sgm, diffusers)| *sgm == path || *diffusers == path) {
        return Some((*diffusers).to_owned());
    }
    let path = from_sgm(path).unwrap_or_else(|| path.to_owned());
    let inner = path
        .strip_prefix("mid_block.")
        .or_else(|| after_number(path.strip_prefix("down_blocks.").or_else(|| path.strip_prefix("up_blocks."))?))?;
    let known = inner == "downsamplers.0.conv"
        || inner == "upsamplers.0.conv"
        || inner.strip_prefix("resnets.").and_then(after_number).is_some_and(is_resnet_module)
        || inner.strip_prefix("attentions.").and_then(after_number).is_some_and(is_attention_module);
    known.then_some(path)
}

fn after_number(text: &str) -> Option<&str> {
    let (number, rest) = text.split_once('.')?;
    block_number(number).map(|_| rest)
}

fn is_resnet_module(module: &str) -> bool {
    ["conv1", "conv2", "time_emb_proj", "conv_shortcut"].contains(&module)
}

fn is_attention_module(module: &str) -> bool {
    if ["proj_in", "proj_out"].contains(&module) {
        return true;
    }
    let inner = module.strip_prefix("transformer_blocks.").and_then(after_number);
    inner.is_some_and(|inner| match inner.split_once('.') {
        Some(("attn1" | "attn2", layer)) => ["to_q", "to_k", "to_v", "to_out.0"].contains(&layer),
        Some(("ff", layer)) => ["net.0.proj", "net.2"].contains(&layer),
        _ => false,
    })
}

/// diffusers' path of one in the original numbering.
fn from_sgm(path: &str) -> Option<String> {
    let (stack, rest) = path.split_once('.')?;
    let (number, rest) = rest.split_once('.')?;
    let number = block_number(number)?;
    if stack == "middle_block" {
        return match number {
            1 => Some(format!("mid_block.attentions.0.{rest}")),
            0 | 2 => Some(format!("mid_block.resnets.{}.{}", number / 2, resnet_module(rest)?)),
            _ => None,
        };
    }
    let (kind, rest) = rest.split_once('.')?;
    let (side, block, layer) = match stack {
        "input_blocks" => ("down", number.checked_sub(1)? / LAYERS, (number - 1) % LAYERS),
        "output_blocks" => ("up", number / LAYERS, number % LAYERS),
        _ => return None,
    };
    match (kind, rest) {
        ("0", "op") if side == "down" => Some(format!("down_blocks.{block}.downsamplers.0.conv")),
        ("1" | "2", "conv") if side == "up" => Some(format!("up_blocks.{block}.upsamplers.0.conv")),
        ("0", module) => Some(format!("{side}_blocks.{block}.resnets.{layer}.{}", resnet_module(module)?)),
        ("1", module) => Some(format!("{side}_blocks.{block}.attentions.{layer}.{module}")),
        _ => None,
    }
}

/// The way back of [`from_sgm`], for layers; none for a path that the numbering has no room for.
fn to_sgm(path: &str) -> Option<String> {
    if let Some((sgm, _)) = OUTER.iter().find(|(_, diffusers)| *diffusers == path) {
        return Some((*sgm).to_owned());
    }
    let (stack, rest) = path.split_once('.')?;
    let (block, rest) = if stack == "mid_block" { ("0", rest) } else { rest.split_once('.')? };
    let (kind, rest) = rest.split_once('.')?;
    let (layer, module) = rest.split_once('.')?;
    let (block, layer) = (block_number(block)?, block_number(layer)?);
    let between = match kind {
        "downsamplers" => Some(format!("input_blocks.{}.0.op", LAYERS * (block + 1))),
        // The level that is made larger last has attention in SDXL, so that it is the third of its entry.
        "upsamplers" => Some(format!("output_blocks.{}.2.conv", LAYERS * block + LAYERS - 1)),
        _ => None,
    };
    if let Some(sgm) = between {
        return (from_sgm(&sgm).as_deref() == Some(path)).then_some(sgm);
    }
    let (place, module) = match kind {
        "attentions" => (1, module),
        "resnets" => (0, RESNET.iter().find(|(_, diffusers)| *diffusers == module)?.0),
        _ => return None,
    };
    let sgm = match stack {
        "mid_block" if place == 1 => format!("middle_block.1.{module}"),
        "mid_block" => format!("middle_block.{}.{module}", 2 * layer),
        "down_blocks" => format!("input_blocks.{}.{place}.{module}", LAYERS * block + layer + 1),
        "up_blocks" => format!("output_blocks.{}.{place}.{module}", LAYERS * block + layer),
        _ => return None,
    };
    // A layer too many would bear the number of the next block's.
    (from_sgm(&sgm).as_deref() == Some(path)).then_some(sgm)
}

fn resnet_module(sgm: &str) -> Option<&'static str> {
    RESNET.iter().find(|(name, _)| *name == sgm).map(|(_, diffusers)| *diffusers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sdxl_names_in_both_numberings_give_diffusers_paths() {
        let names = [
            (
                "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q",
                "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
            ),
            (
                "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0",
                "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0",
            ),
            ("lora_unet_input_blocks_8_1_proj_in", "unet.down_blocks.2.attentions.1.proj_in"),
            ("lora_unet_input_blocks_3_0_op", "unet.down_blocks.0.downsamplers.0.conv"),
            ("lora_unet_input_blocks_5_0_in_layers_2", "unet.down_blocks.1.resnets.1.conv1"),
            (
                "lora_unet_middle_block_1_transformer_blocks_9_ff_net_0_proj",
                "unet.mid_block.attentions.0.transformer_blocks.9.ff.net.0.proj",
            ),
            ("lora_unet_middle_block_2_emb_layers_1", "unet.mid_block.resnets.1.time_emb_proj"),
            (
                "lora_unet_output_blocks_5_1_transformer_blocks_1_attn2_to_k",
                "unet.up_blocks.1.attentions.2.transformer_blocks.1.attn2.to_k",
            ),
            ("lora_unet_output_blocks_2_2_conv", "unet.up_blocks.0.upsamplers.0.conv"),
            ("lora_unet_label_emb_0_2", "unet.add_embedding.linear_2"),
            (
                "lora_te1_text_model_encoder_layers_0_self_attn_q_proj",
                "text_encoder.text_model.encoder.layers.0.self_attn.q_proj",
            ),
            ("lora_te2_encoder_layers_31_mlp_fc2", "text_encoder_2.text_model.encoder.layers.31.mlp.fc2"),
        ];
        for (name, path) in names {
            assert_eq!(from_kohya(name), Some(Mapping::one(path.to_owned())), "{name}");
            // What is written is in the original numbering.
            let written = to_kohya(path);
            let read = written.as_deref().and_then(from_kohya);
            assert_eq!(read, Some(Mapping::one(path.to_owned())), "{path}: {written:?}");
        }
        let attention = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0";
        let written = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_out_0";
        assert_eq!(to_kohya(attention).as_deref(), Some(written));
        for unnumbered in
            ["unet.up_blocks.0.attentions.3.proj_in", "unet.down_blocks.0.attentions.3.proj_in", "x.proj_in"]
        {
            assert_eq!(to_kohya(unnumbered), None, "{unnumbered}");
        }
        for strange in
            ["lora_unet_", "lora_unet_banana_1", "lora_te1_encoder_layers_0_to_q", "lora_unet_input_blocks_0_1_proj_in"]
        {
            assert_eq!(from_kohya(strange), None, "{strange}");
        }
    }
}

//! Checkpoints of SDXL under Stability's names: the UNet, the autoencoder and both text encoders in one file.
//! `generative-models/sgm`, and diffusers' conversions (`loaders/single_file_utils.py`).

use super::{Change, Known, Place, Shape};
use crate::sdxl::keys;

/// What begins the names of the UNet, the autoencoder, the first text encoder and the second.
const UNET: &str = "model.diffusion_model.";
const AUTOENCODER: &str = "first_stage_model.";
const FIRST_TEXT: &str = "conditioner.embedders.0.transformer.";
const SECOND_TEXT: &str = "conditioner.embedders.1.model.";

/// What begins the names of things that a picture does not need.
const NOT_NEEDED: [&str; 4] = ["model_ema.", "denoiser.", "alphas_cumprod", "betas"];

/// Modules of the UNet that stand once.
const OUTER: [(&str, &str); 7] = [
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("label_emb.0.0", "add_embedding.linear_1"),
    ("label_emb.0.2", "add_embedding.linear_2"),
    ("input_blocks.0.0", "conv_in"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
];

/// Modules of a residual layer of the UNet.
const RESIDUAL: [(&str, &str); 6] = [
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
];

/// Modules of the autoencoder's attention, all of which are convolutions of one pixel in older files.
const ATTENTION: [(&str, &str); 5] =
    [("norm", "group_norm"), ("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj_out", "to_out.0")];

/// Modules of a layer of the second text encoder.
const TEXT_LAYER: [(&str, &str); 5] = [
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
    ("attn.out_proj", "self_attn.out_proj"),
];

/// Where a tensor goes.
pub(super) fn known(name: &str, shape: &Shape) -> Option<Known> {
    if let Some(name) = name.strip_prefix(UNET) {
        return unet(name, shape.unet_layers).map(|name| one("unet", name, Change::Nothing));
    }
    if let Some(name) = name.strip_prefix(AUTOENCODER) {
        return autoencoder(name, shape.autoencoder_levels);
    }
    if let Some(name) = name.strip_prefix(FIRST_TEXT) {
        let is_table = name.ends_with("position_ids");
        return Some(if is_table { Known::NotNeeded } else { one("text_encoder", name.to_owned(), Change::Nothing) });
    }
    if let Some(name) = name.strip_prefix(SECOND_TEXT) {
        return second_text(name);
    }
    NOT_NEEDED.iter().any(|start| name.starts_with(start)).then_some(Known::NotNeeded)
}

fn one(component: &'static str, name: String, change: Change) -> Known {
    Known::Places(vec![Place { component, name, change }])
}

/// The new name of a module and its parameter, by a table of modules.
fn renamed(name: &str, table: &[(&str, &str)]) -> Option<String> {
    let (module, parameter) = name.rsplit_once('.')?;
    let (_, new) = table.iter().find(|(old, _)| *old == module)?;
    Some(format!("{new}.{parameter}"))
}

/// A name of the UNet: there a level is its layers and what changes the size, numbered on.
fn unet(name: &str, layers: usize) -> Option<String> {
    if let Some(name) = renamed(name, &OUTER) {
        return Some(name);
    }
    let (stack, rest) = name.split_once('.')?;
    let (number, rest) = rest.split_once('.')?;
    let number: usize = number.parse().ok()?;
    if stack == "middle_block" {
        return match number {
            1 => Some(format!("mid_block.attentions.0.{rest}")),
            0 | 2 => Some(format!("mid_block.resnets.{}.{}", number / 2, renamed(rest, &RESIDUAL)?)),
            _ => None,
        };
    }
    let (kind, rest) = rest.split_once('.')?;
    let each = layers + 1;
    let (side, level, layer) = match stack {
        "input_blocks" => ("down", number.checked_sub(1)? / each, (number - 1) % each),
        "output_blocks" => ("up", number / each, number % each),
        _ => return None,
    };
    match (kind, rest.split_once('.')) {
        ("0", Some(("op", parameter))) => Some(format!("{side}_blocks.{level}.downsamplers.0.conv.{parameter}")),
        ("1" | "2", Some(("conv", parameter))) => Some(format!("{side}_blocks.{level}.upsamplers.0.conv.{parameter}")),
        ("0", _) => Some(format!("{side}_blocks.{level}.resnets.{layer}.{}", renamed(rest, &RESIDUAL)?)),
        ("1", _) => Some(format!("{side}_blocks.{level}.attentions.{layer}.{rest}")),
        _ => None,
    }
}

/// A name of the autoencoder: its decoder counts levels from the small pictures to the large ones there.
fn autoencoder(name: &str, levels: usize) -> Option<Known> {
    let place = |name: String| Some(one("vae", name, Change::Nothing));
    if name.starts_with("quant_conv.") || name.starts_with("post_quant_conv.") {
        return place(name.to_owned());
    }
    let (side, rest) = name.split_once('.').filter(|(side, _)| ["encoder", "decoder"].contains(side))?;
    if let Some(rest) = rest.strip_prefix("norm_out.") {
        return place(format!("{side}.conv_norm_out.{rest}"));
    }
    if rest.starts_with("conv_in.") || rest.starts_with("conv_out.") {
        return place(name.to_owned());
    }
    if let Some(rest) = rest.strip_prefix("mid.") {
        if let Some(rest) = rest.strip_prefix("attn_1.") {
            let change = if rest.ends_with(".weight") && !rest.starts_with("norm.") {
                Change::Flattened
            } else {
                Change::Nothing
            };
            return Some(one("vae", format!("{side}.mid_block.attentions.0.{}", renamed(rest, &ATTENTION)?), change));
        }
        let (block, rest) = rest.strip_prefix("block_")?.split_once('.')?;
        let block = block.parse::<usize>().ok()?.checked_sub(1)?;
        return place(format!("{side}.mid_block.resnets.{block}.{}", shortcut(rest)));
    }
    let (direction, rest) = rest.split_once('.')?;
    let (level, rest) = rest.split_once('.')?;
    let level: usize = level.parse().ok()?;
    let level = match direction {
        "down" => level,
        "up" => levels.checked_sub(1 + level)?,
        _ => return None,
    };
    let (part, rest) = rest.split_once('.')?;
    match part {
        "block" => place(format!("{side}.{direction}_blocks.{level}.resnets.{}", shortcut(rest))),
        "downsample" | "upsample" => place(format!("{side}.{direction}_blocks.{level}.{part}rs.0.{rest}")),
        _ => None,
    }
}

/// A residual layer's name: what leads around it is called differently.
fn shortcut(name: &str) -> String {
    name.replace("nin_shortcut.", "conv_shortcut.")
}

/// The name that a tensor of a component's folder has today, whatever the age of the folder; none for what follows from the
/// configuration.
pub(super) fn name_of_today(component: &str, name: &str) -> Option<String> {
    match component {
        "vae" => Some(keys::autoencoder(name)),
        "text_encoder" | "text_encoder_2" => keys::text_encoder(name),
        _ => Some(name.to_owned()),
    }
}

/// A name of the second text encoder, which was trained by OpenCLIP: its queries, keys and values are one matrix there.
fn second_text(name: &str) -> Option<Known> {
    let place = |name: &str| Some(one("text_encoder_2", format!("text_model.{name}"), Change::Nothing));
    match name {
        "logit_scale" => return Some(Known::NotNeeded),
        "token_embedding.weight" => return place("embeddings.token_embedding.weight"),
        "positional_embedding" => return place("embeddings.position_embedding.weight"),
        "text_projection" => return Some(one("text_encoder_2", "text_projection.weight".to_owned(), Change::Turned)),
        _ => {}
    }
    if let Some(rest) = name.strip_prefix("ln_final.") {
        return place(&format!("final_layer_norm.{rest}"));
    }
    let (layer, rest) = name.strip_prefix("transformer.resblocks.")?.split_once('.')?;
    if let Some(parameter) = rest.strip_prefix("attn.in_proj_") {
        let of = |(part, letter): (usize, &str)| Place {
            component: "text_encoder_2",
            name: format!("text_model.encoder.layers.{layer}.self_attn.{letter}_proj.{parameter}"),
            change: Change::Rows { part, parts: 3 },
        };
        return Some(Known::Places(["q", "k", "v"].into_iter().enumerate().map(of).collect()));
    }
    place(&format!("encoder.layers.{layer}.{}", renamed(rest, &TEXT_LAYER)?))
}

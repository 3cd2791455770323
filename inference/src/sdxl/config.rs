//! `unet/config.json` of an SDXL folder.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// What the UNet's configuration says. Keys are those of diffusers. Of those that are not here, the known ones must have the
/// one value that is implemented, and any other is refused, because it may change the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UNetConfig {
    /// Latents on the edge of the pictures that it was trained on.
    #[serde(default)]
    pub sample_size: Option<u32>,
    /// Channels of the latents.
    #[serde(default = "four")]
    pub in_channels: usize,
    /// Channels of the prediction.
    #[serde(default = "four")]
    pub out_channels: usize,
    /// Widths of the levels, from large pictures to small.
    pub block_out_channels: Vec<usize>,
    /// Kinds of the levels on the way down.
    pub down_block_types: Vec<String>,
    /// Kinds of the levels on the way up.
    pub up_block_types: Vec<String>,
    /// Residual layers of a level on the way down; on the way up it has one more.
    #[serde(default = "two")]
    pub layers_per_block: usize,
    /// Transformer blocks of an attention, by level.
    #[serde(default = "one_for_all")]
    pub transformer_layers_per_block: ByLevel,
    /// Heads, by level: diffusers' name for it is older than what it means.
    #[serde(default = "eight_for_all")]
    pub attention_head_dim: ByLevel,
    /// Width of the text context.
    pub cross_attention_dim: usize,
    /// Channels of the sinusoids of each number of the size conditioning.
    pub addition_time_embed_dim: usize,
    /// Width of the pooled text and the size conditioning together.
    pub projection_class_embeddings_input_dim: usize,
    /// Groups of the normalisations.
    #[serde(default = "groups")]
    pub norm_num_groups: usize,
    /// Added to variances outside of the transformers.
    #[serde(default = "epsilon")]
    pub norm_eps: f64,
    /// `text_time`: conditioned on the pooled text and on sizes.
    #[serde(default)]
    pub addition_embed_type: Option<String>,
    /// Always true: the attentions' projections are linear layers.
    #[serde(default)]
    pub use_linear_projection: bool,
    /// Every other key.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// A number for every level, or one for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ByLevel {
    /// The same for all.
    One(usize),
    /// One each.
    Each(Vec<usize>),
}

impl ByLevel {
    /// The number of a level; 0 where none is stated.
    pub fn of(&self, level: usize) -> usize {
        match self {
            Self::One(number) => *number,
            Self::Each(numbers) => numbers.get(level).copied().unwrap_or_default(),
        }
    }

    /// Whether there is a number, and not 0, for each of so many levels.
    fn covers(&self, levels: usize) -> bool {
        (0..levels).all(|level| self.of(level) > 0) && !matches!(self, Self::Each(numbers) if numbers.len() != levels)
    }
}

/// A level on the way down without and with attention.
const DOWN: [&str; 2] = ["DownBlock2D", "CrossAttnDownBlock2D"];

/// A level on the way up without and with attention.
const UP: [&str; 2] = ["UpBlock2D", "CrossAttnUpBlock2D"];

/// Keys that say nothing about the result, at any value.
const WITHOUT_EFFECT: &[&str] =
    &["_class_name", "_diffusers_version", "_name_or_path", "addition_embed_type_num_heads", "dropout"];

/// The value that a key must have, where it is neither absent nor `null`. `None` for keys that are not known.
fn only_value(key: &str) -> Option<Value> {
    Some(match key {
        "act_fn" => json!("silu"),
        "attention_type" => json!("default"),
        "conv_in_kernel" | "conv_out_kernel" => json!(3),
        "downsample_padding" | "mid_block_scale_factor" => json!(1),
        "flip_sin_to_cos" => json!(true),
        "freq_shift" => json!(0),
        "mid_block_type" => json!("UNetMidBlock2DCrossAttn"),
        "resnet_out_scale_factor" => json!(1.0),
        "resnet_time_scale_shift" => json!("default"),
        "time_embedding_type" => json!("positional"),
        "center_input_sample"
        | "class_embeddings_concat"
        | "dual_cross_attention"
        | "only_cross_attention"
        | "resnet_skip_time_act"
        | "upcast_attention" => json!(false),
        "class_embed_type"
        | "cross_attention_norm"
        | "encoder_hid_dim"
        | "encoder_hid_dim_type"
        | "mid_block_only_cross_attention"
        | "num_attention_heads"
        | "num_class_embeds"
        | "reverse_transformer_layers_per_block"
        | "time_cond_proj_dim"
        | "time_embedding_act_fn"
        | "time_embedding_dim"
        | "timestep_post_act" => Value::Null,
        _ => return None,
    })
}

impl UNetConfig {
    /// Levels of size.
    pub fn levels(&self) -> usize {
        self.block_out_channels.len()
    }

    /// Whether a level on the way down has attention.
    pub fn attends_down(&self, level: usize) -> bool {
        self.down_block_types.get(level).is_some_and(|kind| kind == DOWN[1])
    }

    /// Whether a level on the way up has attention; level 0 is the largest here as well.
    pub fn attends_up(&self, level: usize) -> bool {
        self.up_block_types.iter().rev().nth(level).is_some_and(|kind| kind == UP[1])
    }

    /// Width of the embedded time.
    pub fn time_width(&self) -> usize {
        self.block_out_channels[0] * 4
    }

    /// All transformer blocks.
    pub fn transformer_blocks(&self) -> usize {
        let last = self.levels() - 1;
        let levels = (0..=last).map(|level| {
            let down = if self.attends_down(level) { self.layers_per_block } else { 0 };
            let up = if self.attends_up(level) { self.layers_per_block + 1 } else { 0 };
            (down + up) * self.transformer_layers_per_block.of(level)
        });
        levels.sum::<usize>() + self.transformer_layers_per_block.of(last)
    }

    /// Refuses what would change the result and is not implemented.
    ///
    /// # Errors
    /// [`Error::Config`] with the key's name.
    pub fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::Config(format!("The UNet's {what}.")));
        for (key, value) in self.rest.iter().filter(|(key, _)| !WITHOUT_EFFECT.contains(&key.as_str())) {
            match only_value(key) {
                // Absent is what `null` means, but for a middle that is left out.
                Some(_) if value.is_null() && key != "mid_block_type" => {}
                Some(only) if equal(value, &only) => {}
                Some(only) => return refuse(format!("`{key}` is {value}, which is not supported; {only} is")),
                None => return refuse(format!("`{key}` is not understood; it may change the result")),
            }
        }
        if self.addition_embed_type.as_deref() != Some("text_time") {
            return refuse("`addition_embed_type` is not `text_time`, which SDXL has".to_owned());
        }
        if !self.use_linear_projection {
            return refuse("`use_linear_projection` is not true, which SDXL has".to_owned());
        }
        for (key, kinds, known) in
            [("down_block_types", &self.down_block_types, DOWN), ("up_block_types", &self.up_block_types, UP)]
        {
            if let Some(other) = kinds.iter().find(|kind| !known.contains(&kind.as_str())) {
                return refuse(format!("`{key}` holds `{other}`, which is not supported; {} are", known.join(" and ")));
            }
        }
        self.check_sizes()
    }

    fn check_sizes(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::Config(format!("The UNet's {what}.")));
        let levels = self.levels();
        if levels == 0 || self.down_block_types.len() != levels || self.up_block_types.len() != levels {
            return refuse(
                "`down_block_types` and `up_block_types` must be as many as `block_out_channels`".to_owned(),
            );
        }
        let groups = self.norm_num_groups;
        if groups == 0 || self.block_out_channels.iter().any(|width| *width == 0 || width % groups != 0) {
            return refuse(format!("`block_out_channels` must be multiples of `norm_num_groups` ({groups})"));
        }
        let (heads, depths) = (&self.attention_head_dim, &self.transformer_layers_per_block);
        if !heads.covers(levels) || !depths.covers(levels) {
            return refuse(format!(
                "`attention_head_dim` and `transformer_layers_per_block` must have a number for each of {levels} levels"
            ));
        }
        if self.block_out_channels.iter().enumerate().any(|(level, width)| width % heads.of(level) != 0) {
            return refuse("`block_out_channels` must be multiples of the heads in `attention_head_dim`".to_owned());
        }
        if self.layers_per_block == 0 || self.cross_attention_dim == 0 || self.addition_time_embed_dim < 2 {
            return refuse("sizes must not be zero".to_owned());
        }
        Ok(())
    }
}

/// Equal as numbers as well, where one is written with a point and the other without.
fn equal(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().is_some_and(|a| Some(a) == b.as_f64())
}

fn two() -> usize {
    2
}

fn four() -> usize {
    4
}

fn groups() -> usize {
    32
}

fn one_for_all() -> ByLevel {
    ByLevel::One(1)
}

fn eight_for_all() -> ByLevel {
    ByLevel::One(8)
}

fn epsilon() -> f64 {
    1e-5
}

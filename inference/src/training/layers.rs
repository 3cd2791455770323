//! Which layers of a network a training gives pairs to.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Which layers get pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TrainedLayers {
    /// All that are ever trained: of FLUX.2 the blocks, what leads into them and out of them, and the modulations; of SDXL
    /// the transformers of the UNet with what leads into them and out of them.
    #[default]
    All,
    /// The layers of the blocks alone: attention and feed-forward.
    Blocks,
    /// The layers of attention alone. FLUX.2's single blocks have one product for attention and feed-forward, which is
    /// trained; and so is the first feed-forward layer of its first double block, by whose width programs tell it from FLUX.1.
    Attention,
}

impl fmt::Display for TrainedLayers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::All => "ALL",
            Self::Blocks => "BLOCKS",
            Self::Attention => "ATTENTION",
        })
    }
}

impl FromStr for TrainedLayers {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name.to_ascii_uppercase().as_str() {
            "ALL" => Ok(Self::All),
            "BLOCKS" => Ok(Self::Blocks),
            "ATTENTION" => Ok(Self::Attention),
            _ => Err(Error::Input(format!("`{name}` names no layers to train. Use ALL, BLOCKS or ATTENTION."))),
        }
    }
}

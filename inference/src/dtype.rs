//! Number formats of a model's weights and activations.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How a model computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits; what the CPU computes in.
    #[default]
    F32,
    /// 16 bits with the exponent of 32.
    Bf16,
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err(Error::Input(format!("`{name}` is no precision. Use `f32` or `bf16`."))),
        }
    }
}

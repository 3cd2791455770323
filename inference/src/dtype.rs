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
    /// As [`Self::Bf16`] on a card, and the weights of the denoiser's blocks take eight bits (E4M3, a factor a row): half the memory, and
    /// faster products where the card multiplies such numbers.
    Fp8,
}

impl Precision {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Fp8 => "fp8",
        }
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "fp8" => Ok(Self::Fp8),
            _ => Err(Error::Input(format!("`{name}` is no precision. Use `f32`, `bf16` or `fp8`."))),
        }
    }
}

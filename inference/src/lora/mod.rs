//! LoRA files: read in the dialects of the wild, told apart, applied with or without merging, written in three layouts.
//!
//! [`inspect()`] looks at a file and reports; [`read::read`] gives its pairs under diffusers' names; [`inject`] puts
//! them beside a model's weights; [`save::save`] and [`convert()`] write them.

pub mod adapted;
pub mod adapter;
pub mod air;
pub mod convert;
pub mod formats;
pub mod hashes;
pub mod inject;
pub mod inspect;
pub mod metadata;
pub mod read;
pub mod save;
pub mod shelf;
#[cfg(test)]
mod tests;

pub use adapter::{Adapter, LowRankPair};
pub use air::{AirName, air_name};
pub use convert::convert;
pub use formats::detect::{AdapterFacts, Base, Family, fits};
pub use inspect::{LoraReport, inspect};
pub use save::{Layout, left_out, save};

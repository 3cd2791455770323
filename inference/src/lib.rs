//! Image models, LoRA and LoRA training on burn. This crate turns a request into pictures or into a LoRA and knows
//! nothing of users, teams or tables. What it re-exports here (requests, reports, [`Model`], [`facts`], [`inspect`], [`convert`], …) is
//! without tensors, and is all that a service needs; the modules of the architectures have tensors in their signatures, for who
//! puts networks together.

pub mod bench;
pub mod compare;
#[cfg(feature = "cuda")]
mod cuda;
pub mod device;
pub mod dtype;
pub mod error;
pub mod flux2;
pub mod image;
pub mod lora;
pub mod memory;
pub mod model;
pub mod nn;
pub mod parity;
pub mod progress;
pub mod quality;
pub mod recipe;
pub mod render;
pub mod resample;
pub mod schedulers;
pub mod scoring;
pub mod sdxl;
pub mod single_file;
pub mod starter;
pub mod text;
pub mod training;
pub mod upscaling;
pub mod weights;

pub use device::DeviceName;
pub use dtype::Precision;
pub use error::{Error, Result};
pub use image::Picture;
pub use lora::{Layout, LoraReport, convert, inspect};
pub use model::{Model, ModelFacts, facts};
pub use parity::{ParityReport, parity};
pub use progress::{Control, EpochOutput, Progress, Quiet, Sink};
pub use recipe::{Recipe, RecipeLora, RecipeStart};
pub use render::{LoraUse, RenderRequest, Rendered, SizeConditioning, StartPicture};
pub use scoring::{PictureScore, Scorer};
pub use text::sentence::SentenceEncoder;
pub use training::{MemoryEstimate, TrainedLayers, TrainingPicture, TrainingReport, TrainingSpec, check_continued};
pub use upscaling::{Upscaled, Upscaler, UpscalingMethod};

//! Takes models from the Hugging Face hub, or from whatever speaks its routes, into the data directory.
//!
//! [`client`] knows the routes, [`selection`] which files of a repository a model folder needs, [`download`] fetches one
//! file, [`license`] reads what may be done with the weights, [`manifest`] is what is kept of it all beside them, and
//! [`pull`] does these things in their order.

mod client;
mod digest;
mod download;
mod error;
mod folder;
mod license;
mod manifest;
mod model_info;
mod partial;
mod patience;
mod progress;
mod pull;
mod refusal;
mod repository;
mod selection;

pub use client::HubClient;
pub use license::License;
pub use manifest::{MANIFEST, Manifest, Problem};
pub use model_info::ModelInfo;
pub use progress::Progress;
pub use pull::{Pull, Pulled};
pub use repository::Repository;
pub use selection::{MODEL_INDEX, parts};

//! Takes jobs, drives inference, writes results. A worker may live in the server's process or in one of its own; it
//! knows the domain and the models, and nothing of HTTP.

mod device;
mod files;
mod handlers;
mod inspector;
mod presence;
mod runner;
mod seeded_lora;
mod sink;

pub use atelier_inference as inference;
pub use device::Device;
pub use inspector::ModelInspector;
pub use runner::{Worker, WorkerSettings};
pub use seeded_lora::SeededLoras;

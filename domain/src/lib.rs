//! What may happen in Atelier and who may do it: use-cases, policy, jobs, ledger, outbox.
//!
//! A use-case is a free function of the context, the actor and an input. It asks the policy, writes everything that it
//! sets off (jobs, events, mail) in one transaction, and fails with an enum of its own.

pub mod account;
pub mod actor;
pub mod audit;
pub mod base_model;
pub mod blob;
pub mod clock;
pub mod context;
pub mod database;
pub mod dataset;
pub mod error;
pub mod generation;
pub mod id;
pub mod idempotency;
mod instance_value;
pub mod jobs;
pub mod ledger;
pub mod lora;
pub mod mail;
pub mod moderation;
pub mod nested;
pub mod outbox;
pub mod page;
pub mod policy;
pub mod ports;
pub mod preview;
pub mod random;
pub mod seed;
pub mod social;
pub mod team;
#[cfg(test)]
mod testing;
pub mod text;
pub mod training;
pub mod upload;
pub mod usage;
mod widen;

pub use atelier_entities as entities;
pub use atelier_search as search;

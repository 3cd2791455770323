//! Objects of the API: private newtypes over the models, one file a noun.

pub mod audit_entry;
pub mod base_model;
pub mod comment;
pub mod compatibility_vote;
pub mod dataset;
pub mod dataset_picture;
pub mod follow;
pub mod generation;
pub mod invitation;
pub mod job;
pub mod job_event;
pub mod ledger;
pub mod lora;
pub mod lora_compatibility;
pub mod lora_search;
pub mod lora_version;
pub mod membership;
pub mod moderation;
pub mod notification;
pub mod preview;
pub mod rating;
pub mod team;
pub mod training;
pub mod upload;
pub mod usage;
pub mod user;

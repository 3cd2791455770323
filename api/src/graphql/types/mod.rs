//! Objects of the API: private newtypes over the models, one file a noun.

pub mod audit_entry;
pub mod base_model;
pub mod collection;
pub mod comment;
pub mod dataset;
pub mod dataset_picture;
pub mod feed;
pub mod follow;
pub mod generation;
pub mod invitation;
pub mod job;
pub mod job_event;
pub mod ledger;
pub mod lora;
pub mod lora_search;
pub mod lora_version;
pub mod membership;
pub mod notification;
pub mod notification_preference;
pub mod preview;
pub mod rating;
pub mod team;
pub mod training;
pub mod upload;
pub mod user;

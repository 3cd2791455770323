//! Database entities: columns, closed sets of values and scoped selects; no rules.
//!
//! One table is one file. Keys are UUIDv7; every row that belongs to somebody names its one owning team.

pub mod kinds;
pub mod scope;

pub mod asset;
pub mod audit_entry;
pub mod base_model;
pub mod base_model_default;
pub mod base_model_team;
pub mod blob;
pub mod collection;
pub mod collection_lora;
pub mod comment;
pub mod comment_mention;
pub mod dataset;
pub mod dataset_picture;
pub mod fanout;
pub mod follow;
pub mod generation;
pub mod generation_lora;
pub mod generation_picture;
pub mod idempotency_record;
pub mod instance_value;
pub mod invitation;
pub mod job;
pub mod job_event;
pub mod ledger_account;
pub mod ledger_entry;
pub mod lora;
pub mod lora_download;
pub mod lora_file;
pub mod lora_version;
pub mod mail;
pub mod mail_token;
pub mod membership;
pub mod notification;
pub mod notification_preference;
pub mod outbox_event;
pub mod outbox_position;
pub mod preview;
pub mod rating;
pub mod refresh_token;
pub mod sign_up;
pub mod team;
pub mod throttle;
pub mod training_epoch;
pub mod training_run;
pub mod upload;
pub mod user;
pub mod worker;
pub mod worker_base_model;

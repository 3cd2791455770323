//! Queries, one file a noun.

use async_graphql::MergedObject;

pub mod audit_entry;
pub mod base_model;
pub mod collection;
pub mod comment;
pub mod dataset;
pub mod dataset_picture;
pub mod feed;
pub mod generation;
pub mod job;
pub mod ledger;
pub mod lora;
pub mod lora_version;
pub mod moderation;
pub mod node;
pub mod notification;
pub mod notification_preference;
pub mod rating;
pub mod team;
pub mod training;
pub mod upload;
pub mod usage;
pub mod user;

/// Everything that can be read.
#[derive(MergedObject, Default)]
pub struct Query(
    audit_entry::AuditEntryQuery,
    base_model::BaseModelQuery,
    collection::CollectionQuery,
    comment::CommentQuery,
    dataset::DatasetQuery,
    dataset_picture::DatasetPictureQuery,
    feed::FeedQuery,
    generation::GenerationQuery,
    job::JobQuery,
    ledger::LedgerQuery,
    lora::LoraQuery,
    lora_version::LoraVersionQuery,
    moderation::ModerationQuery,
    node::NodeQuery,
    notification::NotificationQuery,
    notification_preference::NotificationPreferenceQuery,
    rating::RatingQuery,
    team::TeamQuery,
    training::TrainingQuery,
    upload::UploadQuery,
    usage::UsageQuery,
    user::UserQuery,
);

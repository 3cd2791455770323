//! Mutations, one file a noun. Each takes one `input` and answers with the object and `userErrors`.

use async_graphql::MergedObject;

pub mod block;
pub mod collection;
pub mod comment;
pub mod compatibility_vote;
pub mod dataset;
pub mod dataset_picture;
pub mod follow;
pub mod generation;
pub mod invitation;
pub mod job;
pub mod ledger;
pub mod lora;
pub mod membership;
pub mod moderation;
pub mod notification;
pub mod notification_preference;
pub mod rating;
pub mod team;
pub mod training;
pub mod upload;
pub mod user;

/// Everything that can be done.
#[derive(MergedObject, Default)]
pub struct Mutation(
    block::BlockMutation,
    collection::CollectionMutation,
    comment::CommentMutation,
    compatibility_vote::CompatibilityVoteMutation,
    dataset::DatasetMutation,
    dataset_picture::DatasetPictureMutation,
    follow::FollowMutation,
    generation::GenerationMutation,
    invitation::InvitationMutation,
    job::JobMutation,
    ledger::LedgerMutation,
    lora::LoraMutation,
    membership::MembershipMutation,
    moderation::ModerationMutation,
    notification::NotificationMutation,
    notification_preference::NotificationPreferenceMutation,
    rating::RatingMutation,
    team::TeamMutation,
    training::TrainingMutation,
    upload::UploadMutation,
    user::UserMutation,
);

//! Notifications.

use async_graphql::{Context, Enum, ID, Object, Result};
use atelier_domain::{
    entities::{kinds, notification},
    id::Noun,
};
use chrono::{DateTime, Utc};

use super::{comment::Comment, job::Job, lora::Lora, user::User};
use crate::graphql::{context::encode, loaders::load, scalars::BigInt};

/// What one is told of.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "kinds::NotificationKind")]
pub enum NotificationKind {
    /// Somebody you follow published a LoRA.
    LoraPublished,
    /// Somebody you follow published a version of a LoRA.
    LoraVersionPublished,
    /// Your LoRA was rated.
    LoraRated,
    /// Your LoRA was commented on.
    LoraCommented,
    /// Your comment was answered.
    CommentReplied,
    /// You were mentioned in a comment.
    Mentioned,
    /// Somebody follows you.
    NewFollower,
    /// Your job ended, well or not.
    JobFinished,
    /// The moderators hid something of yours.
    ContentHidden,
    /// The moderators show something of yours again.
    ContentRestored,
    /// Your review of something is asked for.
    ReviewAsked,
}

/// Something that you are told.
pub struct Notification(pub notification::Model);

#[Object]
impl Notification {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Notification, self.0.id)
    }

    /// Its number; it grows. Pass the last one as `after:` to `notificationAdded`.
    async fn sequence(&self) -> BigInt {
        BigInt(self.0.sequence)
    }

    /// What happened.
    async fn kind(&self) -> NotificationKind {
        self.0.kind.into()
    }

    /// What happened, in a sentence.
    async fn message(&self) -> &str {
        &self.0.message
    }

    /// Who did it; none for the house.
    async fn actor(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let Some(id) = self.0.actor_id else { return Ok(None) };
        load(ctx, |loaders| &loaders.users, id).await.map(|row| row.map(User))
    }

    /// The LoRA concerned, if you may still see it.
    async fn lora(&self, ctx: &Context<'_>) -> Result<Option<Lora>> {
        let Some(id) = self.0.lora_id else { return Ok(None) };
        load(ctx, |loaders| &loaders.loras, id).await.map(|row| row.map(Lora))
    }

    /// The comment concerned, if you may still see it.
    async fn comment(&self, ctx: &Context<'_>) -> Result<Option<Comment>> {
        let Some(id) = self.0.comment_id else { return Ok(None) };
        load(ctx, |loaders| &loaders.comments, id).await.map(|row| row.map(Comment))
    }

    /// The job concerned, if you may still see it.
    async fn job(&self, ctx: &Context<'_>) -> Result<Option<Job>> {
        let Some(id) = self.0.job_id else { return Ok(None) };
        load(ctx, |loaders| &loaders.jobs, id).await.map(|row| row.map(Job))
    }

    /// When you read it.
    async fn read_at(&self) -> Option<DateTime<Utc>> {
        self.0.read_at
    }

    /// When it was written.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

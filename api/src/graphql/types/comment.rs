//! Comments.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{entities::comment, id::Noun, moderation};
use chrono::{DateTime, Utc};

use super::{lora::Lora, moderation::hidden_reason, user::User};
use crate::graphql::{
    connection::ConnectionOf,
    context::{Resolve, encode},
    loaders::{load, pages::load_page},
    scalars::BigInt,
};

/// A comment on a LoRA, or an answer to one.
pub struct Comment(pub comment::Model);

impl Comment {
    /// Whether the moderators let whoever asks read it.
    fn is_shown(&self, ctx: &Context<'_>) -> bool {
        moderation::shows_text(ctx.actor(), self.0.user_id, self.0.hidden_at)
    }
}

#[Object]
impl Comment {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Comment, self.0.id)
    }

    /// The LoRA.
    async fn lora(&self, ctx: &Context<'_>) -> Result<Option<Lora>> {
        load(ctx, |loaders| &loaders.loras, self.0.lora_id).await.map(|row| row.map(Lora))
    }

    /// The comment that it answers.
    async fn parent(&self, ctx: &Context<'_>) -> Result<Option<Comment>> {
        let Some(id) = self.0.parent_id else { return Ok(None) };
        load(ctx, |loaders| &loaders.comments, id).await.map(|row| row.map(Comment))
    }

    /// Who wrote it; none once it was deleted, or while the moderators hide it.
    async fn author(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        if self.0.deleted_at.is_some() || !self.is_shown(ctx) {
            return Ok(None);
        }
        load(ctx, |loaders| &loaders.users, self.0.user_id).await.map(|row| row.map(User))
    }

    /// The text; empty once it was deleted, or while the moderators hide it.
    async fn body(&self, ctx: &Context<'_>) -> &str {
        if self.is_shown(ctx) { &self.0.body } else { "" }
    }

    /// Whom it mentions by `@handle`, in the order of the text, at most 20; nobody while the moderators hide it.
    async fn mentions(&self, ctx: &Context<'_>) -> Result<Vec<User>> {
        if !self.is_shown(ctx) {
            return Ok(Vec::new());
        }
        let people = load(ctx, |loaders| &loaders.comment_mentions, self.0.id).await?;
        Ok(people.unwrap_or_default().into_iter().map(User).collect())
    }

    /// How many answers it has.
    async fn reply_count(&self, ctx: &Context<'_>) -> Result<BigInt> {
        Ok(BigInt(load(ctx, |loaders| &loaders.reply_counts, self.0.id).await?.unwrap_or_default()))
    }

    /// Its answers, oldest first.
    async fn replies(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Comment>> {
        load_page(ctx, |pages| &pages.comment_replies, self.0.id, (first, after), Comment).await
    }

    /// When it was written.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When its text was last changed.
    async fn edited_at(&self) -> Option<DateTime<Utc>> {
        self.0.edited_at
    }

    /// When the thread that it begins was resolved; none while it is open.
    async fn resolved_at(&self) -> Option<DateTime<Utc>> {
        self.0.resolved_at
    }

    /// Who resolved the thread that it begins.
    async fn resolved_by(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let Some(id) = self.0.resolved_by else { return Ok(None) };
        load(ctx, |loaders| &loaders.users, id).await.map(|row| row.map(User))
    }

    /// When it was deleted; its place in the thread stays.
    async fn deleted_at(&self) -> Option<DateTime<Utc>> {
        self.0.deleted_at
    }

    /// Since when the moderators hide it from everybody but its author; its place in the thread stays.
    async fn hidden_at(&self) -> Option<DateTime<Utc>> {
        self.0.hidden_at
    }

    /// Why the moderators hide it; its author reads it.
    async fn hidden_reason(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        hidden_reason(ctx, self.0.id, self.0.hidden_at).await
    }
}

//! Ratings.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{entities::rating, id::Noun};
use chrono::{DateTime, Utc};

use super::{lora::Lora, lora_version::LoraVersion, user::User};
use crate::graphql::{context::encode, loaders::load};

/// One person's judgement of one version of a LoRA.
pub struct Rating(pub rating::Model);

#[Object]
impl Rating {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Rating, self.0.id)
    }

    /// The LoRA.
    async fn lora(&self, ctx: &Context<'_>) -> Result<Option<Lora>> {
        load(ctx, |loaders| &loaders.loras, self.0.lora_id).await.map(|row| row.map(Lora))
    }

    /// The version.
    async fn version(&self, ctx: &Context<'_>) -> Result<Option<LoraVersion>> {
        load(ctx, |loaders| &loaders.lora_versions, self.0.lora_version_id).await.map(|row| row.map(LoraVersion))
    }

    /// Who judges.
    async fn author(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load(ctx, |loaders| &loaders.users, self.0.user_id).await.map(|row| row.map(User))
    }

    /// 1 to 5.
    async fn stars(&self) -> i32 {
        self.0.stars
    }

    /// Why; may be empty.
    async fn review(&self) -> &str {
        &self.0.review
    }

    /// Whether they have made pictures with this version here.
    async fn has_used(&self) -> bool {
        self.0.has_used
    }

    /// When.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When they last changed it.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

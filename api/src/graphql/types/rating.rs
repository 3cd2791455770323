//! Ratings.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use atelier_domain::{entities, id::Noun, social::rating};
use chrono::{DateTime, Utc};

use super::{lora::Lora, lora_version::LoraVersion, moderation::hidden_reason, user::User};
use crate::graphql::{context::encode, loaders::load, scalars::BigInt};

/// Which ratings come first.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "rating::RatingSort")]
pub enum RatingOrder {
    /// Those that were given last.
    Newest,
    /// Those that most people found helpful.
    Helpful,
}

/// How many ratings give so many stars.
#[derive(SimpleObject)]
pub struct RatingSpreadStep {
    /// 1 to 5.
    pub stars: i32,
    /// How many ratings.
    pub count: BigInt,
}

/// How stars spread: five steps, from one star to five.
pub fn spread(counts: Option<rating::Spread>) -> Vec<RatingSpreadStep> {
    let counts = counts.unwrap_or_default().into_iter();
    counts.zip(1..).map(|(count, stars)| RatingSpreadStep { stars, count: BigInt(count) }).collect()
}

/// One person's judgement of one version of a LoRA.
pub struct Rating(pub entities::rating::Model);

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

    /// Whether they have made pictures with this version here, or downloaded it.
    async fn has_used(&self) -> bool {
        self.0.has_used
    }

    /// How many people found it helpful.
    async fn helpful_count(&self) -> BigInt {
        BigInt(self.0.helpful_count)
    }

    /// Whether you found it helpful.
    async fn is_found_helpful_by_viewer(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(load(ctx, |loaders| &loaders.ratings_found_helpful, self.0.id).await?.unwrap_or_default())
    }

    /// Since when the moderators hide it from everybody but its author; it does not count then.
    async fn hidden_at(&self) -> Option<DateTime<Utc>> {
        self.0.hidden_at
    }

    /// Why the moderators hide it; its author reads it.
    async fn hidden_reason(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        hidden_reason(ctx, self.0.id, self.0.hidden_at).await
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

//! What those published whom one follows.

use async_graphql::{Context, Enum, Object, Result};
use atelier_domain::social::feed;
use chrono::{DateTime, Utc};

use super::{lora::Lora, lora_version::LoraVersion, user::User};
use crate::graphql::loaders::load;

/// What was published.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedEntryKind {
    /// A LoRA, with its first public version.
    LoraPublished,
    /// A further version of a LoRA.
    LoraVersionPublished,
}

/// Something that somebody you follow published.
pub struct FeedEntry(pub feed::FeedEntry);

#[Object]
impl FeedEntry {
    /// What was published.
    async fn kind(&self) -> FeedEntryKind {
        if self.0.is_first() { FeedEntryKind::LoraPublished } else { FeedEntryKind::LoraVersionPublished }
    }

    /// The LoRA.
    async fn lora(&self) -> Lora {
        Lora(self.0.lora.clone())
    }

    /// The version.
    async fn version(&self) -> LoraVersion {
        LoraVersion(self.0.version.clone())
    }

    /// Who made it.
    async fn creator(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load(ctx, |loaders| &loaders.users, self.0.lora.created_by).await.map(|row| row.map(User))
    }

    /// When it was published.
    async fn published_at(&self) -> DateTime<Utc> {
        self.0.published_at
    }
}

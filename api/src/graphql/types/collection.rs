//! Collections.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{
    entities::{collection, collection_lora},
    id::Noun,
};
use chrono::{DateTime, Utc};

use super::{lora::Lora, moderation::hidden_reason, team::Team, user::User};
use crate::graphql::{
    connection::ConnectionOf,
    context::encode,
    loaders::{load, pages::load_page},
    scalars::BigInt,
};

/// A named list of LoRAs that a person or a team keeps.
pub struct Collection(pub collection::Model);

#[Object]
impl Collection {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Collection, self.0.id)
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is for.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// Whether everybody sees it; otherwise its team alone does.
    async fn is_public(&self) -> bool {
        self.0.is_public
    }

    /// Who made it.
    async fn creator(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load(ctx, |loaders| &loaders.users, self.0.created_by).await.map(|row| row.map(User))
    }

    /// The team that keeps it; none for who is not a member.
    async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        load(ctx, |loaders| &loaders.teams, self.0.team_id).await.map(|row| row.map(Team))
    }

    /// How many LoRAs in it you may see.
    async fn lora_count(&self, ctx: &Context<'_>) -> Result<BigInt> {
        Ok(BigInt(load(ctx, |loaders| &loaders.collection_counts, self.0.id).await?.unwrap_or_default()))
    }

    /// Its LoRAs in their order; those that you may not see, or not any more, are left out.
    async fn loras(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<CollectionLora>> {
        load_page(ctx, |pages| &pages.collection_loras, self.0.id, (first, after), CollectionLora).await
    }

    /// Since when the moderators hide it from everybody but its team.
    async fn hidden_at(&self) -> Option<DateTime<Utc>> {
        self.0.hidden_at
    }

    /// Why, for its team and for those who administer the installation.
    async fn hidden_reason(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        hidden_reason(ctx, self.0.id, self.0.hidden_at).await
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it, or what is in it, last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// A LoRA in a collection.
pub struct CollectionLora(pub collection_lora::Model);

#[Object]
impl CollectionLora {
    /// The LoRA.
    async fn lora(&self, ctx: &Context<'_>) -> Result<Option<Lora>> {
        load(ctx, |loaders| &loaders.loras, self.0.lora_id).await.map(|row| row.map(Lora))
    }

    /// Why it is in the collection.
    async fn note(&self) -> &str {
        &self.0.note
    }

    /// When it was added.
    async fn added_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

//! Previews of versions.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{blob, entities::preview, id::Noun};
use chrono::{DateTime, Utc};

use super::{base_model::BaseModel, moderation::hidden_reason};
use crate::graphql::{
    context::{Resolve, encode},
    loaders::load,
    scalars::BigInt,
};

/// A picture that shows what a version does.
pub struct Preview(pub preview::Model);

#[Object]
impl Preview {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Preview, self.0.id)
    }

    /// The picture as PNG: a signed link.
    async fn url(&self, ctx: &Context<'_>) -> String {
        blob::link(ctx.house(), &self.0.blob_sha256, &format!("preview-{}.png", self.0.position + 1))
    }

    /// A thumbnail as WebP: a signed link.
    async fn thumbnail_url(&self, ctx: &Context<'_>) -> String {
        blob::link(ctx.house(), &self.0.thumbnail_sha256, &format!("preview-{}-small.webp", self.0.position + 1))
    }

    /// A blurred placeholder to show while the picture loads.
    async fn blurhash(&self) -> &str {
        &self.0.blurhash
    }

    /// Pixels across.
    async fn width(&self) -> i32 {
        self.0.width
    }

    /// Pixels down.
    async fn height(&self) -> i32 {
        self.0.height
    }

    /// The prompt.
    async fn prompt(&self) -> &str {
        &self.0.prompt
    }

    /// The seed.
    async fn seed(&self) -> BigInt {
        BigInt(self.0.seed)
    }

    /// Strength of the LoRA.
    async fn strength(&self) -> f64 {
        self.0.strength
    }

    /// Denoising steps.
    async fn steps(&self) -> i32 {
        self.0.steps
    }

    /// Guidance scale.
    async fn guidance_scale(&self) -> f64 {
        self.0.guidance
    }

    /// The base model.
    async fn base_model(&self, ctx: &Context<'_>) -> Result<Option<BaseModel>> {
        load(ctx, |loaders| &loaders.base_models, self.0.base_model_id).await.map(|row| row.map(BaseModel))
    }

    /// Since when the moderators hide it from everybody but its team.
    async fn hidden_at(&self) -> Option<DateTime<Utc>> {
        self.0.hidden_at
    }

    /// Why the moderators hide it; its team reads it.
    async fn hidden_reason(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        hidden_reason(ctx, self.0.id, self.0.hidden_at).await
    }

    /// When it was rendered.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

//! What LoRAs were measured to do to base models.

use async_graphql::{Context, Object, Result, SimpleObject};
use atelier_domain::{blob, entities::compatibility};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::base_model::BaseModel;
use crate::graphql::{context::Resolve, loaders::load};

/// What a LoRA version was measured to do to a base model, with pictures of fixed prompts, seeds and strengths.
pub struct LoraCompatibility(pub compatibility::Model);

/// What a strength does.
#[derive(SimpleObject, Deserialize)]
pub struct MeasuredStrength {
    /// The strength.
    strength: f64,
    /// How far pictures lie from those without the LoRA: 0 is no effect; at 1 they are as different as pictures of another seed.
    effect: f64,
    /// How much of what a prompt says still shows; 1 is all.
    retention: f64,
    /// How much more of the pictures is black or white than without the LoRA, 0 to 1.
    lost: f64,
}

/// The lowest and the highest safe strength.
#[derive(SimpleObject)]
pub struct SafeStrengths {
    /// The lowest.
    low: f64,
    /// The highest.
    high: f64,
}

#[Object]
impl LoraCompatibility {
    /// The base model; none when it may not be seen any more.
    async fn base_model(&self, ctx: &Context<'_>) -> Result<Option<BaseModel>> {
        load(ctx, |loaders| &loaders.base_models, self.0.base_model_id).await.map(|row| row.map(BaseModel))
    }

    /// Share of the file's keys that were understood, 0 to 1.
    async fn matched_share(&self) -> f64 {
        self.0.matched_share
    }

    /// Whether CLIP measured how much of the prompts is kept; otherwise how different pictures of different prompts still are.
    async fn is_by_clip(&self) -> bool {
        self.0.by_clip
    }

    /// What was found at each strength, rising.
    async fn strengths(&self) -> Result<Vec<MeasuredStrength>> {
        Ok(serde_json::from_value(self.0.strengths.clone())?)
    }

    /// The strengths at which its effect is seen, prompts are kept and no picture is washed out; none where none is safe.
    async fn safe_strengths(&self) -> Option<SafeStrengths> {
        let (low, high) = self.0.safe_low.zip(self.0.safe_high)?;
        Some(SafeStrengths { low, high })
    }

    /// The pictures that it was measured by, a row without the LoRA and one for each strength: a signed link to a PNG.
    async fn sheet_url(&self, ctx: &Context<'_>) -> Option<String> {
        self.0.sheet_sha256.as_ref().map(|sha256| blob::link(ctx.house(), sha256, "compatibility.png"))
    }

    /// When it was measured.
    async fn measured_at(&self) -> DateTime<Utc> {
        self.0.measured_at
    }
}

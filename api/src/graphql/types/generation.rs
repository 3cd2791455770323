//! Generations and the pictures that they made.

use async_graphql::{Context, Enum, ID, Json, Object, Result, SimpleObject};
use atelier_domain::{
    blob,
    entities::{asset, generation, generation_lora, generation_picture, kinds},
    generation::{self as domain, Margins},
    id::Noun,
};
use chrono::{DateTime, Utc};

use super::{base_model::BaseModel, job::Job, lora_version::LoraVersion};
use crate::graphql::{
    context::{Resolve, encode},
    loaders::load,
    scalars::BigInt,
};

/// Pixels that are drawn around a picture.
#[derive(SimpleObject)]
pub struct GenerationMargins {
    /// On the left.
    left: i32,
    /// Above.
    top: i32,
    /// On the right.
    right: i32,
    /// Below.
    bottom: i32,
}

/// What SDXL is told of a picture that it draws: as if it were the part of another one that begins at a corner. All are pixels.
#[derive(SimpleObject)]
pub struct SizeConditioning {
    /// Pixels across of the picture that it is drawn as if cut from.
    original_width: i32,
    /// Pixels down of it.
    original_height: i32,
    /// Pixels that were cut off on its left.
    crop_left: i32,
    /// Pixels that were cut off above.
    crop_top: i32,
}

/// A wish for pictures.
pub struct Generation(pub generation::Model);

#[Object]
impl Generation {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Generation, self.0.id)
    }

    /// The job that does it: watch it with `jobProgress`.
    async fn job(&self, ctx: &Context<'_>) -> Result<Option<Job>> {
        match self.0.job_id {
            Some(id) => load(ctx, |loaders| &loaders.jobs, id).await.map(|row| row.map(Job)),
            None => Ok(None),
        }
    }

    /// The model.
    async fn base_model(&self, ctx: &Context<'_>) -> Result<Option<BaseModel>> {
        load(ctx, |loaders| &loaders.base_models, self.0.base_model_id).await.map(|row| row.map(BaseModel))
    }

    /// The LoRAs, in order.
    async fn loras(&self, ctx: &Context<'_>) -> Result<Vec<GenerationLora>> {
        let rows = load(ctx, |loaders| &loaders.generation_loras, self.0.id).await?.unwrap_or_default();
        Ok(rows.into_iter().map(GenerationLora).collect())
    }

    /// Whether the LoRAs are merged into the model's weights for it.
    async fn merges_loras(&self) -> bool {
        self.0.merges_loras
    }

    /// The pictures that it was given, in order: references, then what it begins as, then the mask.
    async fn pictures(&self, ctx: &Context<'_>) -> Result<Vec<GenerationPicture>> {
        let rows = load(ctx, |loaders| &loaders.generation_pictures, self.0.id).await?.unwrap_or_default();
        Ok(rows.into_iter().map(GenerationPicture).collect())
    }

    /// How much of the picture that it begins as is drawn anew, up to 1; none where it begins as noise.
    async fn start_strength(&self) -> Option<f64> {
        self.0.start_strength
    }

    /// What is drawn around the picture that it begins as; none where that fills the new pictures.
    async fn start_margins(&self) -> Option<GenerationMargins> {
        let Margins { left, top, right, bottom } = Margins::of(&self.0)?;
        Some(GenerationMargins { left, top, right, bottom })
    }

    /// What the model is told of the pictures' sizes; none where it is told that they are whole.
    async fn size_conditioning(&self) -> Option<SizeConditioning> {
        let domain::SizeConditioning { original_width, original_height, crop_left, crop_top } =
            domain::SizeConditioning::of(&self.0)?;
        Some(SizeConditioning { original_width, original_height, crop_left, crop_top })
    }

    /// The pictures, in order; none before the job has ended well.
    async fn assets(&self, ctx: &Context<'_>) -> Result<Vec<Asset>> {
        let rows = load(ctx, |loaders| &loaders.generation_assets, self.0.id).await?.unwrap_or_default();
        Ok(rows.into_iter().map(Asset).collect())
    }

    /// What the pictures show.
    async fn prompt(&self) -> &str {
        &self.0.prompt
    }

    /// What they do not show.
    async fn negative_prompt(&self) -> &str {
        &self.0.negative_prompt
    }

    /// Seed of the first picture; the others count on from it.
    async fn seed(&self) -> BigInt {
        BigInt(self.0.seed)
    }

    /// Pixels across.
    async fn width(&self) -> i32 {
        self.0.width
    }

    /// Pixels down.
    async fn height(&self) -> i32 {
        self.0.height
    }

    /// Denoising steps.
    async fn steps(&self) -> i32 {
        self.0.steps
    }

    /// Guidance scale.
    async fn guidance(&self) -> f64 {
        self.0.guidance
    }

    /// Number of pictures.
    async fn count(&self) -> i32 {
        self.0.count
    }

    /// When it was asked for.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// A LoRA as it is used in a generation.
pub struct GenerationLora(pub generation_lora::Model);

#[Object]
impl GenerationLora {
    /// The version; none when it may not be seen any more.
    async fn version(&self, ctx: &Context<'_>) -> Result<Option<LoraVersion>> {
        load(ctx, |loaders| &loaders.lora_versions, self.0.lora_version_id).await.map(|row| row.map(LoraVersion))
    }

    /// Its strength.
    async fn strength(&self) -> f64 {
        self.0.strength
    }
}

/// What a picture is to the generation that it is given to.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "kinds::GenerationPictureRole")]
pub enum GenerationPictureRole {
    /// What the new pictures are made from: the model sees it.
    Reference,
    /// What the new pictures begin as.
    Start,
    /// Where the start is drawn anew.
    Mask,
}

/// A picture that a generation was given.
pub struct GenerationPicture(pub generation_picture::Model);

#[Object]
impl GenerationPicture {
    /// What it is to the generation.
    async fn role(&self) -> GenerationPictureRole {
        self.0.role.into()
    }

    /// A link to the picture as PNG; it works for an hour or more.
    async fn url(&self, ctx: &Context<'_>) -> String {
        blob::link(ctx.house(), &self.0.blob_sha256, "picture.png")
    }

    /// SHA-256 of the picture's file.
    async fn sha256(&self) -> &str {
        &self.0.blob_sha256
    }
}

/// A generated picture.
pub struct Asset(pub asset::Model);

#[Object]
impl Asset {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Asset, self.0.id)
    }

    /// The generation that made it.
    async fn generation(&self, ctx: &Context<'_>) -> Result<Option<Generation>> {
        load(ctx, |loaders| &loaders.generations, self.0.generation_id).await.map(|row| row.map(Generation))
    }

    /// A link to the picture as PNG, with its recipe inside; it works for an hour or more.
    async fn url(&self, ctx: &Context<'_>) -> String {
        blob::link(ctx.house(), &self.0.blob_sha256, &format!("seed-{}.png", self.0.seed))
    }

    /// A link to a thumbnail as WebP.
    async fn thumbnail_url(&self, ctx: &Context<'_>) -> String {
        blob::link(ctx.house(), &self.0.thumbnail_sha256, &format!("seed-{}.webp", self.0.seed))
    }

    /// A blurred placeholder, as blurhash writes it.
    async fn blurhash(&self) -> &str {
        &self.0.blurhash
    }

    /// SHA-256 of the picture's file.
    async fn sha256(&self) -> &str {
        &self.0.blob_sha256
    }

    /// Pixels across.
    async fn width(&self) -> i32 {
        self.0.width
    }

    /// Pixels down.
    async fn height(&self) -> i32 {
        self.0.height
    }

    /// Its own seed.
    async fn seed(&self) -> BigInt {
        BigInt(self.0.seed)
    }

    /// What it was made from: model, LoRAs, prompt, seed, steps, guidance, size.
    async fn recipe(&self) -> Json<serde_json::Value> {
        Json(self.0.recipe.clone())
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

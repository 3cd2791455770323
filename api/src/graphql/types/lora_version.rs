//! Versions of LoRAs.

use async_graphql::{Context, ID, Json, Object, Result, SimpleObject};
use atelier_domain::{entities::lora_version, id::Noun, lora::versions::words};
use atelier_worker::inference::lora;
use chrono::{DateTime, Utc};

use super::{
    base_model::BaseModel,
    compatibility_vote::CompatibilityVotes,
    lora::Lora,
    lora_compatibility::LoraCompatibility,
    preview::Preview,
    rating::{RatingSpreadStep, spread},
};
use crate::graphql::{context::encode, loaders::load, scalars::BigInt};

/// One file of a LoRA. It never changes.
pub struct LoraVersion(pub lora_version::Model);

/// The names that a file has by its content, in hexadecimal digits.
#[derive(SimpleObject)]
pub struct LoraHashes {
    /// SHA-256 of the file.
    sha256: String,
    /// AutoV2: the first ten digits of the SHA-256.
    auto_v2: String,
    /// AutoV3: SHA-256 of what follows the header.
    auto_v3: String,
    /// BLAKE3 of the file.
    blake3: String,
}

/// An AIR name, by which sites and programs name models across each other, in its parts.
#[derive(SimpleObject)]
pub struct AirName {
    /// The whole name: `urn:air:{ecosystem}:{type}:{source}:{id}@{version}`.
    name: String,
    /// The family of models that it belongs to, such as `sdxl`.
    ecosystem: String,
    /// What it is, such as `lora`.
    #[graphql(name = "type")]
    kind: String,
    /// Where it is found, such as `civitai`.
    source: String,
    /// Its name there.
    identifier: String,
    /// Its version there, where one is named.
    version: Option<String>,
}

impl From<lora::AirName> for AirName {
    fn from(name: lora::AirName) -> Self {
        Self {
            name: name.to_string(),
            ecosystem: name.ecosystem,
            kind: name.kind,
            source: name.source,
            identifier: name.id,
            version: name.version,
        }
    }
}

#[Object]
impl LoraVersion {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::LoraVersion, self.0.id)
    }

    /// The LoRA.
    async fn lora(&self, ctx: &Context<'_>) -> Result<Option<Lora>> {
        load(ctx, |loaders| &loaders.loras, self.0.lora_id).await.map(|row| row.map(Lora))
    }

    /// 1, 2, 3 … within the LoRA.
    async fn number(&self) -> i32 {
        self.0.number
    }

    /// What is new.
    async fn change_note(&self) -> &str {
        &self.0.change_note
    }

    /// The version that it continues.
    async fn parent(&self, ctx: &Context<'_>) -> Result<Option<LoraVersion>> {
        let Some(id) = self.0.parent_version_id else { return Ok(None) };
        load(ctx, |loaders| &loaders.lora_versions, id).await.map(|row| row.map(LoraVersion))
    }

    /// The base model here that it fits; none if this installation has none for it.
    async fn base_model(&self, ctx: &Context<'_>) -> Result<Option<BaseModel>> {
        let Some(id) = self.0.base_model_id else { return Ok(None) };
        load(ctx, |loaders| &loaders.base_models, id).await.map(|row| row.map(BaseModel))
    }

    /// The family that the file's metadata declares; empty when it does not.
    async fn declared_family(&self) -> &str {
        &self.0.declared_family
    }

    /// The family as detected from tensor shapes.
    async fn detected_family(&self) -> &str {
        &self.0.detected_family
    }

    /// The variant as detected from tensor shapes.
    async fn detected_variant(&self) -> &str {
        &self.0.detected_variant
    }

    /// Share of the file's keys that were understood, 0 to 1.
    async fn matched_share(&self) -> f64 {
        self.0.matched_share
    }

    /// What is odd about the file, in sentences.
    async fn problems(&self) -> Vec<String> {
        words(&self.0.problems)
    }

    /// Words that call its style up.
    async fn trigger_words(&self) -> Vec<String> {
        words(&self.0.trigger_words)
    }

    /// Rank of its matrices.
    async fn rank(&self) -> i32 {
        self.0.rank
    }

    /// Alpha: the scale is strength · alpha / rank.
    async fn alpha(&self) -> f64 {
        self.0.alpha
    }

    /// The layout of the file as it was made: `BFL`, `DIFFUSERS` or `KOHYA`.
    async fn layout(&self) -> &str {
        &self.0.layout
    }

    /// The names that the file has by its content.
    async fn hashes(&self) -> LoraHashes {
        LoraHashes {
            sha256: self.0.blob_sha256.clone(),
            auto_v2: self.0.auto_v2.clone(),
            auto_v3: self.0.auto_v3.clone(),
            blake3: self.0.blake3.clone(),
        }
    }

    /// Size of the file in bytes.
    async fn file_size(&self) -> BigInt {
        BigInt(self.0.file_size)
    }

    /// Strength at which it looks best.
    async fn recommended_strength(&self) -> f64 {
        self.0.recommended_strength
    }

    /// The AIR name that the file's header gives it; none where it gives none.
    async fn air_name(&self) -> Option<AirName> {
        let metadata = serde_json::from_value(self.0.metadata.clone()).unwrap_or_default();
        lora::air_name(&metadata).map(Into::into)
    }

    /// The metadata of the file's header.
    async fn metadata(&self) -> Json<serde_json::Value> {
        Json(self.0.metadata.clone())
    }

    /// Pictures that show what it does; empty until they are rendered.
    async fn previews(&self, ctx: &Context<'_>) -> Result<Vec<Preview>> {
        let rows = load(ctx, |loaders| &loaders.version_previews, self.0.id).await?;
        Ok(rows.unwrap_or_default().into_iter().map(Preview).collect())
    }

    /// What it was measured to do to base models, after it was published; empty until then.
    async fn compatibility(&self, ctx: &Context<'_>) -> Result<Vec<LoraCompatibility>> {
        let rows = load(ctx, |loaders| &loaders.version_compatibility, self.0.id).await?;
        Ok(rows.unwrap_or_default().into_iter().map(LoraCompatibility).collect())
    }

    /// Other versions with the same weights, whatever their headers say, that you may see: the oldest first, at most 20.
    async fn duplicates(&self, ctx: &Context<'_>) -> Result<Vec<LoraVersion>> {
        let rows = load(ctx, |loaders| &loaders.version_duplicates, self.0.id).await?;
        Ok(rows.unwrap_or_default().into_iter().map(LoraVersion).collect())
    }

    /// How its ratings spread: five steps, from one star to five.
    async fn rating_spread(&self, ctx: &Context<'_>) -> Result<Vec<RatingSpreadStep>> {
        load(ctx, |loaders| &loaders.version_rating_spreads, self.0.id).await.map(spread)
    }

    /// What people say of its compatibility, for each base model that somebody voted on.
    async fn compatibility_votes(&self, ctx: &Context<'_>) -> Result<Vec<CompatibilityVotes>> {
        let votes = load(ctx, |loaders| &loaders.compatibility_votes, self.0.id).await?.unwrap_or_default();
        Ok(votes.into_iter().map(CompatibilityVotes).collect())
    }

    /// When everybody could first see it; none for a version that only its team sees.
    async fn published_at(&self) -> Option<DateTime<Utc>> {
        self.0.published_at
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

//! A picture that shows what a version does.

use sea_orm::entity::prelude::*;

/// A picture that shows what a version does.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "preview")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The version.
    pub lora_version_id: Uuid,
    /// Whose.
    pub team_id: Uuid,
    /// PNG with its recipe.
    #[sea_orm(column_type = "Text")]
    pub blob_sha256: String,
    /// A small WebP of it.
    #[sea_orm(column_type = "Text")]
    pub thumbnail_sha256: String,
    /// A placeholder while it loads.
    #[sea_orm(column_type = "Text")]
    pub blurhash: String,
    /// Pixels.
    pub width: i32,
    /// Pixels.
    pub height: i32,
    /// Prompt it was made with.
    #[sea_orm(column_type = "Text")]
    pub prompt: String,
    /// Seed it was made with.
    pub seed: i64,
    /// Strength of the LoRA.
    pub strength: f64,
    /// Steps.
    pub steps: i32,
    /// Guidance scale.
    pub guidance: f64,
    /// The base model.
    pub base_model_id: Uuid,
    /// How it looks: numbers of 32 bits, the lowest byte first; none where nobody described it.
    #[sea_orm(column_type = "Blob", nullable)]
    pub look: Option<Vec<u8>>,
    /// What described it; looks of different describers say nothing beside each other.
    #[sea_orm(column_type = "Text", nullable)]
    pub describer: Option<String>,
    /// Order in the gallery.
    pub position: i32,
    /// When.
    pub created_at: DateTimeUtc,
    /// Since when the moderators hide it from everybody but its team.
    pub hidden_at: Option<DateTimeUtc>,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

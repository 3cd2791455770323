//! What a LoRA version was measured to do to a base model.

use sea_orm::entity::prelude::*;

/// What a LoRA version was measured to do to a base model.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "compatibility")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The version.
    pub lora_version_id: Uuid,
    /// The base model.
    pub base_model_id: Uuid,
    /// Share of the file's keys that were understood, 0 to 1.
    pub matched_share: f64,
    /// Whether CLIP measured how much of the prompts is kept.
    pub by_clip: bool,
    /// What was found at each strength, as a list.
    #[sea_orm(column_type = "JsonBinary")]
    pub strengths: Json,
    /// The lowest safe strength; none where none is safe.
    pub safe_low: Option<f64>,
    /// The highest safe strength.
    pub safe_high: Option<f64>,
    /// The pictures that it was measured by, as one PNG.
    #[sea_orm(column_type = "Text", nullable)]
    pub sheet_sha256: Option<String>,
    /// When.
    pub measured_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

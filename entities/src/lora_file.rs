//! A version's file in another layout: converted once, and again when what its header says has changed.

use sea_orm::entity::prelude::*;

/// A version's file in another layout: converted once, and again when what its header says has changed.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "lora_file")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The version.
    pub lora_version_id: Uuid,
    /// `BFL`, `DIFFUSERS` or `KOHYA`.
    #[sea_orm(column_type = "Text")]
    pub layout: String,
    /// The converted bytes.
    #[sea_orm(column_type = "Text")]
    pub blob_sha256: String,
    /// SHA-256 after the header; none of what was converted before it was kept.
    #[sea_orm(column_type = "Text", nullable)]
    pub auto_v3: Option<String>,
    /// BLAKE3 of the file; none as above.
    #[sea_orm(column_type = "Text", nullable)]
    pub blake3: Option<String>,
    /// SHA-256 of what its header says of the LoRA's card; none of what was converted before it said anything.
    #[sea_orm(column_type = "Text", nullable)]
    pub card_sha256: Option<String>,
    /// What programs leave out of it, in sentences; none of what was converted before it was kept.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub left_out: Option<Json>,
    /// Bytes.
    pub file_size: i64,
    /// When.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! Bytes, named by their SHA-256; immutable.

use sea_orm::entity::prelude::*;

/// Bytes, named by their SHA-256; immutable.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "blob")]
pub struct Model {
    /// Hex digest.
    #[sea_orm(primary_key, auto_increment = false)]
    #[sea_orm(column_type = "Text")]
    pub sha256: String,
    /// Bytes.
    pub size: i64,
    /// Such as `image/png`.
    #[sea_orm(column_type = "Text")]
    pub media_type: String,
    /// When it was stored first.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

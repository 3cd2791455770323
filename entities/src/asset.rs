//! A picture that a generation made.

use sea_orm::entity::prelude::*;

/// A picture that a generation made.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "asset")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose.
    pub team_id: Uuid,
    /// The generation.
    pub generation_id: Uuid,
    /// Who asked for it.
    pub created_by: Uuid,
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
    /// Its own seed.
    pub seed: i64,
    /// 0, 1, 2 … within the generation.
    pub position: i32,
    /// Everything needed to make it again.
    #[sea_orm(column_type = "JsonBinary")]
    pub recipe: Json,
    /// When.
    pub created_at: DateTimeUtc,
    /// Tombstone.
    pub deleted_at: Option<DateTimeUtc>,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

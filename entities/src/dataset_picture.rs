//! One picture of a data set.

use sea_orm::entity::prelude::*;

/// One picture of a data set.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "dataset_picture")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The data set.
    pub dataset_id: Uuid,
    /// Whose.
    pub team_id: Uuid,
    /// The upload it came from.
    pub upload_id: Uuid,
    /// The picture, re-encoded without metadata.
    #[sea_orm(column_type = "Text")]
    pub blob_sha256: String,
    /// A small WebP of it.
    #[sea_orm(column_type = "Text")]
    pub thumbnail_sha256: String,
    /// A placeholder while it loads.
    #[sea_orm(column_type = "Text")]
    pub blurhash: String,
    /// Name on the sender's side.
    #[sea_orm(column_type = "Text")]
    pub file_name: String,
    /// What it shows.
    #[sea_orm(column_type = "Text")]
    pub caption: String,
    /// Pixels.
    pub width: i32,
    /// Pixels.
    pub height: i32,
    /// 64-bit perceptual hash, for near-duplicates.
    pub perceptual_hash: i64,
    /// Variance of the Laplacian at a common size.
    pub sharpness: f64,
    /// A copy of 8 x 8 pixels, red, green and blue of each, to tell near-duplicates by.
    pub colours: Vec<u8>,
    /// When.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! A picture that a generation is given.

use sea_orm::entity::prelude::*;

use crate::kinds::GenerationPictureRole;

/// A picture that a generation is given.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_picture")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The generation.
    pub generation_id: Uuid,
    /// What it is to the generation.
    pub role: GenerationPictureRole,
    /// Order as given.
    pub position: i32,
    /// The picture.
    #[sea_orm(column_type = "Text")]
    pub blob_sha256: String,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

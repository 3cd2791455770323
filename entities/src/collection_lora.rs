//! A LoRA in a collection.

use sea_orm::entity::prelude::*;

/// A LoRA in a collection.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "collection_lora")]
pub struct Model {
    /// The collection.
    #[sea_orm(primary_key, auto_increment = false)]
    pub collection_id: Uuid,
    /// The LoRA.
    #[sea_orm(primary_key, auto_increment = false)]
    pub lora_id: Uuid,
    /// Rises within the collection, with room between for those that are moved there.
    pub position: i32,
    /// Why it is in it.
    #[sea_orm(column_type = "Text")]
    pub note: String,
    /// When it was added.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

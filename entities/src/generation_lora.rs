//! One LoRA that a generation uses.

use sea_orm::entity::prelude::*;

/// One LoRA that a generation uses.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_lora")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The generation.
    pub generation_id: Uuid,
    /// The version.
    pub lora_version_id: Uuid,
    /// Its strength; may be negative.
    pub strength: f64,
    /// Order as given.
    pub position: i32,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

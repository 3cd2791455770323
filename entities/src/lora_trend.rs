//! How much a LoRA is talked about: attention that halves every week.

use sea_orm::entity::prelude::*;

/// How much a LoRA is talked about: attention that halves every week.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "lora_trend")]
pub struct Model {
    /// The LoRA.
    #[sea_orm(primary_key, auto_increment = false)]
    pub lora_id: Uuid,
    /// Logarithm to base 2 of its attention, as if all of it aged back to 1970: comparable between LoRAs at any time.
    pub score: f64,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

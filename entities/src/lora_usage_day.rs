//! How much a version was used on a day (UTC).

use sea_orm::entity::prelude::*;

/// How much a version was used on a day (UTC).
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "lora_usage_day")]
pub struct Model {
    /// The version.
    #[sea_orm(primary_key, auto_increment = false)]
    pub lora_version_id: Uuid,
    /// The day.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: Date,
    /// Its LoRA.
    pub lora_id: Uuid,
    /// People who downloaded it for the first time.
    pub downloads: i64,
    /// Generations with it that succeeded.
    pub generations: i64,
    /// Pictures that were made with it.
    pub pictures_made: i64,
    /// Those of them that have not been deleted.
    pub pictures_kept: i64,
    /// Teams that generated with it.
    pub teams: i64,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

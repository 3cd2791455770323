//! One person's word on whether a version works with a base model.

use sea_orm::entity::prelude::*;

/// One person's word on whether a version works with a base model.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "compatibility_vote")]
pub struct Model {
    /// The version.
    #[sea_orm(primary_key, auto_increment = false)]
    pub lora_version_id: Uuid,
    /// The base model.
    #[sea_orm(primary_key, auto_increment = false)]
    pub base_model_id: Uuid,
    /// The person.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    /// What they say.
    pub works: bool,
    /// When they last said so.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

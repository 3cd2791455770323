//! That a base model is offered to a team, where it is not offered to everyone.

use sea_orm::entity::prelude::*;

/// That a base model is offered to a team, where it is not offered to everyone.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "base_model_team")]
pub struct Model {
    /// The base model.
    #[sea_orm(primary_key, auto_increment = false)]
    pub base_model_id: Uuid,
    /// The team.
    #[sea_orm(primary_key, auto_increment = false)]
    pub team_id: Uuid,
    /// Since when.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! That a person belongs to a team, and as what.

use sea_orm::entity::prelude::*;

use crate::kinds::Role;

/// That a person belongs to a team, and as what.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "membership")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The team.
    pub team_id: Uuid,
    /// The person.
    pub user_id: Uuid,
    /// What they may do there.
    pub role: Role,
    /// Since when.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

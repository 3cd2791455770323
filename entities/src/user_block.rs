//! That one person does not want to see another, nor hear from them.

use sea_orm::entity::prelude::*;

/// That one person does not want to see another, nor hear from them.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_block")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who blocks.
    pub blocker_id: Uuid,
    /// Whom.
    pub blocked_id: Uuid,
    /// Since when.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

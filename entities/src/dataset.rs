//! Pictures and captions to train from.

use sea_orm::entity::prelude::*;

/// Pictures and captions to train from.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dataset")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose.
    pub team_id: Uuid,
    /// Who made it.
    pub created_by: Uuid,
    /// Its name.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// What it shows.
    #[sea_orm(column_type = "Text")]
    pub description: String,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it last changed.
    pub updated_at: DateTimeUtc,
    /// Tombstone.
    pub deleted_at: Option<DateTimeUtc>,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

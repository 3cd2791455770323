//! The owner of every other row; a person's own work belongs to their personal team.

use sea_orm::entity::prelude::*;

/// The owner of every other row; a person's own work belongs to their personal team.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "team")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Public name in addresses.
    #[sea_orm(column_type = "Text")]
    pub slug: String,
    /// Name shown to people.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// The person whose personal team it is.
    pub personal_user_id: Option<Uuid>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// Tombstone.
    pub deleted_at: Option<DateTimeUtc>,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

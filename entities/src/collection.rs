//! A named list of LoRAs.

use sea_orm::entity::prelude::*;

/// A named list of LoRAs.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "collection")]
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
    /// What it is for.
    #[sea_orm(column_type = "Text")]
    pub description: String,
    /// Everybody sees it; otherwise its team alone.
    pub is_public: bool,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it or what is in it last changed.
    pub updated_at: DateTimeUtc,
    /// Since when the moderators hide it from everybody but its team.
    pub hidden_at: Option<DateTimeUtc>,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

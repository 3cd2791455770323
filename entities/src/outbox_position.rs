//! How far one listener has read.

use sea_orm::entity::prelude::*;

/// How far one listener has read.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox_position")]
pub struct Model {
    /// The listener's name.
    #[sea_orm(primary_key, auto_increment = false)]
    #[sea_orm(column_type = "Text")]
    pub consumer: String,
    /// The last event it has dealt with.
    pub sequence: i64,
    /// When it moved last.
    pub updated_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

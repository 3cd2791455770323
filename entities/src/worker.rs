//! A worker that runs, as it says of itself every minute or so.

use sea_orm::entity::prelude::*;

/// A worker that runs, as it says of itself every minute or so.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "worker")]
pub struct Model {
    /// Its name, as jobs show it.
    #[sea_orm(primary_key, auto_increment = false)]
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Such as `cuda:0`.
    #[sea_orm(column_type = "Text")]
    pub device: String,
    /// Numbers that it computes in, such as `bf16`.
    #[sea_orm(column_type = "Text")]
    pub precision: String,
    /// Kinds of jobs that it takes.
    #[sea_orm(column_type = "JsonBinary")]
    pub kinds: Json,
    /// When it began; tells it from an earlier one of the same name.
    pub started_at: DateTimeUtc,
    /// When it last gave a sign of life.
    pub last_seen_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! The first answer to a mutation that carried an idempotency key; kept 24 hours.

use sea_orm::entity::prelude::*;

/// The first answer to a mutation that carried an idempotency key; kept 24 hours.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_record")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose key.
    pub user_id: Uuid,
    /// The key as given.
    #[sea_orm(column_type = "Text")]
    pub key: String,
    /// Name of the use-case.
    #[sea_orm(column_type = "Text")]
    pub operation: String,
    /// SHA-256 of the input, hex.
    #[sea_orm(column_type = "Text")]
    pub input_hash: String,
    /// The object that the first call made.
    pub result_id: Uuid,
    /// When.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! One side of a booking; append-only.

use sea_orm::entity::prelude::*;

/// One side of a booking; append-only.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger_entry")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The account.
    pub account_id: Uuid,
    /// The booking it belongs to, such as `reserve:job_…`; once an account.
    #[sea_orm(column_type = "Text")]
    pub operation: String,
    /// Credits, signed; the two sides of a booking sum to zero.
    pub amount: i64,
    /// The job it pays for.
    pub job_id: Option<Uuid>,
    /// When.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

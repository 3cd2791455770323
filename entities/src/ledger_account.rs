//! An account of the double-entry ledger.

use sea_orm::entity::prelude::*;

use crate::kinds::LedgerAccountKind;

/// An account of the double-entry ledger.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger_account")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The team; none for the house's own accounts.
    pub team_id: Option<Uuid>,
    /// What it holds.
    pub kind: LedgerAccountKind,
    /// Sum of its entries, kept with them and checked against them.
    pub balance: i64,
    /// When.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

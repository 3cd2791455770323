//! How often something was tried of late: sign-ins to an account, mails to an address.

use sea_orm::entity::prelude::*;

/// How often something was tried of late.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "throttle")]
pub struct Model {
    /// SHA-256 of what is tried and on whom, hex: also what does not exist is counted, and no address is kept.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub key: String,
    /// Attempts since it was last quiet.
    pub attempts: i32,
    /// When the last attempt was let through.
    pub last_attempt_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! Somebody who signed up and has not yet proven their address: no account until then, so that nobody can hold another's
//! address or handle.

use sea_orm::entity::prelude::*;

/// Somebody who signed up and has not yet proven their address.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_up")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Mail address, lower case. Several sign-ups may name the same; each has a link of its own.
    #[sea_orm(column_type = "Text")]
    pub email: String,
    /// The handle asked for; taken when the address is proven.
    #[sea_orm(column_type = "Text")]
    pub handle: String,
    /// Name shown to others.
    #[sea_orm(column_type = "Text")]
    pub display_name: String,
    /// argon2id in PHC string form.
    #[sea_orm(column_type = "Text")]
    pub password_hash: String,
    /// SHA-256 of the token in the mail, hex.
    #[sea_orm(column_type = "Text")]
    pub token_hash: String,
    /// After this the link is worthless.
    pub expires_at: DateTimeUtc,
    /// When.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

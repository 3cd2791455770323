//! A person with an account.

use sea_orm::entity::prelude::*;

/// A person with an account.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user")]
pub struct Model {
    /// Primary key (UUIDv7).
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Mail address, lower case.
    #[sea_orm(column_type = "Text")]
    pub email: String,
    /// When the address was proven; nobody signs in before.
    pub email_verified_at: Option<DateTimeUtc>,
    /// Public name in addresses: lower-case letters, digits and dashes.
    #[sea_orm(column_type = "Text")]
    pub handle: String,
    /// Name shown to others.
    #[sea_orm(column_type = "Text")]
    pub display_name: String,
    /// What the person says of themselves.
    #[sea_orm(column_type = "Text")]
    pub bio: String,
    /// A small WebP of their picture.
    #[sea_orm(column_type = "Text", nullable)]
    pub avatar_sha256: Option<String>,
    /// List of addresses of theirs elsewhere.
    #[sea_orm(column_type = "JsonBinary")]
    pub links: Json,
    /// argon2id in PHC string form.
    #[sea_orm(column_type = "Text")]
    pub password_hash: String,
    /// May administer the whole installation.
    pub is_administrator: bool,
    /// Set while the account may not be used.
    pub suspended_at: Option<DateTimeUtc>,
    /// When the account was made.
    pub created_at: DateTimeUtc,
    /// Since when the moderators hide name and text of the profile from everybody but the person.
    pub hidden_at: Option<DateTimeUtc>,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

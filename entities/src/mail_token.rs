//! A single-use link sent by mail.

use sea_orm::entity::prelude::*;

use crate::kinds::MailTokenPurpose;

/// A single-use link sent by mail.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mail_token")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whom it was sent to.
    pub user_id: Uuid,
    /// What the link does.
    pub purpose: MailTokenPurpose,
    /// SHA-256 of the token, hex.
    #[sea_orm(column_type = "Text")]
    pub token_hash: String,
    /// After this the link is worthless.
    pub expires_at: DateTimeUtc,
    /// When it was used.
    pub used_at: Option<DateTimeUtc>,
    /// When it was sent.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

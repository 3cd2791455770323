//! An invitation to a team, sent by mail.

use sea_orm::entity::prelude::*;

use crate::kinds::Role;

/// An invitation to a team, sent by mail.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invitation")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The team.
    pub team_id: Uuid,
    /// Address invited, lower case.
    #[sea_orm(column_type = "Text")]
    pub email: String,
    /// Role on acceptance.
    pub role: Role,
    /// SHA-256 of the token in the mail, hex.
    #[sea_orm(column_type = "Text")]
    pub token_hash: String,
    /// Who invited.
    pub invited_by: Uuid,
    /// After this it cannot be accepted.
    pub expires_at: DateTimeUtc,
    /// When it was accepted.
    pub accepted_at: Option<DateTimeUtc>,
    /// When it was taken back.
    pub revoked_at: Option<DateTimeUtc>,
    /// When it was sent.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

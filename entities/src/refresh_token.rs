//! One rotation of a session: an opaque refresh token, stored as its hash.

use sea_orm::entity::prelude::*;

/// One rotation of a session: an opaque refresh token, stored as its hash.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refresh_token")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The session: all rotations share it; reuse of a spent token ends the whole family.
    pub family_id: Uuid,
    /// Whose session it is.
    pub user_id: Uuid,
    /// SHA-256 of the token, hex.
    #[sea_orm(column_type = "Text")]
    pub token_hash: String,
    /// After this the token is worthless.
    pub expires_at: DateTimeUtc,
    /// When it was exchanged for the next one.
    pub spent_at: Option<DateTimeUtc>,
    /// When the session was ended.
    pub revoked_at: Option<DateTimeUtc>,
    /// When it was issued.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

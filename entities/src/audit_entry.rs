//! Who did what to which thing; written with the deed, never changed.

use sea_orm::entity::prelude::*;

/// Who did what to which thing; written with the deed, never changed.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entry")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The person; none for the system.
    pub actor_id: Option<Uuid>,
    /// The team whose thing it is.
    pub team_id: Option<Uuid>,
    /// The policy's name of the deed.
    #[sea_orm(column_type = "Text")]
    pub action: String,
    /// The thing.
    pub subject_id: Option<Uuid>,
    /// What else matters, without secrets.
    #[sea_orm(column_type = "JsonBinary")]
    pub detail: Json,
    /// When.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

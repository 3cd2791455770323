//! One thing that happened, in one order for everybody who listens.

use sea_orm::entity::prelude::*;

use crate::kinds::EventKind;

/// One thing that happened, in one order for everybody who listens.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox_event")]
pub struct Model {
    /// Position in the one order.
    #[sea_orm(primary_key)]
    pub sequence: i64,
    /// What happened.
    pub kind: EventKind,
    /// The team it happened in.
    pub team_id: Option<Uuid>,
    /// Who did it.
    pub actor_id: Option<Uuid>,
    /// What it happened to.
    pub subject_id: Uuid,
    /// Facts a listener needs and could not look up later.
    #[sea_orm(column_type = "JsonBinary")]
    pub payload: Json,
    /// When.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! A publication whose followers are being told, and how far that has come.

use sea_orm::entity::prelude::*;

use crate::kinds::NotificationKind;

/// A publication whose followers are being told, and how far that has come.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fanout")]
pub struct Model {
    /// The outbox event it stems from.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_sequence: i64,
    /// What they are told.
    pub kind: NotificationKind,
    /// Whose followers.
    pub followed_id: Uuid,
    /// Who published; they know already.
    pub publisher_id: Option<Uuid>,
    /// The LoRA concerned.
    pub lora_id: Uuid,
    /// One sentence.
    #[sea_orm(column_type = "Text")]
    pub message: String,
    /// The last follower who was dealt with, in the order of their keys.
    pub last_follower_id: Option<Uuid>,
    /// How many were told so far.
    pub told: i64,
    /// When it was begun.
    pub created_at: DateTimeUtc,
    /// When it last went on.
    pub updated_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

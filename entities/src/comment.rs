//! A comment on a LoRA; answers name their parent.

use sea_orm::entity::prelude::*;

/// A comment on a LoRA; answers name their parent.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "comment")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The LoRA.
    pub lora_id: Uuid,
    /// The comment it answers.
    pub parent_id: Option<Uuid>,
    /// Who wrote it.
    pub user_id: Uuid,
    /// The text.
    #[sea_orm(column_type = "Text")]
    pub body: String,
    /// When.
    pub created_at: DateTimeUtc,
    /// When last changed.
    pub edited_at: Option<DateTimeUtc>,
    /// When the thread that it begins was resolved.
    pub resolved_at: Option<DateTimeUtc>,
    /// Who resolved it.
    pub resolved_by: Option<Uuid>,
    /// Tombstone; the answers stay.
    pub deleted_at: Option<DateTimeUtc>,
    /// Since when the moderators hide its text from everybody but its author.
    pub hidden_at: Option<DateTimeUtc>,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

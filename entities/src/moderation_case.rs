//! Something that was reported or hidden; one row a subject.

use sea_orm::entity::prelude::*;

use crate::kinds::ContentKind;

/// Something that was reported or hidden; one row a subject.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "moderation_case")]
pub struct Model {
    /// The thing.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject_id: Uuid,
    /// What it is.
    pub subject_kind: ContentKind,
    /// Who made it.
    pub owner_id: Uuid,
    /// The team that owns it, or on whose LoRA it stands; none for a profile.
    pub team_id: Option<Uuid>,
    /// Reports that nobody has answered.
    pub open_report_count: i64,
    /// All reports.
    pub report_count: i64,
    /// A new key with every report and decision; the queue is ordered by it.
    pub activity_id: Uuid,
    /// When it was last reported.
    pub last_reported_at: Option<DateTimeUtc>,
    /// Since when it is hidden.
    pub hidden_at: Option<DateTimeUtc>,
    /// Who hid it.
    pub hidden_by: Option<Uuid>,
    /// Why, as its owner reads it.
    #[sea_orm(column_type = "Text", nullable)]
    pub hidden_reason: Option<String>,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

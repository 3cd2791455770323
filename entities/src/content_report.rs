//! One person's report of something that somebody published.

use sea_orm::entity::prelude::*;

use crate::kinds::{ContentKind, ReportReason, ReportState};

/// One person's report of something that somebody published.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "content_report")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The thing.
    pub subject_id: Uuid,
    /// What it is.
    pub subject_kind: ContentKind,
    /// Who reports it.
    pub reporter_id: Uuid,
    /// What is wrong with it.
    pub reason: ReportReason,
    /// The same in their words.
    #[sea_orm(column_type = "Text")]
    pub explanation: String,
    /// Where it stands.
    pub state: ReportState,
    /// When.
    pub created_at: DateTimeUtc,
    /// When it was answered.
    pub closed_at: Option<DateTimeUtc>,
    /// Who answered it.
    pub closed_by: Option<Uuid>,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

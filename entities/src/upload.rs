//! A file on its way in: receiving, quarantined, checked, ready or rejected.

use sea_orm::entity::prelude::*;

use crate::kinds::{UploadPurpose, UploadState};

/// A file on its way in: receiving, quarantined, checked, ready or rejected.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "upload")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose file.
    pub team_id: Uuid,
    /// Who sends it.
    pub created_by: Uuid,
    /// What it is to become.
    pub purpose: UploadPurpose,
    /// Name on the sender's side, made harmless.
    #[sea_orm(column_type = "Text")]
    pub file_name: String,
    /// Bytes announced.
    pub size: i64,
    /// Bytes received so far.
    pub received: i64,
    /// Where it stands.
    pub state: UploadState,
    /// Why it was rejected, in a sentence.
    #[sea_orm(column_type = "Text", nullable)]
    pub reason: Option<String>,
    /// The checked bytes.
    #[sea_orm(column_type = "Text", nullable)]
    pub blob_sha256: Option<String>,
    /// What the check found (dimensions, hashes, LoRA report).
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub facts: Option<Json>,
    /// The data set or LoRA that it is for.
    pub target_id: Option<Uuid>,
    /// After this an unfinished upload is swept away.
    pub expires_at: DateTimeUtc,
    /// When.
    pub created_at: DateTimeUtc,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

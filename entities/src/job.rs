//! Long work: claimed by a worker with a lease and a fence number.

use sea_orm::entity::prelude::*;

use crate::kinds::{JobKind, JobState};

/// Long work: claimed by a worker with a lease and a fence number.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose work.
    pub team_id: Uuid,
    /// Who asked for it; none for the system.
    pub created_by: Option<Uuid>,
    /// What is to be done.
    pub kind: JobKind,
    /// The row that says it in full (training run, generation, version…).
    pub subject_id: Uuid,
    /// The base model that whoever does it must have; none: anybody may.
    pub base_model_id: Option<Uuid>,
    /// Facts that the subject does not hold.
    #[sea_orm(column_type = "JsonBinary")]
    pub payload: Json,
    /// Where it stands.
    pub state: JobState,
    /// Higher first.
    pub priority: i32,
    /// How often it was claimed.
    pub attempts: i32,
    /// After so many it fails for good.
    pub max_attempts: i32,
    /// Not before this time.
    pub run_at: DateTimeUtc,
    /// Name of the worker that holds it.
    #[sea_orm(column_type = "Text", nullable)]
    pub worker: Option<String>,
    /// Until when the worker holds it.
    pub lease_expires_at: Option<DateTimeUtc>,
    /// Grows with every claim; a result is accepted only with the current one.
    pub fence: i64,
    /// When somebody asked to cancel.
    pub cancel_requested_at: Option<DateTimeUtc>,
    /// The last progress event, for whoever comes late.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub progress: Option<Json>,
    /// Number of the last job event.
    pub last_sequence: i64,
    /// Credits reserved for it.
    pub credits: i64,
    /// Why it failed, in a sentence.
    #[sea_orm(column_type = "Text", nullable)]
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: DateTimeUtc,
    /// When a worker first began.
    pub started_at: Option<DateTimeUtc>,
    /// When it ended.
    pub finished_at: Option<DateTimeUtc>,
}

/// The table has no relation that a join goes through; loaders fetch by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

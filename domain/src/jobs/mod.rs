//! Long work. A job is queued in the transaction that asks for it, claimed by a worker with a lease and a fence number,
//! and ended in the transaction that writes its result. A worker that slept through its lease holds an old fence and can
//! change nothing.

pub mod claim;
pub mod control;
pub mod progress;
mod step;
pub mod waiting;
pub mod workers;

use atelier_entities::{
    job,
    kinds::{EventKind, JobKind, JobState},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, prelude::Json};
use serde_json::json;
use uuid::Uuid;

pub use step::Step;

use crate::{
    context::Context,
    ledger::{self, BookingError},
    outbox,
};

/// A claim that still holds: which job, and the fence number of the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: Uuid,
    /// The claim's number.
    pub fence: i64,
}

/// Why a worker's write was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The lease has run out, or the job has ended: nothing was written.
    #[error("The lease of this job has run out; another worker may hold it. Nothing was written.")]
    Lost,
    /// What nobody expected.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl From<sea_orm::DbErr> for LeaseError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Unexpected(error.into())
    }
}

/// A job to be queued.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Whose work.
    pub team: Uuid,
    /// Who asks; none for the house itself.
    pub created_by: Option<Uuid>,
    /// What is to be done.
    pub kind: JobKind,
    /// The row that says it in full.
    pub subject: Uuid,
    /// The base model that whoever does it must have; none: anybody may.
    pub base_model: Option<Uuid>,
    /// Facts that the subject does not hold.
    pub payload: Json,
    /// Higher first.
    pub priority: i32,
    /// How often it may be begun.
    pub max_attempts: i32,
    /// What it costs.
    pub credits: i64,
}

/// Queues a job and sets its credits aside, in the caller's transaction.
///
/// # Errors
/// [`BookingError::NotEnough`] when the team cannot pay for it.
pub async fn enqueue<C: ConnectionTrait>(tx: &C, ctx: &Context, new: NewJob) -> Result<job::Model, BookingError> {
    let now = ctx.now();
    let id = ctx.new_id();
    let row = job::ActiveModel {
        id: Set(id),
        team_id: Set(new.team),
        created_by: Set(new.created_by),
        kind: Set(new.kind),
        subject_id: Set(new.subject),
        base_model_id: Set(new.base_model),
        payload: Set(new.payload),
        state: Set(JobState::Queued),
        priority: Set(new.priority),
        attempts: Set(0),
        max_attempts: Set(new.max_attempts),
        run_at: Set(now),
        worker: Set(None),
        lease_expires_at: Set(None),
        fence: Set(0),
        cancel_requested_at: Set(None),
        progress: Set(None),
        last_sequence: Set(0),
        credits: Set(new.credits),
        error: Set(None),
        created_at: Set(now),
        started_at: Set(None),
        finished_at: Set(None),
    };
    let mut row = row.insert(tx).await?;
    ledger::reserve(tx, ctx, new.team, new.credits, id, 0).await?;
    row.last_sequence = progress::append(tx, ctx, id, &Step::Queued).await?;
    Ok(row)
}

/// Tells the outbox that a job has ended.
pub(crate) async fn announce_end<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    job: &job::Model,
    state: JobState,
) -> Result<(), sea_orm::DbErr> {
    let event = outbox::Event {
        kind: EventKind::JobFinished,
        team: Some(job.team_id),
        actor: job.created_by,
        subject: job.id,
        payload: json!({ "kind": job.kind, "state": state }),
    };
    outbox::append(tx, ctx, event).await
}

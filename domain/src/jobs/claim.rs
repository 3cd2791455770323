//! The worker's side: claim, keep, end.

use atelier_entities::{
    job,
    kinds::{JobKind, JobState},
};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveEnum, ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, Statement, Value,
    sea_query::Expr,
};
use uuid::Uuid;

use super::{Lease, LeaseError, Step, announce_end, progress};
use crate::{context::Context, ledger};

/// A job that was claimed.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job as it stands.
    pub job: job::Model,
    /// What every write of its results must show.
    pub lease: Lease,
}

/// What a worker takes.
#[derive(Clone, Copy, Debug)]
pub struct Takes<'a> {
    /// Kinds of jobs.
    pub kinds: &'a [JobKind],
    /// The base models that it has the files of. Jobs that need none are for every worker.
    pub base_models: &'a [Uuid],
}

/// Claims the next job that a worker takes: the highest priority first, then the team that was served longest ago, then
/// the oldest.
///
/// # Errors
/// What the database says.
pub async fn claim(ctx: &Context, worker: &str, takes: Takes<'_>) -> Result<Option<Claim>, LeaseError> {
    let now = ctx.now();
    let tx = ctx.db.write().await?;
    let job = job::Entity::find().from_raw_sql(claim_statement(ctx, worker, takes, now)).one(&tx).await?;
    let Some(job) = job else {
        tx.rollback().await?;
        return Ok(None);
    };
    progress::append(&tx, ctx, job.id, &Step::Started { attempt: job.attempts }).await?;
    ctx.commit(tx).await?;
    let lease = Lease { job: job.id, fence: job.fence };
    Ok(Some(Claim { job, lease }))
}

fn claim_statement(ctx: &Context, worker: &str, takes: Takes<'_>, now: DateTime<Utc>) -> Statement {
    let backend = ctx.db.backend();
    let kinds: Vec<String> = takes.kinds.iter().map(|kind| format!("'{}'", kind.to_value())).collect();
    let mut values: Vec<Value> = vec![worker.into(), (now + lease_length(ctx)).into(), now.into()];
    let served: Vec<String> = (values.len() + 1..).take(takes.base_models.len()).map(|at| format!("${at}")).collect();
    let has = if served.is_empty() { String::new() } else { format!("OR j.base_model_id IN ({})", served.join(", ")) };
    values.extend(takes.base_models.iter().map(|id| Value::from(*id)));
    let skip_locked = if backend == DbBackend::Postgres { "FOR UPDATE OF j SKIP LOCKED" } else { "" };
    let sql = format!(
        "UPDATE job SET state = 'running', worker = $1, lease_expires_at = $2, fence = fence + 1, attempts = attempts + 1, \
         started_at = $3, error = NULL \
         WHERE id = (SELECT j.id FROM job j WHERE j.state = 'queued' AND j.run_at <= $3 AND j.kind IN ({}) \
         AND (j.base_model_id IS NULL {has}) \
         ORDER BY j.priority DESC, \
         (SELECT MAX(r.started_at) FROM job r WHERE r.team_id = j.team_id) ASC NULLS FIRST, j.id ASC LIMIT 1 {skip_locked}) \
         RETURNING *",
        kinds.join(", ")
    );
    Statement::from_sql_and_values(backend, sql, values)
}

fn lease_length(ctx: &Context) -> TimeDelta {
    TimeDelta::from_std(ctx.settings.lease).unwrap_or(TimeDelta::seconds(30))
}

/// Extends the lease and says whether somebody asked to cancel.
///
/// # Errors
/// [`LeaseError::Lost`] when the lease has run out and the job was given to another.
pub async fn heartbeat(ctx: &Context, lease: Lease) -> Result<bool, LeaseError> {
    let tx = ctx.db.write().await?;
    let job = progress::hold(&tx, lease).await?;
    job::Entity::update_many()
        .col_expr(job::Column::LeaseExpiresAt, Expr::value(ctx.now() + lease_length(ctx)))
        .filter(job::Column::Id.eq(lease.job))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(job.cancel_requested_at.is_some())
}

/// Ends a job well, in the transaction that writes its results, and books its credits as used. Call it before the
/// results are written: it locks the job.
///
/// # Errors
/// [`LeaseError::Lost`] when the lease has run out: then nothing may be written.
pub async fn succeed<C: ConnectionTrait>(tx: &C, ctx: &Context, lease: Lease) -> Result<job::Model, LeaseError> {
    let job = progress::hold(tx, lease).await?;
    ledger::settle(tx, ctx, job.team_id, job.credits, job.id, lease.fence).await?;
    end(tx, ctx, &job, Step::Succeeded).await?;
    Ok(job)
}

/// Ends a job that failed. It is tried again after a while, unless trying again is of no use or it was tried often
/// enough.
///
/// # Errors
/// [`LeaseError::Lost`] when the lease has run out.
pub async fn fail(ctx: &Context, lease: Lease, reason: &str, may_try_again: bool) -> Result<JobState, LeaseError> {
    let tx = ctx.db.write().await?;
    let job = progress::hold(&tx, lease).await?;
    let state = give_up_or_try_again(&tx, ctx, &job, reason, may_try_again).await?;
    ctx.commit(tx).await?;
    Ok(state)
}

/// Ends a job that somebody asked to cancel.
///
/// # Errors
/// [`LeaseError::Lost`] when the lease has run out.
pub async fn observe_cancel(ctx: &Context, lease: Lease) -> Result<(), LeaseError> {
    let tx = ctx.db.write().await?;
    let job = progress::hold(&tx, lease).await?;
    ledger::release(&tx, ctx, job.team_id, job.credits, job.id, lease.fence).await?;
    end(&tx, ctx, &job, Step::Cancelled).await?;
    Ok(ctx.commit(tx).await?)
}

/// Gives a job back untouched: the worker is shutting down.
///
/// # Errors
/// [`LeaseError::Lost`] when the lease has run out.
pub async fn hand_back(ctx: &Context, lease: Lease) -> Result<(), LeaseError> {
    let tx = ctx.db.write().await?;
    let job = progress::hold(&tx, lease).await?;
    requeue(&tx, ctx, &job, ctx.now(), job.attempts - 1).await?;
    Ok(ctx.commit(tx).await?)
}

/// Takes jobs from workers whose lease has run out. Returns how many.
///
/// # Errors
/// What the database says.
pub async fn reap(ctx: &Context) -> Result<usize, DbErr> {
    let expired =
        Condition::all().add(job::Column::State.eq(JobState::Running)).add(job::Column::LeaseExpiresAt.lt(ctx.now()));
    if job::Entity::find().filter(expired.clone()).one(ctx.db.read()).await?.is_none() {
        return Ok(0);
    }
    let tx = ctx.db.write().await?;
    crate::database::serialize(&tx, "reap").await?;
    let jobs = job::Entity::find().filter(expired).all(&tx).await?;
    for job in &jobs {
        // Whoever still works on it holds the old number; it must not be able to write while the job waits.
        let moved = job::Entity::update_many()
            .col_expr(job::Column::Fence, Expr::value(job.fence + 1))
            .filter(job::Column::Id.eq(job.id))
            .filter(job::Column::Fence.eq(job.fence))
            .filter(job::Column::State.eq(JobState::Running))
            .filter(job::Column::LeaseExpiresAt.lt(ctx.now()))
            .exec(&tx)
            .await?;
        if moved.rows_affected == 1 {
            let job = job::Model { fence: job.fence + 1, ..job.clone() };
            tracing::warn!(job = %job.id, worker = job.worker, "a worker went silent; its job is given to another");
            give_up_or_try_again(&tx, ctx, &job, "The worker stopped while it held this job.", true).await?;
        }
    }
    ctx.commit(tx).await?;
    Ok(jobs.len())
}

async fn give_up_or_try_again<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    job: &job::Model,
    reason: &str,
    may_try_again: bool,
) -> Result<JobState, DbErr> {
    if job.cancel_requested_at.is_some() {
        ledger::release(tx, ctx, job.team_id, job.credits, job.id, job.fence).await?;
        end(tx, ctx, job, Step::Cancelled).await?;
        return Ok(JobState::Cancelled);
    }
    if may_try_again && job.attempts < job.max_attempts {
        let wait = TimeDelta::milliseconds(500 << job.attempts.clamp(0, 10)).min(lease_length(ctx));
        requeue(tx, ctx, job, ctx.now() + wait, job.attempts).await?;
        return Ok(JobState::Queued);
    }
    ledger::release(tx, ctx, job.team_id, job.credits, job.id, job.fence).await?;
    end(tx, ctx, job, Step::Failed { reason: reason.to_owned() }).await?;
    Ok(JobState::Failed)
}

async fn requeue<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    job: &job::Model,
    run_at: DateTime<Utc>,
    attempts: i32,
) -> Result<(), DbErr> {
    job::Entity::update_many()
        .col_expr(job::Column::State, Expr::value(JobState::Queued.to_value()))
        .col_expr(job::Column::RunAt, Expr::value(run_at))
        .col_expr(job::Column::Attempts, Expr::value(attempts))
        .col_expr(job::Column::Worker, Expr::value(Option::<String>::None))
        .col_expr(job::Column::LeaseExpiresAt, Expr::value(Option::<DateTime<Utc>>::None))
        .filter(job::Column::Id.eq(job.id))
        .exec(tx)
        .await?;
    progress::append(tx, ctx, job.id, &Step::Queued).await.map(|_| ())
}

/// Writes the end of a job: state, last event, outbox.
pub(crate) async fn end<C: ConnectionTrait>(tx: &C, ctx: &Context, job: &job::Model, last: Step) -> Result<(), DbErr> {
    let (state, reason) = match &last {
        Step::Succeeded => (JobState::Succeeded, None),
        Step::Failed { reason } => (JobState::Failed, Some(reason.clone())),
        _ => (JobState::Cancelled, None),
    };
    job::Entity::update_many()
        .col_expr(job::Column::State, Expr::value(state.to_value()))
        .col_expr(job::Column::FinishedAt, Expr::value(ctx.now()))
        .col_expr(job::Column::Error, Expr::value(reason))
        .col_expr(job::Column::LeaseExpiresAt, Expr::value(Option::<DateTime<Utc>>::None))
        .filter(job::Column::Id.eq(job.id))
        .exec(tx)
        .await?;
    progress::append(tx, ctx, job.id, &last).await?;
    announce_end(tx, ctx, job, state).await
}

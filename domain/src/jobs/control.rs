//! The person's side: see, cancel, try again.

use std::collections::HashMap;

use atelier_entities::{
    base_model, job,
    kinds::{JobKind, JobState},
    scope::Scoped,
};
use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect,
    sea_query::Expr,
};
use serde_json::json;
use uuid::Uuid;

use super::{Step, claim, progress};
use crate::{
    actor::Actor,
    audit,
    base_model::is_offered,
    context::Context,
    error::{ReadError, Refused},
    failures, ledger,
    page::{self, Direction, Page, PageRequest},
    policy::{Action, Resource as _, authorize},
};

failures! {
    /// Why [`cancel`] refused.
    pub enum CancelJobError {
        /// It has ended.
        Ended => ("id", "JOB_ENDED", "This job has ended already; there is nothing to cancel."),
    }
}

failures! {
    /// Why [`retry`] refused.
    pub enum RetryJobError {
        /// It has not failed.
        NotFailed => ("id", "JOB_NOT_FAILED", "Only a failed or cancelled job can be tried again. Start a new one instead."),
        /// Its base model is not the team's to use any more.
        NotOffered { model: String } => ("id", "BASE_MODEL_NOT_OFFERED", "The base model {model} is not offered to this team any more. Start a new job with another."),
    }
}

/// A job.
///
/// # Errors
/// [`Refused::NotFound`] for a job of another team.
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<job::Model, ReadError> {
    let job = job::Entity::find_by_id(id).one(ctx.db.read()).await?.ok_or(Refused::NotFound(job::Model::NAME))?;
    authorize(actor, Action::JobRead, &job)?;
    Ok(job)
}

/// Which jobs a list shows.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Of one team.
    pub team: Option<Uuid>,
    /// In one state.
    pub state: Option<JobState>,
    /// Of one kind.
    pub kind: Option<JobKind>,
}

/// The jobs of the actor's teams, newest first.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn list(
    ctx: &Context,
    actor: &Actor,
    filter: &JobFilter,
    request: &PageRequest,
) -> Result<Page<job::Model>, ReadError> {
    actor.person()?;
    let mut select = job::Entity::visible_to(&actor.scope());
    if let Some(team) = filter.team {
        select = select.filter(job::Column::TeamId.eq(team));
    }
    if let Some(state) = filter.state {
        select = select.filter(job::Column::State.eq(state));
    }
    if let Some(kind) = filter.kind {
        select = select.filter(job::Column::Kind.eq(kind));
    }
    Ok(page::by_id(select, job::Column::Id, |row| row.id, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// Cancels a job: one that waits at once, one that runs at its next step.
///
/// # Errors
/// [`CancelJobError::Ended`].
pub async fn cancel(ctx: &Context, actor: &Actor, id: Uuid) -> Result<job::Model, CancelJobError> {
    let tx = ctx.db.write().await?;
    let job = locked(&tx, id).await?.ok_or(Refused::NotFound(job::Model::NAME))?;
    let permit = authorize(actor, Action::JobControl, &job)?;
    match job.state {
        JobState::Queued => {
            ledger::release(&tx, ctx, job.team_id, job.credits, job.id, job.fence).await?;
            claim::end(&tx, ctx, &job, Step::Cancelled).await?;
        }
        JobState::Running => {
            job::Entity::update_many()
                .col_expr(job::Column::CancelRequestedAt, Expr::value(ctx.now()))
                .filter(job::Column::Id.eq(id))
                .exec(&tx)
                .await?;
        }
        JobState::Succeeded | JobState::Failed | JobState::Cancelled => return Err(CancelJobError::Ended),
    }
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "cancel" })).await?;
    ctx.commit(tx).await?;
    Ok(get(ctx, &Actor::System, id).await.map_err(anyhow::Error::from)?)
}

/// Queues a failed or cancelled job again; its credits are set aside anew. Training goes on from its last checkpoint.
///
/// # Errors
/// [`RetryJobError`], or an [`Invalid`](crate::error::Invalid) with `NOT_ENOUGH_CREDITS`.
pub async fn retry(ctx: &Context, actor: &Actor, id: Uuid) -> Result<job::Model, RetryJobError> {
    let tx = ctx.db.write().await?;
    let job = locked(&tx, id).await?.ok_or(Refused::NotFound(job::Model::NAME))?;
    let permit = authorize(actor, Action::JobControl, &job)?;
    if !matches!(job.state, JobState::Failed | JobState::Cancelled) {
        return Err(RetryJobError::NotFailed);
    }
    refuse_what_is_not_offered(&tx, &job).await?;
    // A new fence number: the bookings of this run get names of their own, and no old worker can write.
    let run = job.fence + 1;
    if let Err(error) = ledger::reserve(&tx, ctx, job.team_id, job.credits, job.id, run).await {
        return Err(error.into_invalid()?.into());
    }
    job::Entity::update_many()
        .col_expr(job::Column::State, Expr::value(JobState::Queued.to_value()))
        .col_expr(job::Column::Fence, Expr::value(run))
        .col_expr(job::Column::Attempts, Expr::value(0))
        .col_expr(job::Column::RunAt, Expr::value(ctx.now()))
        .col_expr(job::Column::Error, Expr::value(Option::<String>::None))
        .col_expr(job::Column::CancelRequestedAt, Expr::value(Option::<DateTime<Utc>>::None))
        .col_expr(job::Column::FinishedAt, Expr::value(Option::<DateTime<Utc>>::None))
        .filter(job::Column::Id.eq(id))
        .exec(&tx)
        .await?;
    progress::append(&tx, ctx, id, &Step::Queued).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "retry" })).await?;
    ctx.commit(tx).await?;
    Ok(get(ctx, &Actor::System, id).await.map_err(anyhow::Error::from)?)
}

/// A job that is queued anew needs what a new one would need.
async fn refuse_what_is_not_offered(tx: &DatabaseTransaction, job: &job::Model) -> Result<(), RetryJobError> {
    let Some(id) = job.base_model_id else { return Ok(()) };
    let Some(model) = base_model::Entity::find_by_id(id).one(tx).await? else { return Ok(()) };
    if model.enabled && is_offered(tx, &model, job.team_id).await? {
        return Ok(());
    }
    Err(RetryJobError::NotOffered { model: model.title })
}

/// Jobs by key, for loaders; those that the actor may not see are left out.
///
/// # Errors
/// What the database says.
pub async fn by_ids(ctx: &Context, actor: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, job::Model>, ReadError> {
    let select = job::Entity::visible_to(&actor.scope()).filter(job::Column::Id.is_in(ids.iter().copied()));
    Ok(select.all(ctx.db.read()).await?.into_iter().map(|row| (row.id, row)).collect())
}

/// Whether a job has ended and has no event after a number.
///
/// # Errors
/// What the database says.
pub async fn has_ended<C: ConnectionTrait>(db: &C, id: Uuid, sequence: i64) -> Result<bool, DbErr> {
    let job = job::Entity::find_by_id(id).one(db).await?;
    Ok(job
        .is_none_or(|job| !matches!(job.state, JobState::Queued | JobState::Running) && job.last_sequence <= sequence))
}

async fn locked(tx: &DatabaseTransaction, id: Uuid) -> Result<Option<job::Model>, DbErr> {
    job::Entity::find_by_id(id).lock_exclusive().one(tx).await
}

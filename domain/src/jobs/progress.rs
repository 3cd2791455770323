//! Numbered progress events. A subscriber that knows the last number it saw misses nothing and sees nothing twice.

use atelier_entities::{job, job_event, kinds::JobState};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter,
    QueryOrder, QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use super::{Lease, LeaseError, Step};
use crate::context::Context;

/// Appends an event of a job whose row the transaction holds. Returns its number.
pub(crate) async fn append<C: ConnectionTrait>(tx: &C, ctx: &Context, job: Uuid, step: &Step) -> Result<i64, DbErr> {
    let payload = serde_json::to_value(step).map_err(|error| DbErr::Custom(error.to_string()))?;
    let update = job::Entity::update_many()
        .col_expr(job::Column::LastSequence, Expr::col(job::Column::LastSequence).add(1))
        .col_expr(job::Column::Progress, Expr::value(payload.clone()))
        .filter(job::Column::Id.eq(job))
        .exec_with_returning(tx)
        .await?;
    let sequence =
        update.first().map(|job| job.last_sequence).ok_or_else(|| DbErr::RecordNotFound(format!("job {job}")))?;
    let row = job_event::ActiveModel {
        id: Set(ctx.new_id()),
        job_id: Set(job),
        sequence: Set(sequence),
        payload: Set(payload),
        created_at: Set(ctx.now()),
    };
    row.insert(tx).await?;
    Ok(sequence)
}

/// Reports a step of a running job and says whether somebody asked to cancel it.
///
/// # Errors
/// [`LeaseError::Lost`] when the lease has run out.
pub async fn report(ctx: &Context, lease: Lease, step: &Step) -> Result<bool, LeaseError> {
    let tx = ctx.db.write().await?;
    let job = hold(&tx, lease).await?;
    append(&tx, ctx, lease.job, step).await?;
    ctx.commit(tx).await?;
    Ok(job.cancel_requested_at.is_some())
}

/// Locks a running job for the rest of the transaction, if the lease still holds.
///
/// # Errors
/// [`LeaseError::Lost`] when it does not.
pub async fn hold<C: ConnectionTrait>(tx: &C, lease: Lease) -> Result<job::Model, LeaseError> {
    let held = job::Entity::update_many()
        .col_expr(job::Column::Fence, Expr::col(job::Column::Fence))
        .filter(job::Column::Id.eq(lease.job))
        .filter(job::Column::Fence.eq(lease.fence))
        .filter(job::Column::State.eq(JobState::Running))
        .exec_with_returning(tx)
        .await?;
    held.into_iter().next().ok_or(LeaseError::Lost)
}

/// Events of a job after a number, in order.
///
/// # Errors
/// What the database says.
pub async fn after<C: ConnectionTrait>(
    db: &C,
    job: Uuid,
    sequence: i64,
    most: u64,
) -> Result<Vec<job_event::Model>, DbErr> {
    job_event::Entity::find()
        .filter(job_event::Column::JobId.eq(job))
        .filter(job_event::Column::Sequence.gt(sequence))
        .order_by_asc(job_event::Column::Sequence)
        .limit(most)
        .all(db)
        .await
}

//! What whoever moderates decides: hide, show again, nothing wrong.

use atelier_entities::{
    content_report as report,
    kinds::{ContentKind, EventKind, ReportState},
    moderation_case as case,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, sea_query::Expr,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    report::of_subject,
    subject::{self, Subject, set_hidden},
};
use crate::{
    actor::Actor,
    audit,
    context::Context,
    database,
    error::Refused,
    failures, outbox,
    policy::{Action, Installation, Permit, Resource as _, authorize},
    text,
};

const LONGEST_REASON: usize = 1_000;

failures! {
    /// Why [`hide`] refused.
    pub enum HideContentError {
        /// It is hidden.
        AlreadyHidden => ("subjectId", "ALREADY_HIDDEN", "This is hidden already. Restore it first to hide it for another reason."),
    }
}

failures! {
    /// Why [`restore`] refused.
    pub enum RestoreContentError {
        /// Everybody sees it.
        NotHidden => ("subjectId", "NOT_HIDDEN", "This is not hidden; there is nothing to restore."),
    }
}

failures! {
    /// Why [`dismiss_reports`] refused.
    pub enum DismissReportsError {
        /// There are none.
        NoOpenReports => ("subjectId", "NO_OPEN_REPORTS", "No report of this is open; there is nothing to dismiss."),
    }
}

/// Hides something from everybody but its owner, who is told why, and upholds the open reports of it.
///
/// # Errors
/// [`HideContentError::AlreadyHidden`]; an [`crate::error::Invalid`] for a reason that is missing or too long.
pub async fn hide(
    ctx: &Context,
    actor: &Actor,
    (kind, id): (ContentKind, Uuid),
    reason: &str,
) -> Result<case::Model, HideContentError> {
    let (tx, subject, permit) = match begin(ctx, actor, kind, id).await? {
        Ok(begun) => begun,
        Err(refused) => return Err(refused.into()),
    };
    let reason = text::check("reason", reason, 1, LONGEST_REASON)?;
    if subject.hidden_at.is_some() {
        return Err(HideContentError::AlreadyHidden);
    }
    let row = of_subject(&tx, ctx, &subject).await?;
    set_hidden(&tx, &subject, Some(ctx.now())).await?;
    let closed = close_reports(&tx, ctx, id, permit.user(), ReportState::Upheld).await?;
    let mut row = row.into_active_model();
    row.open_report_count = Set(0);
    row.activity_id = Set(ctx.new_id());
    row.hidden_at = Set(Some(ctx.now()));
    row.hidden_by = Set(permit.user());
    row.hidden_reason = Set(Some(reason.clone()));
    let row = row.update(&tx).await?;
    let detail = json!({ "do": "hide", "kind": kind, "reason": reason, "reports": closed });
    audit::record(&tx, ctx, &permit, Some(id), detail).await?;
    announce(&tx, ctx, actor, &subject, EventKind::ContentHidden, &reason).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Shows something again that was hidden. Its owner is told.
///
/// # Errors
/// [`RestoreContentError::NotHidden`].
pub async fn restore(
    ctx: &Context,
    actor: &Actor,
    (kind, id): (ContentKind, Uuid),
) -> Result<case::Model, RestoreContentError> {
    let (tx, subject, permit) = match begin(ctx, actor, kind, id).await? {
        Ok(begun) => begun,
        Err(refused) => return Err(refused.into()),
    };
    if subject.hidden_at.is_none() {
        return Err(RestoreContentError::NotHidden);
    }
    let row = of_subject(&tx, ctx, &subject).await?;
    set_hidden(&tx, &subject, None).await?;
    let mut row = row.into_active_model();
    row.activity_id = Set(ctx.new_id());
    row.hidden_at = Set(None);
    row.hidden_by = Set(None);
    row.hidden_reason = Set(None);
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "restore", "kind": kind })).await?;
    announce(&tx, ctx, actor, &subject, EventKind::ContentRestored, "").await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Answers the open reports of something by finding nothing wrong with it; also of what was deleted meanwhile.
///
/// # Errors
/// [`DismissReportsError::NoOpenReports`].
pub async fn dismiss_reports(
    ctx: &Context,
    actor: &Actor,
    (kind, id): (ContentKind, Uuid),
) -> Result<case::Model, DismissReportsError> {
    let tx = ctx.db.write().await?;
    database::serialize(&tx, &format!("moderation:{id}")).await?;
    let permit = match subject::find(&tx, kind, id).await? {
        Some(subject) => authorize(actor, Action::ContentModerate, &subject)?,
        None => {
            authorize(actor, Action::ContentModerate, &Installation).map_err(|_| Refused::NotFound(Subject::NAME))?
        }
    };
    let row = case::Entity::find_by_id(id).filter(case::Column::SubjectKind.eq(kind)).one(&tx).await?;
    let row = row.filter(|row| row.open_report_count > 0).ok_or(DismissReportsError::NoOpenReports)?;
    let closed = close_reports(&tx, ctx, id, permit.user(), ReportState::Dismissed).await?;
    let mut row = row.into_active_model();
    row.open_report_count = Set(0);
    row.activity_id = Set(ctx.new_id());
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "dismiss", "kind": kind, "reports": closed })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Looks a thing up under its lock and asks the policy.
async fn begin(
    ctx: &Context,
    actor: &Actor,
    kind: ContentKind,
    id: Uuid,
) -> Result<Result<(DatabaseTransaction, Subject, Permit), Refused>, DbErr> {
    let tx = ctx.db.write().await?;
    database::serialize(&tx, &format!("moderation:{id}")).await?;
    let Some(subject) = subject::find(&tx, kind, id).await? else { return Ok(Err(Refused::NotFound(Subject::NAME))) };
    Ok(authorize(actor, Action::ContentModerate, &subject).map(|permit| (tx, subject, permit)))
}

async fn close_reports(
    tx: &DatabaseTransaction,
    ctx: &Context,
    subject: Uuid,
    by: Option<Uuid>,
    state: ReportState,
) -> Result<u64, DbErr> {
    let closed = report::Entity::update_many()
        .col_expr(report::Column::State, Expr::value(state))
        .col_expr(report::Column::ClosedAt, Expr::value(ctx.now()))
        .col_expr(report::Column::ClosedBy, Expr::value(by))
        .filter(report::Column::SubjectId.eq(subject))
        .filter(report::Column::State.eq(ReportState::Open))
        .exec(tx)
        .await?;
    Ok(closed.rows_affected)
}

async fn announce(
    tx: &DatabaseTransaction,
    ctx: &Context,
    actor: &Actor,
    subject: &Subject,
    kind: EventKind,
    reason: &str,
) -> Result<(), DbErr> {
    let event = outbox::Event {
        kind,
        team: subject.team,
        actor: actor.user_id(),
        subject: subject.id,
        payload: json!({ "kind": subject.kind, "owner": subject.owner, "lora": subject.lora, "reason": reason }),
    };
    outbox::append(tx, ctx, event).await
}

//! Reporting what somebody published.

use atelier_entities::{
    content_report as report,
    kinds::{ContentKind, ReportReason, ReportState},
    moderation_case as case,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::subject::{self, Subject};
use crate::{
    actor::Actor,
    audit,
    context::Context,
    database,
    error::{ReadError, Refused},
    failures,
    idempotency::{self, KeyError},
    policy::{Action, Installation, Resource as _, authorize},
    text,
    widen::widen,
};

const LONGEST_EXPLANATION: usize = 2_000;

/// How many open reports one person may have: who reports everything reports nothing.
const MOST_OPEN: u64 = 100;

/// A report to be made.
#[derive(Clone, Debug, Serialize)]
pub struct ReportContent {
    /// What kind of thing it is about.
    pub kind: ContentKind,
    /// The thing.
    pub subject: Uuid,
    /// What is wrong with it.
    pub reason: ReportReason,
    /// The same in words, at most 2,000 characters; needed where the reason is another one.
    pub explanation: String,
}

failures! {
    /// Why [`report`] refused.
    pub enum ReportContentError {
        /// It is their own.
        OwnContent => ("subjectId", "OWN_CONTENT", "This is your own. Change or delete it instead."),
        /// Nobody knows what is wrong.
        ExplanationNeeded => ("explanation", "EXPLANATION_NEEDED", "Say in a few words what is wrong with it, or choose another `reason`."),
        /// They report everything.
        TooMany { most: u64 } => ("subjectId", "TOO_MANY", "You have {most} open reports, as many as one may. Wait until some are answered."),
    }
}

widen!(KeyError => ReportContentError);

/// Reports something. Who has an open report of it gets that one: it stays as it is.
///
/// # Errors
/// [`ReportContentError`]; [`Refused::NotFound`] for what the actor may not see.
pub async fn report(
    ctx: &Context,
    actor: &Actor,
    new: ReportContent,
    key: Option<&str>,
) -> Result<report::Model, ReportContentError> {
    let person = actor.person()?;
    let explanation = text::check("explanation", &new.explanation, 0, LONGEST_EXPLANATION)?;
    let tx = ctx.db.write().await?;
    // One after the other: of two reports of one thing, the second finds the case that the first opened.
    database::serialize(&tx, &format!("moderation:{}", new.subject)).await?;
    let subject = subject::find(&tx, new.kind, new.subject).await?.ok_or(Refused::NotFound(Subject::NAME))?;
    let permit = authorize(actor, Action::ContentReport, &subject)?;
    let once = idempotency::begin(&tx, ctx, person.id, key, "reportContent", &new).await?;
    if let Some(id) = once.earlier() {
        let earlier = report::Entity::find_by_id(id).one(&tx).await?;
        return Ok(earlier.ok_or(Refused::NotFound(report::Model::NAME))?);
    }
    if subject.owner == person.id {
        return Err(ReportContentError::OwnContent);
    }
    if new.reason == ReportReason::Other && explanation.is_empty() {
        return Err(ReportContentError::ExplanationNeeded);
    }
    let open = || {
        let of_person = report::Entity::find().filter(report::Column::ReporterId.eq(person.id));
        // As the index of open reports says it.
        of_person.filter(report::Column::ClosedAt.is_null())
    };
    if let Some(earlier) = open().filter(report::Column::SubjectId.eq(subject.id)).one(&tx).await? {
        return Ok(earlier);
    }
    if open().count(&tx).await? >= MOST_OPEN {
        return Err(ReportContentError::TooMany { most: MOST_OPEN });
    }
    count_in(&tx, ctx, &subject).await?;
    let row = report::ActiveModel {
        id: Set(ctx.new_id()),
        subject_id: Set(subject.id),
        subject_kind: Set(subject.kind),
        reporter_id: Set(person.id),
        reason: Set(new.reason),
        explanation: Set(explanation),
        state: Set(ReportState::Open),
        created_at: Set(ctx.now()),
        closed_at: Set(None),
        closed_by: Set(None),
    };
    let row = row.insert(&tx).await?;
    // Whose the thing is must not read in their trail who reported it: the entry names no team.
    let permit = permit.outside_teams();
    audit::record(&tx, ctx, &permit, Some(subject.id), json!({ "do": "report", "reason": row.reason })).await?;
    once.remember(&tx, ctx, row.id).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Counts one more report in the thing's case, opening it for the first.
async fn count_in(tx: &DatabaseTransaction, ctx: &Context, subject: &Subject) -> Result<(), DbErr> {
    let row = of_subject(tx, ctx, subject).await?;
    let (open, all) = (row.open_report_count + 1, row.report_count + 1);
    let mut row = row.into_active_model();
    row.open_report_count = Set(open);
    row.report_count = Set(all);
    row.activity_id = Set(ctx.new_id());
    row.last_reported_at = Set(Some(ctx.now()));
    row.update(tx).await.map(|_| ())
}

/// The case of a thing; opened if there is none. Hold the lock `moderation:` of the thing.
pub(super) async fn of_subject(
    tx: &DatabaseTransaction,
    ctx: &Context,
    subject: &Subject,
) -> Result<case::Model, DbErr> {
    if let Some(row) = case::Entity::find_by_id(subject.id).one(tx).await? {
        return Ok(row);
    }
    let row = case::ActiveModel {
        subject_id: Set(subject.id),
        subject_kind: Set(subject.kind),
        owner_id: Set(subject.owner),
        team_id: Set(subject.team),
        open_report_count: Set(0),
        report_count: Set(0),
        activity_id: Set(ctx.new_id()),
        last_reported_at: Set(None),
        hidden_at: Set(None),
        hidden_by: Set(None),
        hidden_reason: Set(None),
    };
    row.insert(tx).await
}

/// A report: one's own, or any for who moderates.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn report_of(ctx: &Context, actor: &Actor, id: Uuid) -> Result<report::Model, ReadError> {
    let missing = Refused::NotFound(report::Model::NAME);
    let row = report::Entity::find_by_id(id).one(ctx.db.read()).await?.ok_or(missing)?;
    if authorize(actor, Action::ContentModerate, &Installation).is_err() {
        authorize(actor, Action::ReportRead, &row)?;
    }
    Ok(row)
}

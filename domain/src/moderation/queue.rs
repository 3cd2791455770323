//! What whoever moderates has before them: things that were reported or hidden, one row each.

use std::collections::{BTreeMap, HashMap};

use atelier_entities::{
    collection, comment, content_report as report,
    kinds::{ContentKind, LoraState, ReportReason, ReportState},
    lora, moderation_case as case, preview, rating, user,
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, ExprTrait as _, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use super::subject::Content;
use crate::{
    actor::Actor,
    context::Context,
    error::ReadError,
    nested,
    page::{Direction, Page, PageRequest, bad_cursor, read_cursor, write_cursor},
    policy::{Action, Installation, authorize},
};

/// Which things are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueState {
    /// Those with open reports.
    #[default]
    Open,
    /// Those that are hidden.
    Hidden,
    /// All that were ever reported or hidden.
    All,
}

/// Which things come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueSort {
    /// Those that something was reported or decided of last.
    #[default]
    Newest,
    /// Those with most open reports.
    MostReported,
}

/// The queue.
///
/// # Errors
/// [`Refused::Forbidden`](crate::error::Refused::Forbidden) for who does not moderate; a cursor of another list.
pub async fn queue(
    ctx: &Context,
    actor: &Actor,
    state: QueueState,
    sort: QueueSort,
    request: &PageRequest,
) -> Result<Page<case::Model>, ReadError> {
    authorize(actor, Action::ContentModerate, &Installation)?;
    let select = match state {
        QueueState::Open => case::Entity::find().filter(case::Column::OpenReportCount.gt(0)),
        QueueState::Hidden => case::Entity::find().filter(case::Column::HiddenAt.is_not_null()),
        QueueState::All => case::Entity::find(),
    };
    let select = after(select, sort, request)?;
    let select = match sort {
        QueueSort::Newest => select,
        QueueSort::MostReported => select.order_by_desc(case::Column::OpenReportCount),
    };
    let select = select.order_by_desc(case::Column::ActivityId).limit(request.with_next());
    Ok(Page::cut(select.all(ctx.db.read()).await?, request, |row| cursor(sort, row)))
}

fn cursor(sort: QueueSort, row: &case::Model) -> String {
    write_cursor(&match sort {
        QueueSort::Newest => format!("newest:{}", row.activity_id),
        QueueSort::MostReported => format!("reported:{}:{}", row.open_report_count, row.activity_id),
    })
}

fn after(
    select: Select<case::Entity>,
    sort: QueueSort,
    request: &PageRequest,
) -> Result<Select<case::Entity>, ReadError> {
    let Some(cursor) = &request.after else { return Ok(select) };
    let text = read_cursor(cursor).ok_or_else(bad_cursor)?;
    let id = |text: &str| text.parse::<Uuid>().map_err(|_| bad_cursor());
    match sort {
        QueueSort::Newest => {
            let text = text.strip_prefix("newest:").ok_or_else(bad_cursor)?;
            Ok(select.filter(case::Column::ActivityId.lt(id(text)?)))
        }
        QueueSort::MostReported => {
            let text = text.strip_prefix("reported:").ok_or_else(bad_cursor)?;
            let (count, last) = text.split_once(':').ok_or_else(bad_cursor)?;
            let count: i64 = count.parse().map_err(|_| bad_cursor())?;
            let tied = case::Column::OpenReportCount.eq(count).and(case::Column::ActivityId.lt(id(last)?));
            Ok(select.filter(Condition::any().add(case::Column::OpenReportCount.lt(count)).add(tied)))
        }
    }
}

/// The reports of several things, newest first, for who moderates.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn report_pages(
    ctx: &Context,
    actor: &Actor,
    subjects: &[Uuid],
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<report::Model>>, ReadError> {
    authorize(actor, Action::ContentModerate, &Installation)?;
    let columns = (report::Column::SubjectId, report::Column::Id);
    let keys = |row: &report::Model| (row.subject_id, row.id);
    let select = report::Entity::find();
    Ok(nested::pages(select, columns, keys, subjects, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// For what reasons several things were reported by open reports, and how often each, the most frequent first.
///
/// # Errors
/// What the database says.
pub async fn reasons(
    ctx: &Context,
    actor: &Actor,
    subjects: &[Uuid],
) -> Result<HashMap<Uuid, Vec<(ReportReason, i64)>>, ReadError> {
    authorize(actor, Action::ContentModerate, &Installation)?;
    let rows: Vec<(Uuid, ReportReason, i64)> = report::Entity::find()
        .select_only()
        .columns([report::Column::SubjectId, report::Column::Reason])
        .column_as(report::Column::Id.count(), "number")
        .filter(report::Column::SubjectId.is_in(subjects.iter().copied()))
        .filter(report::Column::State.eq(ReportState::Open))
        .group_by(report::Column::SubjectId)
        .group_by(report::Column::Reason)
        .order_by_asc(report::Column::Reason)
        .into_tuple()
        .all(ctx.db.read())
        .await?;
    let mut reasons: HashMap<Uuid, Vec<(ReportReason, i64)>> = HashMap::new();
    for (subject, reason, count) in rows {
        reasons.entry(subject).or_default().push((reason, count));
    }
    for counts in reasons.values_mut() {
        // Stable: what ties stays in the order of its name.
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    }
    Ok(reasons)
}

/// The things themselves, hidden or not, for who moderates: one statement a kind. What was deleted is left out.
///
/// # Errors
/// What the database says.
pub async fn contents(ctx: &Context, actor: &Actor, subjects: &[Uuid]) -> Result<HashMap<Uuid, Content>, ReadError> {
    authorize(actor, Action::ContentModerate, &Installation)?;
    let db = ctx.db.read();
    let cases = case::Entity::find().filter(case::Column::SubjectId.is_in(subjects.iter().copied())).all(db).await?;
    let mut by_kind: BTreeMap<u8, (ContentKind, Vec<Uuid>)> = BTreeMap::new();
    for row in cases {
        by_kind.entry(row.subject_kind as u8).or_insert((row.subject_kind, Vec::new())).1.push(row.subject_id);
    }
    let mut contents = HashMap::new();
    macro_rules! add {
        ($variant:ident, $select:expr) => {{
            contents.extend($select.all(db).await?.into_iter().map(|row| (row.id, Content::$variant(row))));
        }};
    }
    for (kind, ids) in by_kind.into_values() {
        match kind {
            ContentKind::Lora => {
                let live = lora::Entity::find().filter(lora::Column::State.ne(LoraState::Deleted));
                add!(Lora, live.filter(lora::Column::Id.is_in(ids)));
            }
            ContentKind::Preview => add!(Preview, preview::Entity::find().filter(preview::Column::Id.is_in(ids))),
            ContentKind::Comment => {
                let live = comment::Entity::find().filter(comment::Column::DeletedAt.is_null());
                add!(Comment, live.filter(comment::Column::Id.is_in(ids)));
            }
            ContentKind::Rating => {
                let live = rating::Entity::find().filter(rating::Column::DeletedAt.is_null());
                add!(Rating, live.filter(rating::Column::Id.is_in(ids)));
            }
            ContentKind::Collection => {
                add!(Collection, collection::Entity::find().filter(collection::Column::Id.is_in(ids)));
            }
            ContentKind::User => add!(User, user::Entity::find().filter(user::Column::Id.is_in(ids))),
        }
    }
    Ok(contents)
}

//! What a person is told. Each person's notifications are numbered as they are written: the number grows, and no two of one
//! person's share one, so that whoever asks for what came after a number misses nothing. Those that are for a mail alone
//! are numbered as well, but not shown.

use atelier_entities::notification;
use sea_orm::{
    ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    actor::Actor,
    context::Context,
    error::{ReadError, Refused},
    failures,
    page::{self, Direction, Page, PageRequest},
    policy::{Action, Resource as _, authorize},
};

/// How many may be named at once.
const MOST_NAMED: usize = 100;

failures! {
    /// Why [`mark_read`] refused.
    pub enum MarkNotificationsReadError {
        /// It is unclear which.
        Which => ("", "ONE_OF", "Name either `ids` or `throughSequence`, and not both."),
        /// Too many at once.
        TooMany { most: usize } => ("ids", "TOO_MANY", "At most {most} notifications are named at once. Use `throughSequence` for more."),
    }
}

/// Which notifications were read: those that are named, or all up to a number.
#[derive(Clone, Debug)]
pub struct ReadMark {
    /// These, at most 100.
    pub ids: Option<Vec<Uuid>>,
    /// All up to this sequence.
    pub through: Option<i64>,
}

fn of(actor: &Actor) -> Result<Select<notification::Entity>, Refused> {
    Ok(shown_to(actor.person()?.id))
}

fn shown_to(person: Uuid) -> Select<notification::Entity> {
    notification::Entity::find()
        .filter(notification::Column::UserId.eq(person))
        .filter(notification::Column::InApp.eq(true))
}

/// The actor's notifications, newest first.
///
/// # Errors
/// [`Refused::Unauthenticated`]; a cursor that cannot be read.
pub async fn list(
    ctx: &Context,
    actor: &Actor,
    unread_only: bool,
    request: &PageRequest,
) -> Result<Page<notification::Model>, ReadError> {
    let mut select = of(actor)?;
    if unread_only {
        select = select.filter(notification::Column::ReadAt.is_null());
    }
    let column = notification::Column::Id;
    Ok(page::by_id(select, column, |row| row.id, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// A notification of the actor's.
///
/// # Errors
/// [`Refused::NotFound`] for another person's.
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<notification::Model, ReadError> {
    let row = notification::Entity::find_by_id(id).one(ctx.db.read()).await?;
    let row = row.ok_or(Refused::NotFound(notification::Model::NAME))?;
    authorize(actor, Action::NotificationRead, &row)?;
    if row.in_app { Ok(row) } else { Err(Refused::NotFound(notification::Model::NAME).into()) }
}

/// How many notifications of the actor are unread.
///
/// # Errors
/// [`Refused::Unauthenticated`].
pub async fn unread_count(ctx: &Context, actor: &Actor) -> Result<u64, ReadError> {
    Ok(of(actor)?.filter(notification::Column::ReadAt.is_null()).count(ctx.db.read()).await?)
}

/// The number of the actor's last notification; 0 before the first.
///
/// # Errors
/// [`Refused::Unauthenticated`].
pub async fn last_sequence(ctx: &Context, actor: &Actor) -> Result<i64, ReadError> {
    let last = of(actor)?
        .select_only()
        .column(notification::Column::Sequence)
        .order_by_desc(notification::Column::Sequence)
        .limit(1)
        .into_tuple::<i64>()
        .one(ctx.db.read())
        .await?;
    Ok(last.unwrap_or_default())
}

/// The actor's notifications after a number, in order.
///
/// # Errors
/// [`Refused::Unauthenticated`].
pub async fn after(
    ctx: &Context,
    actor: &Actor,
    sequence: i64,
    most: u64,
) -> Result<Vec<notification::Model>, ReadError> {
    let select = of(actor)?.filter(notification::Column::Sequence.gt(sequence));
    Ok(select.order_by_asc(notification::Column::Sequence).limit(most).all(ctx.db.read()).await?)
}

/// Marks notifications of the actor as read; those of others are left as they are. Returns how many are unread then.
///
/// # Errors
/// [`MarkNotificationsReadError`].
pub async fn mark_read(ctx: &Context, actor: &Actor, mark: ReadMark) -> Result<u64, MarkNotificationsReadError> {
    let person = actor.person()?;
    let own = notification::Column::UserId.eq(person.id);
    let marked = match (mark.ids, mark.through) {
        (Some(ids), None) if ids.len() > MOST_NAMED => {
            return Err(MarkNotificationsReadError::TooMany { most: MOST_NAMED });
        }
        (Some(ids), None) => notification::Column::Id.is_in(ids),
        (None, Some(sequence)) => notification::Column::Sequence.lte(sequence),
        (Some(_), Some(_)) | (None, None) => return Err(MarkNotificationsReadError::Which),
    };
    let tx = ctx.db.write().await?;
    notification::Entity::update_many()
        .col_expr(notification::Column::ReadAt, Expr::value(ctx.now()))
        .filter(own)
        // What is for a mail alone was not seen, whatever its number.
        .filter(notification::Column::InApp.eq(true))
        .filter(marked)
        .filter(notification::Column::ReadAt.is_null())
        .exec(&tx)
        .await?;
    let unread = shown_to(person.id).filter(notification::Column::ReadAt.is_null());
    let unread = unread.count(&tx).await?;
    ctx.commit(tx).await?;
    Ok(unread)
}

//! Mails of notifications: those that are wanted at once, and a digest once a day. A notification says what its mail waits
//! for; the mail is written in the transaction that settles this, so that whatever is killed when, each is mailed once.

use std::collections::{BTreeMap, HashMap, HashSet};

use atelier_entities::{
    comment,
    kinds::{NotificationKind, NotificationMail},
    notification, user,
};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use sea_orm::{
    ActiveEnum as _, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, Iterable as _,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    letters::{DigestLetter, DigestPart, NotificationLetter, one_line, subject_matter},
    unsubscribe::{Ending, endings},
};
use crate::{context::Context, database, mail};

/// How many notifications are mailed in one transaction.
const PIECE: u64 = 100;

/// How many people's digests are written in one transaction.
const PEOPLE: usize = 20;

/// How many things a digest names.
const MOST_NAMED: u64 = 50;

/// Writes the mails that are wanted at once. Returns how many notifications it dealt with.
///
/// # Errors
/// What the database says; nothing of the piece was mailed then.
pub async fn write_immediate(ctx: &Context) -> anyhow::Result<usize> {
    let waiting = notification::Entity::find().filter(notification::Column::Mail.eq(NotificationMail::Immediate));
    if waiting.clone().limit(1).count(ctx.db.read()).await? == 0 {
        return Ok(0);
    }
    let tx = ctx.db.write().await?;
    database::serialize(&tx, "notification mail").await?;
    let rows = waiting.order_by_asc(notification::Column::Id).limit(PIECE).all(&tx).await?;
    let people = mailed(&tx, rows.iter().map(|row| row.user_id)).await?;
    let comments = comments(&tx, &rows).await?;
    for row in &rows {
        let Some(person) = people.get(&row.user_id) else { continue };
        let letter = NotificationLetter {
            to: &person.email,
            name: &person.display_name,
            kind: row.kind,
            message: &row.message,
            quote: quoted(&comments, row),
            endings: endings(ctx, person.id, Ending::Kind(row.kind)),
        };
        mail::enqueue(&tx, ctx, letter.write()?).await?;
    }
    settle(&tx, notification::Column::Id.is_in(rows.iter().map(|row| row.id)).into()).await?;
    ctx.commit(tx).await?;
    Ok(rows.len())
}

/// Writes the digests that are due: everything of before the last time that the day's hour struck, which was neither mailed
/// nor read. Returns how many people it dealt with.
///
/// What came after that hour waits for the next day, so that everybody gets one a day at most; after a pause of some days,
/// one for all of them.
///
/// # Errors
/// What the database says; none of these people was written to then.
pub async fn write_digests(ctx: &Context) -> anyhow::Result<usize> {
    let until = last_stroke(ctx.now(), ctx.settings.digest_hour);
    let due = Condition::all()
        .add(notification::Column::Mail.eq(NotificationMail::Daily))
        .add(notification::Column::CreatedAt.lt(until));
    let first: Vec<Uuid> = notification::Entity::find()
        .select_only()
        .column(notification::Column::UserId)
        .filter(due.clone())
        .order_by_asc(notification::Column::CreatedAt)
        .limit(PIECE)
        .into_tuple()
        .all(ctx.db.read())
        .await?;
    let mut seen = HashSet::new();
    let people: Vec<Uuid> = first.into_iter().filter(|person| seen.insert(*person)).take(PEOPLE).collect();
    if people.is_empty() {
        return Ok(0);
    }
    let tx = ctx.db.write().await?;
    database::serialize(&tx, "notification mail").await?;
    let mailed = mailed(&tx, people.iter().copied()).await?;
    for person in people.iter().filter_map(|person| mailed.get(person)) {
        let due = due.clone().add(notification::Column::UserId.eq(person.id));
        if let Some(letter) = digest(&tx, ctx, person, due).await? {
            mail::enqueue(&tx, ctx, letter.write()?).await?;
        }
    }
    settle(&tx, due.add(notification::Column::UserId.is_in(people.iter().copied()))).await?;
    ctx.commit(tx).await?;
    Ok(people.len())
}

/// The last time that an hour of the day struck.
fn last_stroke(now: DateTime<Utc>, hour: u32) -> DateTime<Utc> {
    let hour = NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default();
    let today = now.date_naive().and_time(hour).and_utc();
    if today <= now { today } else { today - TimeDelta::days(1) }
}

/// A person's digest of what is due; none if they have read it all.
async fn digest<'a>(
    tx: &DatabaseTransaction,
    ctx: &Context,
    person: &'a user::Model,
    due: Condition,
) -> Result<Option<DigestLetter<'a>>, DbErr> {
    let unread = notification::Entity::find().filter(due).filter(notification::Column::ReadAt.is_null());
    let count = unread.clone().count(tx).await?;
    if count == 0 {
        return Ok(None);
    }
    let mut rows = unread.order_by_desc(notification::Column::Sequence).limit(MOST_NAMED).all(tx).await?;
    rows.reverse();
    let more = count - rows.len() as u64;
    let mut messages: BTreeMap<usize, DigestPart> = BTreeMap::new();
    for row in rows {
        let place = NotificationKind::iter().position(|kind| kind == row.kind).unwrap_or_default();
        let part = messages
            .entry(place)
            .or_insert_with(|| DigestPart { about: subject_matter(row.kind), messages: Vec::new() });
        part.messages.push(one_line(&row.message));
    }
    Ok(Some(DigestLetter {
        to: &person.email,
        name: &person.display_name,
        parts: messages.into_values().collect(),
        count,
        more,
        endings: endings(ctx, person.id, Ending::Digest),
    }))
}

/// Those of several people who get mails: their address was proven, and their account may be used.
async fn mailed(
    tx: &DatabaseTransaction,
    people: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, user::Model>, DbErr> {
    let ids: HashSet<Uuid> = people.collect();
    let rows = user::Entity::find()
        .filter(user::Column::Id.is_in(ids))
        .filter(user::Column::EmailVerifiedAt.is_not_null())
        .filter(user::Column::SuspendedAt.is_null())
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The text that a mail quotes. What the moderators have hidden since is for its author alone.
fn quoted<'a>(comments: &'a HashMap<Uuid, comment::Model>, row: &notification::Model) -> Option<&'a str> {
    let comment = comments.get(&row.comment_id?)?;
    let is_shown = comment.hidden_at.is_none() || comment.user_id == row.user_id;
    is_shown.then_some(comment.body.as_str())
}

/// The comments that notifications are about and that are still there.
async fn comments(
    tx: &DatabaseTransaction,
    rows: &[notification::Model],
) -> Result<HashMap<Uuid, comment::Model>, DbErr> {
    let ids: HashSet<Uuid> = rows.iter().filter_map(|row| row.comment_id).collect();
    let rows = comment::Entity::find()
        .filter(comment::Column::Id.is_in(ids))
        .filter(comment::Column::DeletedAt.is_null())
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Says that these notifications' mails wait for nothing more.
pub(super) async fn settle<C: ConnectionTrait>(tx: &C, which: Condition) -> Result<(), DbErr> {
    notification::Entity::update_many()
        .col_expr(notification::Column::Mail, Expr::value(NotificationMail::Settled.to_value()))
        .filter(which)
        .exec(tx)
        .await
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hour_strikes_once_a_day() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        for (now, struck) in [
            ("2030-01-02T07:59:59Z", "2030-01-01T08:00:00Z"),
            ("2030-01-02T08:00:00Z", "2030-01-02T08:00:00Z"),
            ("2030-01-02T23:59:59Z", "2030-01-02T08:00:00Z"),
        ] {
            assert_eq!(last_stroke(time(now), 8), time(struck), "{now}");
        }
    }
}

//! By which channels a person is told of what: in the application, and by mail at once or in the daily digest.

use std::collections::{HashMap, HashSet};

use atelier_entities::{
    kinds::{MailFrequency, NotificationKind, NotificationMail},
    notification, notification_preference as preference, user,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, Iterable as _, QueryFilter,
    sea_query::OnConflict,
};
use serde_json::json;
use uuid::Uuid;

use super::notification_mail::settle;
use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{ReadError, Refused},
    failures,
    policy::{Action, Permit, Resource as _, authorize},
};

/// By which channels somebody is told of a kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// In the list and the subscription.
    pub in_app: bool,
    /// By mail.
    pub mail: MailFrequency,
}

/// How everybody is told who has not said otherwise: of everything in the application; by mail at once where somebody
/// waits for an answer or moderators decided something, and once a day of what others made of one's work and what those whom one follows publish.
pub const fn usual(kind: NotificationKind) -> Channels {
    use NotificationKind::{
        CommentReplied, ContentHidden, ContentRestored, JobFinished, LoraCommented, LoraPublished, LoraRated,
        LoraVersionPublished, Mentioned, NewFollower, ReviewAsked,
    };
    let mail = match kind {
        Mentioned | CommentReplied | ReviewAsked | ContentHidden | ContentRestored => MailFrequency::Immediate,
        LoraPublished | LoraVersionPublished | LoraRated | LoraCommented => MailFrequency::Daily,
        NewFollower | JobFinished => MailFrequency::Off,
    };
    Channels { in_app: true, mail }
}

/// What changes in one kind's channels; what is none stays.
#[derive(Clone, Copy, Debug)]
pub struct ChangedChannels {
    /// Of what.
    pub kind: NotificationKind,
    /// In the application.
    pub in_app: Option<bool>,
    /// By mail.
    pub mail: Option<MailFrequency>,
}

failures! {
    /// Why [`update`] refused.
    pub enum UpdateNotificationPreferencesError {
        /// There is nothing to change.
        Nothing => ("preferences", "REQUIRED", "`preferences` is empty. Name at least one kind and how you want to be told of it."),
        /// It is unclear which of two counts.
        Repeated => ("preferences", "REPEATED", "`preferences` names a kind twice. Name each kind once."),
    }
}

/// How the actor is told, of every kind in its order.
///
/// # Errors
/// [`Refused::Unauthenticated`].
pub async fn list(ctx: &Context, actor: &Actor) -> Result<Vec<(NotificationKind, Channels)>, ReadError> {
    let person = actor.person()?;
    let own = user::Entity::find_by_id(person.id).one(ctx.db.read()).await?;
    authorize(actor, Action::AccountRead, &own.ok_or(Refused::NotFound(user::Model::NAME))?)?;
    Ok(of(ctx.db.read(), person.id).await?)
}

/// How a person is told, of every kind in its order.
pub(super) async fn of<C: ConnectionTrait>(db: &C, person: Uuid) -> Result<Vec<(NotificationKind, Channels)>, DbErr> {
    let rows = preference::Entity::find().filter(preference::Column::UserId.eq(person)).all(db).await?;
    let said: HashMap<NotificationKind, Channels> =
        rows.into_iter().map(|row| (row.kind, Channels { in_app: row.in_app, mail: row.mail })).collect();
    Ok(NotificationKind::iter().map(|kind| (kind, said.get(&kind).copied().unwrap_or(usual(kind)))).collect())
}

/// Changes how the actor is told; kinds that are not named stay as they are. Mails that wait are not written any more where
/// mail is switched off.
///
/// # Errors
/// [`UpdateNotificationPreferencesError`].
pub async fn update(
    ctx: &Context,
    actor: &Actor,
    changes: &[ChangedChannels],
) -> Result<Vec<(NotificationKind, Channels)>, UpdateNotificationPreferencesError> {
    let person = actor.person()?;
    if changes.is_empty() {
        return Err(UpdateNotificationPreferencesError::Nothing);
    }
    if changes.iter().map(|change| change.kind).collect::<HashSet<_>>().len() < changes.len() {
        return Err(UpdateNotificationPreferencesError::Repeated);
    }
    let tx = ctx.db.write().await?;
    let own = user::Entity::find_by_id(person.id).one(&tx).await?.ok_or(Refused::NotFound(user::Model::NAME))?;
    let permit = authorize(actor, Action::AccountChange, &own)?;
    change(&tx, ctx, &permit, person.id, changes, "notificationPreferences").await?;
    let now = of(&tx, person.id).await?;
    ctx.commit(tx).await?;
    Ok(now)
}

/// Writes changes of one person's channels, with the audit entry, in the caller's transaction.
pub(super) async fn change<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    permit: &Permit,
    person: Uuid,
    changes: &[ChangedChannels],
    why: &'static str,
) -> Result<(), DbErr> {
    let now: HashMap<_, _> = of(tx, person).await?.into_iter().collect();
    let rows = changes.iter().map(|change| {
        let before = now.get(&change.kind).copied().unwrap_or(usual(change.kind));
        preference::ActiveModel {
            user_id: Set(person),
            kind: Set(change.kind),
            in_app: Set(change.in_app.unwrap_or(before.in_app)),
            mail: Set(change.mail.unwrap_or(before.mail)),
            updated_at: Set(ctx.now()),
        }
    });
    let conflict = OnConflict::columns([preference::Column::UserId, preference::Column::Kind])
        .update_columns([preference::Column::InApp, preference::Column::Mail, preference::Column::UpdatedAt])
        .to_owned();
    preference::Entity::insert_many(rows).on_conflict(conflict).exec_without_returning(tx).await?;
    let off = changes.iter().filter(|change| change.mail == Some(MailFrequency::Off)).map(|change| change.kind);
    let waiting = Condition::all()
        .add(notification::Column::UserId.eq(person))
        .add(notification::Column::Kind.is_in(off))
        .add(notification::Column::Mail.is_in([NotificationMail::Immediate, NotificationMail::Daily]));
    settle(tx, waiting).await?;
    audit::record(tx, ctx, permit, Some(person), json!({ "do": why })).await
}

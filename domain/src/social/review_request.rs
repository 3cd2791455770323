//! Asking people to look at a LoRA and say what they think of it.

use std::collections::HashSet;

use atelier_entities::{
    follow,
    kinds::{EventKind, NotificationKind},
    lora, membership, notification,
};
use chrono::Duration;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    audit,
    context::Context,
    database,
    error::Refused,
    failures,
    idempotency::{self, KeyError},
    outbox,
    policy::{Action, Resource as _, authorize},
    text,
    widen::widen,
};

/// How many people one may ask at once.
const MOST: usize = 20;

/// How long somebody who was asked is not asked again for the same LoRA.
const PAUSE: Duration = Duration::days(7);

const LONGEST_NOTE: usize = 300;

/// Whom to ask about what.
#[derive(Clone, Debug, Serialize)]
pub struct AskForReview {
    /// The LoRA.
    pub lora: Uuid,
    /// The people, 1 to 20: members of its team, or, where everybody sees it, followers of whoever asks as well.
    pub people: Vec<Uuid>,
    /// What to look at, at most 300 characters.
    pub note: String,
}

failures! {
    /// Why [`ask_for_review`] refused.
    pub enum AskForReviewError {
        /// Nobody, or a crowd.
        WrongNumber { most: usize } => ("userIds", "WRONG_NUMBER", "Name one to {most} people to ask."),
        /// They know nothing of the LoRA, or never wanted to hear of whoever asks.
        NotAskable => ("userIds", "NOT_ASKABLE", "You can ask members of the LoRA's team and, once it is published, people who follow you. Leave the others out."),
        /// They have heard it.
        AlreadyAsked => ("userIds", "ALREADY_ASKED", "All of them were asked within the last week. Wait, or ask others."),
    }
}

widen!(KeyError => AskForReviewError);

/// Asks people for their review. Those that were asked within the last week are not asked again.
///
/// # Errors
/// [`AskForReviewError`].
pub async fn ask_for_review(
    ctx: &Context,
    actor: &Actor,
    input: AskForReview,
    key: Option<&str>,
) -> Result<lora::Model, AskForReviewError> {
    let person = actor.person()?;
    let note = text::check("note", &input.note, 0, LONGEST_NOTE)?;
    let tx = ctx.db.write().await?;
    let missing = Refused::NotFound(lora::Model::NAME);
    let lora = lora::Entity::find_by_id(input.lora).one(&tx).await?.ok_or(missing)?;
    let permit = authorize(actor, Action::LoraWrite, &lora)?;
    let once = idempotency::begin(&tx, ctx, person.id, key, "askForReview", &input).await?;
    if once.earlier().is_some() {
        return Ok(lora);
    }
    let people: HashSet<Uuid> = input.people.iter().copied().filter(|id| *id != person.id).collect();
    if people.is_empty() || people.len() > MOST {
        return Err(AskForReviewError::WrongNumber { most: MOST });
    }
    if !askable(&tx, &lora, person.id, &people).await?.is_superset(&people) {
        return Err(AskForReviewError::NotAskable);
    }
    // One after the other: of two at once, the second finds who was asked by the first once that was told.
    database::serialize(&tx, &format!("review:{}", lora.id)).await?;
    let asked = asked_lately(&tx, ctx, &lora, &people).await?;
    let mut asking: Vec<Uuid> = people.difference(&asked).copied().collect();
    asking.sort_unstable();
    if asking.is_empty() {
        return Err(AskForReviewError::AlreadyAsked);
    }
    audit::record(&tx, ctx, &permit, Some(lora.id), json!({ "do": "ask for review", "people": asking })).await?;
    once.remember(&tx, ctx, lora.id).await?;
    let event = outbox::Event {
        kind: EventKind::ReviewAsked,
        team: Some(lora.team_id),
        actor: Some(person.id),
        subject: lora.id,
        payload: json!({ "asked": asking, "note": note }),
    };
    outbox::append(&tx, ctx, event).await?;
    ctx.commit(tx).await?;
    Ok(lora)
}

/// Those of several people who may be asked.
async fn askable(
    tx: &DatabaseTransaction,
    lora: &lora::Model,
    asker: Uuid,
    people: &HashSet<Uuid>,
) -> Result<HashSet<Uuid>, DbErr> {
    let members = membership::Entity::find()
        .select_only()
        .column(membership::Column::UserId)
        .filter(membership::Column::TeamId.eq(lora.team_id))
        .filter(membership::Column::UserId.is_in(people.iter().copied()));
    let mut askable: HashSet<Uuid> = members.into_tuple::<Uuid>().all(tx).await?.into_iter().collect();
    if lora.target().public {
        let followers = follow::Entity::find()
            .select_only()
            .column(follow::Column::FollowerId)
            .filter(follow::Column::FollowedId.eq(asker))
            .filter(follow::Column::FollowerId.is_in(people.iter().copied()));
        askable.extend(followers.into_tuple::<Uuid>().all(tx).await?);
    }
    Ok(askable)
}

/// Those of several people who were told lately that somebody asks them about the LoRA.
async fn asked_lately(
    tx: &DatabaseTransaction,
    ctx: &Context,
    lora: &lora::Model,
    people: &HashSet<Uuid>,
) -> Result<HashSet<Uuid>, DbErr> {
    let told = notification::Entity::find()
        .select_only()
        .column(notification::Column::UserId)
        .filter(notification::Column::UserId.is_in(people.iter().copied()))
        .filter(notification::Column::Kind.eq(NotificationKind::ReviewAsked))
        .filter(notification::Column::LoraId.eq(lora.id))
        .filter(notification::Column::CreatedAt.gt(ctx.now() - PAUSE));
    Ok(told.into_tuple::<Uuid>().all(tx).await?.into_iter().collect())
}

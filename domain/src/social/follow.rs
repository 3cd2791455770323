//! Following people: who follows somebody is told what they publish.

use std::collections::{HashMap, HashSet};

use atelier_entities::{follow, kinds::EventKind, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    audit,
    context::Context,
    database,
    error::{ReadError, Refused},
    failures, nested, outbox,
    page::{Direction, Page, PageRequest},
    policy::{Action, Resource as _, authorize},
    social::block,
};

/// How many people one may follow.
const MOST: i64 = 5_000;

failures! {
    /// Why [`follow`] refused.
    pub enum FollowUserError {
        /// It is oneself.
        Oneself => ("userId", "ONESELF", "You hear of your own work without following yourself."),
        /// They have blocked whoever asks.
        NotOpen => ("userId", "NOT_OPEN_TO_YOU", "You cannot follow this person. What they publish stays open to you."),
        /// Nobody reads that much.
        TooMany { most: i64 } => ("userId", "TOO_MANY", "You follow {most} people, as many as one may. Unfollow some first."),
    }
}

failures! {
    /// Why [`unfollow`] refused.
    pub enum UnfollowUserError {
        /// One does not follow them.
        NotFollowing => ("userId", "NOT_FOLLOWING", "You do not follow this person; there is nothing to end."),
    }
}

/// Follows somebody. Who follows them already stays so.
///
/// # Errors
/// [`FollowUserError`].
pub async fn follow(ctx: &Context, actor: &Actor, id: Uuid) -> Result<user::Model, FollowUserError> {
    let person = actor.person()?;
    let tx = ctx.db.write().await?;
    let followed = user::Entity::find_by_id(id).one(&tx).await?.ok_or(Refused::NotFound(user::Model::NAME))?;
    let permit = authorize(actor, Action::UserFollow, &followed)?;
    if id == person.id {
        return Err(FollowUserError::Oneself);
    }
    if block::stands_between(&tx, id, person.id).await? {
        return Err(FollowUserError::NotOpen);
    }
    database::serialize(&tx, &format!("follow:{}", person.id)).await?;
    if between(&tx, person.id, id).await?.is_some() {
        return Ok(followed);
    }
    let count = counts(&tx, follow::Column::FollowerId, &[person.id]).await?.remove(&person.id).unwrap_or_default();
    if count >= MOST {
        return Err(FollowUserError::TooMany { most: MOST });
    }
    let row = follow::ActiveModel {
        id: Set(ctx.new_id()),
        follower_id: Set(person.id),
        followed_id: Set(id),
        created_at: Set(ctx.now()),
    };
    row.insert(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "follow" })).await?;
    let event = outbox::Event {
        kind: EventKind::UserFollowed,
        team: None,
        actor: Some(person.id),
        subject: id,
        payload: json!({}),
    };
    outbox::append(&tx, ctx, event).await?;
    ctx.commit(tx).await?;
    Ok(followed)
}

/// Follows somebody no longer.
///
/// # Errors
/// [`UnfollowUserError::NotFollowing`].
pub async fn unfollow(ctx: &Context, actor: &Actor, id: Uuid) -> Result<user::Model, UnfollowUserError> {
    let person = actor.person()?;
    let tx = ctx.db.write().await?;
    let followed = user::Entity::find_by_id(id).one(&tx).await?.ok_or(Refused::NotFound(user::Model::NAME))?;
    let permit = authorize(actor, Action::UserFollow, &followed)?;
    let row = between(&tx, person.id, id).await?.ok_or(UnfollowUserError::NotFollowing)?;
    follow::Entity::delete_by_id(row.id).exec(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "unfollow" })).await?;
    ctx.commit(tx).await?;
    Ok(followed)
}

async fn between<C: ConnectionTrait>(tx: &C, follower: Uuid, followed: Uuid) -> Result<Option<follow::Model>, DbErr> {
    follow::Entity::find()
        .filter(follow::Column::FollowerId.eq(follower))
        .filter(follow::Column::FollowedId.eq(followed))
        .one(tx)
        .await
}

/// How many follow each of several people.
///
/// # Errors
/// What the database says.
pub async fn follower_counts(ctx: &Context, _actor: &Actor, users: &[Uuid]) -> Result<HashMap<Uuid, i64>, ReadError> {
    Ok(counts(ctx.db.read(), follow::Column::FollowedId, users).await?)
}

/// How many each of several people follows.
///
/// # Errors
/// What the database says.
pub async fn following_counts(ctx: &Context, _actor: &Actor, users: &[Uuid]) -> Result<HashMap<Uuid, i64>, ReadError> {
    Ok(counts(ctx.db.read(), follow::Column::FollowerId, users).await?)
}

async fn counts<C: ConnectionTrait>(db: &C, side: follow::Column, users: &[Uuid]) -> Result<HashMap<Uuid, i64>, DbErr> {
    let rows: Vec<(Uuid, i64)> = follow::Entity::find()
        .select_only()
        .column(side)
        .column_as(follow::Column::Id.count(), "number")
        .filter(side.is_in(users.iter().copied()))
        .group_by(side)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().collect())
}

/// Which of several people the actor follows; nobody, where nobody is signed in.
///
/// # Errors
/// What the database says.
pub async fn followed_by_actor(ctx: &Context, actor: &Actor, users: &[Uuid]) -> Result<HashMap<Uuid, bool>, ReadError> {
    let followed: HashSet<Uuid> = match actor.user_id() {
        None => HashSet::new(),
        Some(follower) => {
            let rows: Vec<Uuid> = follow::Entity::find()
                .select_only()
                .column(follow::Column::FollowedId)
                .filter(follow::Column::FollowerId.eq(follower))
                .filter(follow::Column::FollowedId.is_in(users.iter().copied()))
                .into_tuple()
                .all(ctx.db.read())
                .await?;
            rows.into_iter().collect()
        }
    };
    Ok(users.iter().map(|user| (*user, followed.contains(user))).collect())
}

/// Who follows several people, newest first.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn follower_pages(
    ctx: &Context,
    _actor: &Actor,
    users: &[Uuid],
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<follow::Model>>, ReadError> {
    let columns = (follow::Column::FollowedId, follow::Column::Id);
    let keys = |row: &follow::Model| (row.followed_id, row.id);
    let select = follow::Entity::find();
    Ok(nested::pages(select, columns, keys, users, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// Whom several people follow, newest first.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn following_pages(
    ctx: &Context,
    _actor: &Actor,
    users: &[Uuid],
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<follow::Model>>, ReadError> {
    let columns = (follow::Column::FollowerId, follow::Column::Id);
    let keys = |row: &follow::Model| (row.follower_id, row.id);
    let select = follow::Entity::find();
    Ok(nested::pages(select, columns, keys, users, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// That one person follows another; everybody may see it.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, _actor: &Actor, id: Uuid) -> Result<follow::Model, ReadError> {
    let row = follow::Entity::find_by_id(id).one(ctx.db.read()).await?;
    Ok(row.ok_or(Refused::NotFound("follow"))?)
}

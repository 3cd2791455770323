//! Blocking: tags and people that somebody does not want to see.
//!
//! What is blocked does not come up by itself: not in searches, lists, threads or notifications. Asking for a thing by its
//! id still works, and nobody is told that they are blocked.

use std::collections::{HashMap, HashSet};

use atelier_entities::{follow, lora, tag_block, user, user_block};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait as _, OnConflict, Query, UnionType},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    audit,
    context::Context,
    database,
    error::{ReadError, Refused},
    failures,
    lora::{LONGEST_TAG, versions::words},
    page::{self, Direction, Page, PageRequest},
    policy::{Action, Installation, Resource as _, authorize},
    text,
};

/// How many tags one may block: every search carries them.
const MOST_TAGS: usize = 200;

/// How many people one may block: every search carries them.
const MOST_PEOPLE: u64 = 1_000;

failures! {
    /// Why [`block_tag`] refused.
    pub enum BlockTagError {
        /// Every search would carry them.
        TooMany { most: usize } => ("tag", "TOO_MANY", "You block {most} tags, as many as one may. Unblock some first."),
    }
}

failures! {
    /// Why [`unblock_tag`] refused.
    pub enum UnblockTagError {
        /// It is not blocked.
        NotBlocked => ("tag", "NOT_BLOCKED", "You do not block this tag; there is nothing to undo."),
    }
}

failures! {
    /// Why [`block_user`] refused.
    pub enum BlockUserError {
        /// It is oneself.
        Oneself => ("userId", "ONESELF", "You cannot block yourself."),
        /// Every search would carry them.
        TooMany { most: u64 } => ("userId", "TOO_MANY", "You block {most} people, as many as one may. Unblock some first."),
    }
}

failures! {
    /// Why [`unblock_user`] refused.
    pub enum UnblockUserError {
        /// They are not blocked.
        NotBlocked => ("userId", "NOT_BLOCKED", "You do not block this person; there is nothing to undo."),
    }
}

/// Blocks a tag. Returns all that the actor blocks.
///
/// # Errors
/// [`BlockTagError::TooMany`]; an [`crate::error::Invalid`] for what is no tag.
pub async fn block_tag(ctx: &Context, actor: &Actor, tag: &str) -> Result<Vec<String>, BlockTagError> {
    let person = actor.person()?;
    let permit = authorize(actor, Action::BlockManage, &Installation)?;
    let tag = text::check("tag", tag, 1, LONGEST_TAG)?.to_lowercase();
    let tx = ctx.db.write().await?;
    database::serialize(&tx, &format!("block:{}", person.id)).await?;
    let row = tag_block::ActiveModel { user_id: Set(person.id), tag: Set(tag.clone()), created_at: Set(ctx.now()) };
    let conflict = OnConflict::columns([tag_block::Column::UserId, tag_block::Column::Tag]).do_nothing().to_owned();
    tag_block::Entity::insert(row).on_conflict(conflict).exec_without_returning(&tx).await?;
    let tags = tags_of(&tx, person.id).await?;
    if tags.len() > MOST_TAGS {
        return Err(BlockTagError::TooMany { most: MOST_TAGS });
    }
    audit::record(&tx, ctx, &permit, Some(person.id), json!({ "do": "block", "tag": tag })).await?;
    ctx.commit(tx).await?;
    Ok(tags)
}

/// Blocks a tag no longer. Returns all that the actor blocks.
///
/// # Errors
/// [`UnblockTagError::NotBlocked`].
pub async fn unblock_tag(ctx: &Context, actor: &Actor, tag: &str) -> Result<Vec<String>, UnblockTagError> {
    let person = actor.person()?;
    let permit = authorize(actor, Action::BlockManage, &Installation)?;
    let tag = text::check("tag", tag, 1, LONGEST_TAG)?.to_lowercase();
    let tx = ctx.db.write().await?;
    if tag_block::Entity::delete_by_id((person.id, tag.clone())).exec(&tx).await?.rows_affected == 0 {
        return Err(UnblockTagError::NotBlocked);
    }
    audit::record(&tx, ctx, &permit, Some(person.id), json!({ "do": "unblock", "tag": tag })).await?;
    let tags = tags_of(&tx, person.id).await?;
    ctx.commit(tx).await?;
    Ok(tags)
}

/// Blocks somebody. Neither follows the other from then on. Who blocks them already goes on doing so.
///
/// # Errors
/// [`BlockUserError`].
pub async fn block_user(ctx: &Context, actor: &Actor, id: Uuid) -> Result<user::Model, BlockUserError> {
    let person = actor.person()?;
    let permit = authorize(actor, Action::BlockManage, &Installation)?;
    let tx = ctx.db.write().await?;
    let blocked = user::Entity::find_by_id(id).one(&tx).await?.ok_or(Refused::NotFound(user::Model::NAME))?;
    if id == person.id {
        return Err(BlockUserError::Oneself);
    }
    database::serialize(&tx, &format!("block:{}", person.id)).await?;
    if stands_between(&tx, person.id, id).await? {
        return Ok(blocked);
    }
    let of_person = user_block::Entity::find().filter(user_block::Column::BlockerId.eq(person.id));
    if of_person.count(&tx).await? >= MOST_PEOPLE {
        return Err(BlockUserError::TooMany { most: MOST_PEOPLE });
    }
    let row = user_block::ActiveModel {
        id: Set(ctx.new_id()),
        blocker_id: Set(person.id),
        blocked_id: Set(id),
        created_at: Set(ctx.now()),
    };
    row.insert(&tx).await?;
    end_follows(&tx, person.id, id).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "block" })).await?;
    ctx.commit(tx).await?;
    Ok(blocked)
}

async fn end_follows(tx: &DatabaseTransaction, one: Uuid, other: Uuid) -> Result<(), DbErr> {
    let (follower, followed) = (follow::Column::FollowerId, follow::Column::FollowedId);
    let between = Condition::any()
        .add(Condition::all().add(follower.eq(one)).add(followed.eq(other)))
        .add(Condition::all().add(follower.eq(other)).add(followed.eq(one)));
    follow::Entity::delete_many().filter(between).exec(tx).await.map(|_| ())
}

/// Blocks somebody no longer. Who followed whom before is not brought back.
///
/// # Errors
/// [`UnblockUserError::NotBlocked`].
pub async fn unblock_user(ctx: &Context, actor: &Actor, id: Uuid) -> Result<user::Model, UnblockUserError> {
    let person = actor.person()?;
    let permit = authorize(actor, Action::BlockManage, &Installation)?;
    let tx = ctx.db.write().await?;
    let blocked = user::Entity::find_by_id(id).one(&tx).await?.ok_or(Refused::NotFound(user::Model::NAME))?;
    let ended = user_block::Entity::delete_many()
        .filter(user_block::Column::BlockerId.eq(person.id))
        .filter(user_block::Column::BlockedId.eq(id))
        .exec(&tx)
        .await?;
    if ended.rows_affected == 0 {
        return Err(UnblockUserError::NotBlocked);
    }
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "unblock" })).await?;
    ctx.commit(tx).await?;
    Ok(blocked)
}

/// The tags that the actor blocks, in the order of the alphabet.
///
/// # Errors
/// [`Refused::Unauthenticated`].
pub async fn blocked_tags(ctx: &Context, actor: &Actor) -> Result<Vec<String>, ReadError> {
    Ok(tags_of(ctx.db.read(), actor.person()?.id).await?)
}

async fn tags_of<C: ConnectionTrait>(db: &C, person: Uuid) -> Result<Vec<String>, DbErr> {
    tag_block::Entity::find()
        .select_only()
        .column(tag_block::Column::Tag)
        .filter(tag_block::Column::UserId.eq(person))
        .order_by_asc(tag_block::Column::Tag)
        .into_tuple()
        .all(db)
        .await
}

/// The people whom the actor blocks, newest first.
///
/// # Errors
/// [`Refused::Unauthenticated`]; a cursor that cannot be read.
pub async fn blocked_users(
    ctx: &Context,
    actor: &Actor,
    request: &PageRequest,
) -> Result<Page<user_block::Model>, ReadError> {
    let select = user_block::Entity::find().filter(user_block::Column::BlockerId.eq(actor.person()?.id));
    let column = user_block::Column::Id;
    Ok(page::by_id(select, column, |row| row.id, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// Which of several people the actor blocks, for loaders; nobody, where nobody is signed in.
///
/// # Errors
/// What the database says.
pub async fn blocked_by_actor(ctx: &Context, actor: &Actor, users: &[Uuid]) -> Result<HashMap<Uuid, bool>, ReadError> {
    let blocked: HashSet<Uuid> = match actor.user_id() {
        None => HashSet::new(),
        Some(blocker) => {
            let select = user_block::Entity::find().filter(user_block::Column::BlockerId.eq(blocker));
            let rows = select.filter(user_block::Column::BlockedId.is_in(users.iter().copied()));
            rows.all(ctx.db.read()).await?.into_iter().map(|row| row.blocked_id).collect()
        }
    };
    Ok(users.iter().map(|user| (*user, blocked.contains(user))).collect())
}

/// What an actor does not want to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    /// Tags, in lower case.
    pub tags: Vec<String>,
    /// People.
    pub people: Vec<Uuid>,
}

impl Blocked {
    /// Whether a LoRA is among it.
    pub fn covers(&self, lora: &lora::Model) -> bool {
        self.people.contains(&lora.created_by)
            || words(&lora.tags).iter().any(|tag| self.tags.contains(&tag.to_lowercase()))
    }
}

/// What the actor does not want to see, in one statement; nothing, where nobody is signed in.
///
/// # Errors
/// What the database says.
pub async fn of(ctx: &Context, actor: &Actor) -> Result<Blocked, DbErr> {
    let Some(person) = actor.user_id() else { return Ok(Blocked::default()) };
    let nothing = || Expr::cust("NULL");
    let people = Query::select()
        .expr(nothing())
        .column(user_block::Column::BlockedId)
        .from(user_block::Entity)
        .and_where(Expr::col(user_block::Column::BlockerId).eq(person))
        .take();
    let both = Query::select()
        .column(tag_block::Column::Tag)
        .expr(nothing())
        .from(tag_block::Entity)
        .and_where(Expr::col(tag_block::Column::UserId).eq(person))
        .union(UnionType::All, people)
        .take();
    let mut blocked = Blocked::default();
    for row in ctx.db.read().query_all(&both).await? {
        blocked.tags.extend(row.try_get_by_index::<Option<String>>(0)?);
        blocked.people.extend(row.try_get_by_index::<Option<Uuid>>(1)?);
    }
    Ok(blocked)
}

/// Whether one person blocks another.
pub(crate) async fn stands_between<C: ConnectionTrait>(db: &C, blocker: Uuid, blocked: Uuid) -> Result<bool, DbErr> {
    let row = user_block::Entity::find()
        .filter(user_block::Column::BlockerId.eq(blocker))
        .filter(user_block::Column::BlockedId.eq(blocked))
        .one(db)
        .await?;
    Ok(row.is_some())
}

/// Leaves out of a list what was written by people whom the actor blocks.
pub(crate) fn without_blocked<E: EntityTrait>(select: Select<E>, actor: &Actor, author: E::Column) -> Select<E> {
    let Some(person) = actor.user_id() else { return select };
    let blocked = user_block::Entity::find()
        .select_only()
        .column(user_block::Column::BlockedId)
        .filter(user_block::Column::BlockerId.eq(person));
    select.filter(author.not_in_subquery(blocked.into_query()))
}

//! Comments on LoRAs, in threads. A deleted comment leaves its place, so that the answers below it stay; a thread can be
//! resolved, and taken up again.

use std::collections::{HashMap, HashSet};

use atelier_entities::{comment, kinds::EventKind, lora};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::mention;
use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{ReadError, Refused},
    failures,
    idempotency::{self, KeyError},
    lora as loras, nested, outbox,
    page::{self, Direction, Page, PageRequest},
    policy::{Action, CommentOn, Resource as _, authorize},
    social::block,
    text,
    widen::widen,
};

const LONGEST: usize = 5_000;

/// A comment to be written.
#[derive(Clone, Debug, Serialize)]
pub struct NewComment {
    /// The LoRA.
    pub lora: Uuid,
    /// The comment that it answers.
    pub parent: Option<Uuid>,
    /// The text, 1 to 5,000 characters.
    pub body: String,
}

failures! {
    /// Why [`add`] refused.
    pub enum AddCommentError {
        /// There is nothing to answer.
        NoParent => ("parentId", "NO_PARENT", "The comment to answer is not there, or is another LoRA's. Leave `parentId` out to begin a thread."),
        /// The LoRA's maker, or whom they answer, has blocked them.
        NotOpen => ("", "NOT_OPEN_TO_YOU", "You cannot comment here. Everything else about this LoRA stays open to you."),
        /// What it answers is gone.
        ParentDeleted => ("parentId", "PARENT_DELETED", "The comment to answer was deleted. Leave `parentId` out to begin a thread."),
        /// It calls a crowd.
        TooManyMentions { count: usize, most: usize } =>
            ("body", "TOO_MANY_MENTIONS", "`body` mentions {count} people; a comment mentions at most {most}. Mention fewer."),
    }
}

failures! {
    /// Why [`edit`] refused.
    pub enum EditCommentError {
        /// It is gone.
        Deleted => ("id", "COMMENT_DELETED", "This comment was deleted. Write a new one."),
        /// It calls a crowd.
        TooManyMentions { count: usize, most: usize } =>
            ("body", "TOO_MANY_MENTIONS", "`body` mentions {count} people; a comment mentions at most {most}. Mention fewer."),
    }
}

failures! {
    /// Why [`delete`] refused.
    pub enum DeleteCommentError {
        /// It is gone.
        Deleted => ("id", "COMMENT_DELETED", "This comment was deleted already; there is nothing to do."),
    }
}

failures! {
    /// Why [`resolve`] refused.
    pub enum ResolveCommentError {
        /// It is an answer.
        NoThread => ("id", "NO_THREAD", "This comment is an answer. Name the comment that begins the thread."),
        /// It is done.
        Resolved => ("id", "ALREADY_RESOLVED", "This thread is resolved already; there is nothing to do."),
    }
}

failures! {
    /// Why [`reopen`] refused.
    pub enum ReopenCommentError {
        /// It is an answer.
        NoThread => ("id", "NO_THREAD", "This comment is an answer. Name the comment that begins the thread."),
        /// It is open.
        Open => ("id", "NOT_RESOLVED", "This thread is not resolved; there is nothing to take up again."),
    }
}

widen!(KeyError, ReadError => AddCommentError);
widen!(ReadError => ResolveCommentError);
widen!(ReadError => ReopenCommentError);
widen!(ReadError => EditCommentError);
widen!(ReadError => DeleteCommentError);

/// Writes a comment.
///
/// # Errors
/// [`AddCommentError`]; an [`crate::error::Invalid`] for a text that is missing or too long.
pub async fn add(
    ctx: &Context,
    actor: &Actor,
    new: NewComment,
    key: Option<&str>,
) -> Result<comment::Model, AddCommentError> {
    let person = actor.person()?;
    let body = text::check("body", &new.body, 1, LONGEST)?;
    let tx = ctx.db.write().await?;
    let lora = lora::Entity::find_by_id(new.lora).one(&tx).await?.ok_or(Refused::NotFound(lora::Model::NAME))?;
    let permit = authorize(actor, Action::LoraComment, &lora)?;
    let once = idempotency::begin(&tx, ctx, person.id, key, "addComment", &new).await?;
    if let Some(id) = once.earlier() {
        let earlier = comment::Entity::find_by_id(id).one(&tx).await?;
        return Ok(earlier.ok_or(Refused::NotFound(CommentOn::NAME))?);
    }
    if block::stands_between(&tx, lora.created_by, person.id).await? {
        return Err(AddCommentError::NotOpen);
    }
    if let Some(parent) = new.parent {
        let parent = comment::Entity::find_by_id(parent).one(&tx).await?.filter(|parent| parent.lora_id == lora.id);
        let parent = parent.ok_or(AddCommentError::NoParent)?;
        if parent.deleted_at.is_some() {
            return Err(AddCommentError::ParentDeleted);
        }
        if block::stands_between(&tx, parent.user_id, person.id).await? {
            return Err(AddCommentError::NotOpen);
        }
    }
    let mentioned = mention::people(&tx, &body).await?;
    if mentioned.len() > mention::MOST {
        return Err(AddCommentError::TooManyMentions { count: mentioned.len(), most: mention::MOST });
    }
    let row = comment::ActiveModel {
        id: Set(ctx.new_id()),
        lora_id: Set(lora.id),
        parent_id: Set(new.parent),
        user_id: Set(person.id),
        body: Set(body),
        created_at: Set(ctx.now()),
        edited_at: Set(None),
        resolved_at: Set(None),
        resolved_by: Set(None),
        deleted_at: Set(None),
        hidden_at: Set(None),
    };
    let row = row.insert(&tx).await?;
    let mentioned = mention::store(&tx, ctx, row.id, &mentioned).await?;
    audit::record(&tx, ctx, &permit, Some(lora.id), json!({ "do": "add", "comment": row.id })).await?;
    once.remember(&tx, ctx, row.id).await?;
    let event = outbox::Event {
        kind: EventKind::CommentAdded,
        team: Some(lora.team_id),
        actor: Some(person.id),
        subject: row.id,
        payload: json!({ "lora": lora.id, "mentioned": mentioned }),
    };
    outbox::append(&tx, ctx, event).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Changes a comment's text. Whom it mentions from now on is told; whom it mentioned before is not told again.
///
/// # Errors
/// [`EditCommentError`]; an [`crate::error::Invalid`] for a text that is missing or too long.
pub async fn edit(ctx: &Context, actor: &Actor, id: Uuid, body: &str) -> Result<comment::Model, EditCommentError> {
    let body = text::check("body", body, 1, LONGEST)?;
    let tx = ctx.db.write().await?;
    let (row, lora) = locked(&tx, id).await?;
    let permit = authorize(actor, Action::CommentChange, &CommentOn { comment: &row, lora: &lora })?;
    if row.deleted_at.is_some() {
        return Err(EditCommentError::Deleted);
    }
    let mentioned = mention::people(&tx, &body).await?;
    if mentioned.len() > mention::MOST {
        return Err(EditCommentError::TooManyMentions { count: mentioned.len(), most: mention::MOST });
    }
    let mentioned = mention::store(&tx, ctx, id, &mentioned).await?;
    let mut row = row.into_active_model();
    row.body = Set(body);
    row.edited_at = Set(Some(ctx.now()));
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "edit" })).await?;
    let event = outbox::Event {
        kind: EventKind::CommentEdited,
        team: Some(lora.team_id),
        actor: Some(row.user_id),
        subject: row.id,
        payload: json!({ "lora": lora.id, "mentioned": mentioned }),
    };
    outbox::append(&tx, ctx, event).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Deletes a comment: its text is gone, its place and the answers stay.
///
/// # Errors
/// [`DeleteCommentError::Deleted`].
pub async fn delete(ctx: &Context, actor: &Actor, id: Uuid) -> Result<comment::Model, DeleteCommentError> {
    let tx = ctx.db.write().await?;
    let (row, lora) = locked(&tx, id).await?;
    let permit = authorize(actor, Action::CommentDelete, &CommentOn { comment: &row, lora: &lora })?;
    if row.deleted_at.is_some() {
        return Err(DeleteCommentError::Deleted);
    }
    let author = row.user_id;
    mention::store(&tx, ctx, id, &[]).await?;
    let mut row = row.into_active_model();
    row.body = Set(String::new());
    row.deleted_at = Set(Some(ctx.now()));
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "delete", "author": author })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Resolves a thread: what it asked for is done. Answers can still be written.
///
/// # Errors
/// [`ResolveCommentError`].
pub async fn resolve(ctx: &Context, actor: &Actor, id: Uuid) -> Result<comment::Model, ResolveCommentError> {
    let tx = ctx.db.write().await?;
    let (row, lora) = locked(&tx, id).await?;
    let permit = authorize(actor, Action::CommentResolve, &CommentOn { comment: &row, lora: &lora })?;
    if row.parent_id.is_some() {
        return Err(ResolveCommentError::NoThread);
    }
    if row.resolved_at.is_some() {
        return Err(ResolveCommentError::Resolved);
    }
    let mut row = row.into_active_model();
    row.resolved_at = Set(Some(ctx.now()));
    row.resolved_by = Set(permit.user());
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "resolve" })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Takes a resolved thread up again.
///
/// # Errors
/// [`ReopenCommentError`].
pub async fn reopen(ctx: &Context, actor: &Actor, id: Uuid) -> Result<comment::Model, ReopenCommentError> {
    let tx = ctx.db.write().await?;
    let (row, lora) = locked(&tx, id).await?;
    let permit = authorize(actor, Action::CommentResolve, &CommentOn { comment: &row, lora: &lora })?;
    if row.parent_id.is_some() {
        return Err(ReopenCommentError::NoThread);
    }
    if row.resolved_at.is_none() {
        return Err(ReopenCommentError::Open);
    }
    let mut row = row.into_active_model();
    row.resolved_at = Set(None);
    row.resolved_by = Set(None);
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "reopen" })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

async fn locked(tx: &DatabaseTransaction, id: Uuid) -> Result<(comment::Model, lora::Model), ReadError> {
    let missing = || Refused::NotFound(CommentOn::NAME);
    let row = comment::Entity::find_by_id(id).lock_exclusive().one(tx).await?.ok_or_else(missing)?;
    let lora = lora::Entity::find_by_id(row.lora_id).one(tx).await?.ok_or_else(missing)?;
    Ok((row, lora))
}

/// A comment on a LoRA that the actor may see.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<comment::Model, ReadError> {
    let found = by_ids(ctx, actor, &[id]).await?.remove(&id);
    Ok(found.ok_or(Refused::NotFound(CommentOn::NAME))?)
}

/// Comments by key, for loaders; those on LoRAs that the actor may not see are left out.
///
/// # Errors
/// What the database says.
pub async fn by_ids(ctx: &Context, actor: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, comment::Model>, ReadError> {
    let rows =
        comment::Entity::find().filter(comment::Column::Id.is_in(ids.iter().copied())).all(ctx.db.read()).await?;
    let on: HashSet<Uuid> = rows.iter().map(|row| row.lora_id).collect();
    let seen = loras::by_ids(ctx, actor, &on.into_iter().collect::<Vec<_>>()).await?;
    Ok(rows.into_iter().filter(|row| seen.contains_key(&row.lora_id)).map(|row| (row.id, row)).collect())
}

/// The comments that begin a thread on a LoRA that the actor may see, newest first: all, those of resolved threads, or those
/// of open ones.
///
/// # Errors
/// [`Refused::NotFound`]; a cursor that cannot be read.
pub async fn threads(
    ctx: &Context,
    actor: &Actor,
    lora: Uuid,
    resolved: Option<bool>,
    request: &PageRequest,
) -> Result<Page<comment::Model>, ReadError> {
    let lora = loras::get(ctx, actor, lora).await?;
    let select =
        comment::Entity::find().filter(comment::Column::LoraId.eq(lora.id)).filter(comment::Column::ParentId.is_null());
    let select = block::without_blocked(select, actor, comment::Column::UserId);
    let select = match resolved {
        Some(true) => select.filter(comment::Column::ResolvedAt.is_not_null()),
        Some(false) => select.filter(comment::Column::ResolvedAt.is_null()),
        None => select,
    };
    let column = comment::Column::Id;
    Ok(page::by_id(select, column, |row| row.id, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// The answers to several comments, oldest first, without those of people whom the actor blocks.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn reply_pages(
    ctx: &Context,
    actor: &Actor,
    parents: &[Uuid],
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<comment::Model>>, ReadError> {
    let seen: Vec<Uuid> = by_ids(ctx, actor, parents).await?.into_keys().collect();
    let columns = (comment::Column::ParentId, comment::Column::Id);
    let keys = |row: &comment::Model| (row.parent_id.unwrap_or_default(), row.id);
    let select = block::without_blocked(comment::Entity::find(), actor, comment::Column::UserId);
    Ok(nested::pages(select, columns, keys, &seen, request, Direction::OldestFirst, ctx.db.read()).await?)
}

/// How many answers several comments have, without those of people whom the actor blocks.
///
/// # Errors
/// What the database says.
pub async fn reply_counts(ctx: &Context, actor: &Actor, parents: &[Uuid]) -> Result<HashMap<Uuid, i64>, ReadError> {
    let rows: Vec<(Uuid, i64)> = block::without_blocked(comment::Entity::find(), actor, comment::Column::UserId)
        .select_only()
        .column(comment::Column::ParentId)
        .column_as(comment::Column::Id.count(), "number")
        .filter(comment::Column::ParentId.is_in(parents.iter().copied()))
        .group_by(comment::Column::ParentId)
        .into_tuple()
        .all(ctx.db.read())
        .await?;
    Ok(rows.into_iter().collect())
}

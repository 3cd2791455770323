//! Collections: named lists of LoRAs that a person or a team keeps, for itself or for everybody.

use std::collections::HashMap;

use atelier_entities::{collection, scope::Scoped, team};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QuerySelect,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    audit,
    context::Context,
    database,
    error::{ReadError, Refused},
    failures,
    idempotency::{self, KeyError},
    nested,
    page::{self, Direction, Page, PageRequest},
    policy::{Action, Resource as _, authorize},
    text,
    widen::widen,
};

/// How many collections a team may have.
const MOST: u64 = 500;

const LONGEST_NAME: usize = 120;
const LONGEST_DESCRIPTION: usize = 2_000;

/// A collection to be made.
#[derive(Clone, Debug, Serialize)]
pub struct NewCollection {
    /// The team that keeps it; the person's own team without one.
    pub team: Option<Uuid>,
    /// Its name, 1 to 120 characters.
    pub name: String,
    /// What it is for, at most 2,000 characters.
    pub description: String,
    /// Whether everybody sees it.
    pub is_public: bool,
}

/// What changes in a collection; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct UpdateCollection {
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether everybody sees it.
    pub is_public: Option<bool>,
}

failures! {
    /// Why [`create`] refused.
    pub enum CreateCollectionError {
        /// Nobody finds anything in so many.
        TooMany { most: u64 } => ("teamId", "TOO_MANY", "This team has {most} collections, as many as it may. Delete some first."),
    }
}

failures! {
    /// Why [`update`] refused.
    pub enum UpdateCollectionError {}
}

failures! {
    /// Why [`delete`] refused.
    pub enum DeleteCollectionError {}
}

widen!(KeyError, ReadError => CreateCollectionError);

/// Makes a collection.
///
/// # Errors
/// [`CreateCollectionError::TooMany`]; an [`crate::error::Invalid`] for texts that are missing or too long.
pub async fn create(
    ctx: &Context,
    actor: &Actor,
    new: NewCollection,
    key: Option<&str>,
) -> Result<collection::Model, CreateCollectionError> {
    let person = actor.person()?;
    let name = text::check("name", &new.name, 1, LONGEST_NAME)?;
    let description = text::check("description", &new.description, 0, LONGEST_DESCRIPTION)?;
    let tx = ctx.db.write().await?;
    let team = new.team.unwrap_or(person.personal_team);
    let team = team::Entity::find_by_id(team).one(&tx).await?.ok_or(Refused::NotFound(team::Model::NAME))?;
    let permit = authorize(actor, Action::CollectionWrite, &team)?;
    let once = idempotency::begin(&tx, ctx, person.id, key, "createCollection", &new).await?;
    if let Some(id) = once.earlier() {
        drop(tx);
        return Ok(get(ctx, actor, id).await?);
    }
    database::serialize(&tx, &format!("collections:{}", team.id)).await?;
    if collection::Entity::find().filter(collection::Column::TeamId.eq(team.id)).count(&tx).await? >= MOST {
        return Err(CreateCollectionError::TooMany { most: MOST });
    }
    let row = collection::ActiveModel {
        id: Set(ctx.new_id()),
        team_id: Set(team.id),
        created_by: Set(person.id),
        name: Set(name),
        description: Set(description),
        is_public: Set(new.is_public),
        created_at: Set(ctx.now()),
        updated_at: Set(ctx.now()),
        hidden_at: Set(None),
    };
    let row = row.insert(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(row.id), json!({ "do": "create", "name": row.name })).await?;
    once.remember(&tx, ctx, row.id).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Renames a collection, describes it, shows it to everybody or to its team alone.
///
/// # Errors
/// An [`crate::error::Invalid`] for texts that are missing or too long.
pub async fn update(
    ctx: &Context,
    actor: &Actor,
    id: Uuid,
    change: UpdateCollection,
) -> Result<collection::Model, UpdateCollectionError> {
    let name = change.name.map(|name| text::check("name", &name, 1, LONGEST_NAME)).transpose()?;
    let description = change.description.map(|text| text::check("description", &text, 0, LONGEST_DESCRIPTION));
    let description = description.transpose()?;
    let tx = ctx.db.write().await?;
    let row = locked(&tx, id).await?.ok_or(Refused::NotFound(collection::Model::NAME))?;
    let permit = authorize(actor, Action::CollectionWrite, &row)?;
    let mut row = row.into_active_model();
    if let Some(name) = name {
        row.name = Set(name);
    }
    if let Some(description) = description {
        row.description = Set(description);
    }
    if let Some(is_public) = change.is_public {
        row.is_public = Set(is_public);
    }
    row.updated_at = Set(ctx.now());
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "update", "isPublic": row.is_public })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Deletes a collection; the LoRAs in it stay what they are.
///
/// # Errors
/// [`Refused`].
pub async fn delete(ctx: &Context, actor: &Actor, id: Uuid) -> Result<collection::Model, DeleteCollectionError> {
    let tx = ctx.db.write().await?;
    let row = locked(&tx, id).await?.ok_or(Refused::NotFound(collection::Model::NAME))?;
    let permit = authorize(actor, Action::CollectionWrite, &row)?;
    collection::Entity::delete_by_id(id).exec(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "delete", "name": row.name })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// A collection, locked: what changes in it changes one after the other.
pub(super) async fn locked<C: ConnectionTrait>(tx: &C, id: Uuid) -> Result<Option<collection::Model>, DbErr> {
    collection::Entity::find_by_id(id).lock_exclusive().one(tx).await
}

/// A collection that the actor may see.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<collection::Model, ReadError> {
    let row = collection::Entity::find_by_id(id).one(ctx.db.read()).await?;
    let row = row.ok_or(Refused::NotFound(collection::Model::NAME))?;
    authorize(actor, Action::CollectionRead, &row)?;
    Ok(row)
}

/// Collections by key, for loaders; those that the actor may not see are left out.
///
/// # Errors
/// What the database says.
pub async fn by_ids(ctx: &Context, actor: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, collection::Model>, ReadError> {
    let select = collection::Entity::visible_to(&actor.scope());
    let rows = select.filter(collection::Column::Id.is_in(ids.iter().copied())).all(ctx.db.read()).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The collections that the actor may see, newest first: of a team, or of all the actor's teams.
///
/// # Errors
/// [`Refused::Unauthenticated`] where nobody is signed in and no team is named; a cursor that cannot be read.
pub async fn list(
    ctx: &Context,
    actor: &Actor,
    team: Option<Uuid>,
    request: &PageRequest,
) -> Result<Page<collection::Model>, ReadError> {
    let teams = match team {
        Some(team) => vec![team],
        None => actor.person()?.memberships.iter().map(|(team, _)| *team).collect(),
    };
    let select = collection::Entity::visible_to(&actor.scope()).filter(collection::Column::TeamId.is_in(teams));
    let column = collection::Column::Id;
    Ok(page::by_id(select, column, |row| row.id, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// The collections that several people made, as far as the actor may see them, newest first.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn pages(
    ctx: &Context,
    actor: &Actor,
    users: &[Uuid],
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<collection::Model>>, ReadError> {
    let columns = (collection::Column::CreatedBy, collection::Column::Id);
    let keys = |row: &collection::Model| (row.created_by, row.id);
    let select = collection::Entity::visible_to(&actor.scope());
    Ok(nested::pages(select, columns, keys, users, request, Direction::NewestFirst, ctx.db.read()).await?)
}

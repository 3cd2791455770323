//! Data sets: pictures with captions, from which LoRAs are trained.

pub mod lint;
pub mod pictures;

use std::collections::HashMap;

use atelier_entities::{dataset, scope::Scoped, team};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{ReadError, Refused},
    failures,
    idempotency::{self, KeyError},
    page::{self, Direction, Page, PageRequest},
    policy::{Action, Resource, authorize},
    text,
    widen::widen,
};

/// The most pictures that a data set holds.
pub const MOST_PICTURES: u64 = 500;

const LONGEST_NAME: usize = 120;
const LONGEST_DESCRIPTION: usize = 2_000;

/// A data set to be made.
#[derive(Clone, Debug, Serialize)]
pub struct NewDataset {
    /// The team that owns it; the person's own team without one.
    pub team: Option<Uuid>,
    /// Its name, 1 to 120 characters.
    pub name: String,
    /// What it shows, at most 2,000 characters.
    pub description: String,
}

failures! {
    /// Why a change of a data set was refused.
    pub enum DatasetError {}
}

widen!(KeyError => DatasetError);

/// Makes an empty data set.
///
/// # Errors
/// [`Invalid`](crate::error::Invalid) for texts that are missing or too long.
pub async fn create(
    ctx: &Context,
    actor: &Actor,
    new: NewDataset,
    key: Option<&str>,
) -> Result<dataset::Model, DatasetError> {
    let person = actor.person()?;
    let name = text::check("name", &new.name, 1, LONGEST_NAME)?;
    let description = text::check("description", &new.description, 0, LONGEST_DESCRIPTION)?;
    let tx = ctx.db.write().await?;
    let team = new.team.unwrap_or(person.personal_team);
    let team = team::Entity::find_by_id(team).one(&tx).await?.ok_or(Refused::NotFound(team::Model::NAME))?;
    let permit = authorize(actor, Action::DatasetWrite, &team)?;
    let once = idempotency::begin(&tx, ctx, person.id, key, "createDataset", &new).await?;
    if let Some(id) = once.earlier() {
        drop(tx);
        return Ok(get(ctx, actor, id).await.map_err(anyhow::Error::from)?);
    }
    let row = dataset::ActiveModel {
        id: Set(ctx.new_id()),
        team_id: Set(team.id),
        created_by: Set(person.id),
        name: Set(name),
        description: Set(description),
        created_at: Set(ctx.now()),
        updated_at: Set(ctx.now()),
        deleted_at: Set(None),
    };
    let row = row.insert(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(row.id), json!({ "do": "create", "name": row.name })).await?;
    once.remember(&tx, ctx, row.id).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// A data set of one of the actor's teams.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<dataset::Model, ReadError> {
    find(ctx.db.read(), actor, id).await
}

async fn find<C: ConnectionTrait>(db: &C, actor: &Actor, id: Uuid) -> Result<dataset::Model, ReadError> {
    let missing = Refused::NotFound(dataset::Model::NAME);
    let row = dataset::Entity::find_by_id(id).one(db).await?.ok_or_else(|| missing.clone())?;
    authorize(actor, Action::DatasetRead, &row)?;
    if row.deleted_at.is_some() {
        return Err(missing.into());
    }
    Ok(row)
}

/// The data sets of the actor's teams, newest first.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn list(
    ctx: &Context,
    actor: &Actor,
    team: Option<Uuid>,
    request: &PageRequest,
) -> Result<Page<dataset::Model>, ReadError> {
    actor.person()?;
    let mut select = dataset::Entity::visible_to(&actor.scope()).filter(dataset::Column::DeletedAt.is_null());
    if let Some(team) = team {
        select = select.filter(dataset::Column::TeamId.eq(team));
    }
    Ok(page::by_id(select, dataset::Column::Id, |row| row.id, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// Data sets by key, for loaders; those that the actor may not see are left out, tombstones are not.
///
/// # Errors
/// What the database says.
pub async fn by_ids(ctx: &Context, actor: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, dataset::Model>, ReadError> {
    let select = dataset::Entity::visible_to(&actor.scope()).filter(dataset::Column::Id.is_in(ids.iter().copied()));
    Ok(select.all(ctx.db.read()).await?.into_iter().map(|row| (row.id, row)).collect())
}

/// What changes; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct UpdateDataset {
    /// Its name.
    pub name: Option<String>,
    /// What it shows.
    pub description: Option<String>,
}

/// Renames or describes a data set.
///
/// # Errors
/// [`Invalid`](crate::error::Invalid) for texts that are missing or too long.
pub async fn update(
    ctx: &Context,
    actor: &Actor,
    id: Uuid,
    change: UpdateDataset,
) -> Result<dataset::Model, DatasetError> {
    let tx = ctx.db.write().await?;
    let row = locked(&tx, id).await?;
    let permit = authorize(actor, Action::DatasetWrite, &row)?;
    let name = text::check("name", change.name.as_deref().unwrap_or(&row.name), 1, LONGEST_NAME)?;
    let description = change.description.as_deref().unwrap_or(&row.description);
    let description = text::check("description", description, 0, LONGEST_DESCRIPTION)?;
    let mut row = row.into_active_model();
    row.name = Set(name);
    row.description = Set(description);
    row.updated_at = Set(ctx.now());
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "update" })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Deletes a data set. Trainings that used it keep what they need; its row stays as a tombstone.
///
/// # Errors
/// [`Refused`] for who may not.
pub async fn delete(ctx: &Context, actor: &Actor, id: Uuid) -> Result<dataset::Model, DatasetError> {
    let tx = ctx.db.write().await?;
    let row = locked(&tx, id).await?;
    let permit = authorize(actor, Action::DatasetWrite, &row)?;
    let mut row = row.into_active_model();
    row.deleted_at = Set(Some(ctx.now()));
    row.updated_at = Set(ctx.now());
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "delete", "name": row.name })).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

async fn locked<C: ConnectionTrait>(tx: &C, id: Uuid) -> Result<dataset::Model, DatasetError> {
    let row = dataset::Entity::find_by_id(id)
        .filter(dataset::Column::DeletedAt.is_null())
        .lock_exclusive()
        .one(tx)
        .await
        .map_err(|error: DbErr| anyhow::Error::from(error))?;
    Ok(row.ok_or(Refused::NotFound(dataset::Model::NAME))?)
}

//! Pictures that were generated.

use std::collections::HashMap;

use atelier_entities::{asset, kinds::EventKind, scope::Scoped};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{ReadError, Refused},
    failures, outbox,
    page::{self, Direction, Page, PageRequest},
    policy::{Action, Resource as _, authorize},
};

failures! {
    /// Why [`delete_asset`] refused.
    pub enum DeleteAssetError {}
}

/// A picture.
///
/// # Errors
/// [`Refused::NotFound`] for a picture of another team, or one that was deleted.
pub async fn asset(ctx: &Context, actor: &Actor, id: Uuid) -> Result<asset::Model, ReadError> {
    let row = asset::Entity::find_by_id(id).one(ctx.db.read()).await?.filter(|row| row.deleted_at.is_none());
    let row = row.ok_or(Refused::NotFound(asset::Model::NAME))?;
    authorize(actor, Action::AssetRead, &row)?;
    Ok(row)
}

/// Which pictures a list shows.
#[derive(Clone, Debug, Default)]
pub struct AssetFilter {
    /// Of one team.
    pub team: Option<Uuid>,
    /// Of one generation.
    pub generation: Option<Uuid>,
}

/// The pictures of the actor's teams, newest first.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn assets(
    ctx: &Context,
    actor: &Actor,
    filter: &AssetFilter,
    request: &PageRequest,
) -> Result<Page<asset::Model>, ReadError> {
    actor.person()?;
    let mut select = asset::Entity::visible_to(&actor.scope()).filter(asset::Column::DeletedAt.is_null());
    if let Some(team) = filter.team {
        select = select.filter(asset::Column::TeamId.eq(team));
    }
    if let Some(generation) = filter.generation {
        select = select.filter(asset::Column::GenerationId.eq(generation));
    }
    Ok(page::by_id(select, asset::Column::Id, |row| row.id, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// The pictures of generations, in order, for loaders.
///
/// # Errors
/// What the database says.
pub async fn assets_of(
    ctx: &Context,
    actor: &Actor,
    generations: &[Uuid],
) -> Result<HashMap<Uuid, Vec<asset::Model>>, ReadError> {
    let rows = asset::Entity::visible_to(&actor.scope())
        .filter(asset::Column::DeletedAt.is_null())
        .filter(asset::Column::GenerationId.is_in(generations.iter().copied()))
        .order_by_asc(asset::Column::Position)
        .all(ctx.db.read())
        .await?;
    let mut assets: HashMap<Uuid, Vec<asset::Model>> = HashMap::new();
    for row in rows {
        assets.entry(row.generation_id).or_default().push(row);
    }
    Ok(assets)
}

/// Deletes a picture; its recipe and hash stay as a tombstone.
///
/// # Errors
/// [`Refused::NotFound`] for a picture of another team.
pub async fn delete_asset(ctx: &Context, actor: &Actor, id: Uuid) -> Result<asset::Model, DeleteAssetError> {
    let tx = ctx.db.write().await?;
    // Locked: of two who delete it at once, the second finds nothing, and it is told of once.
    let row = asset::Entity::find_by_id(id).lock_exclusive().one(&tx).await?.filter(|row| row.deleted_at.is_none());
    let row = row.ok_or(Refused::NotFound(asset::Model::NAME))?;
    let permit = authorize(actor, Action::AssetDelete, &row)?;
    let mut row = row.into_active_model();
    row.deleted_at = Set(Some(ctx.now()));
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({})).await?;
    let event = outbox::Event {
        kind: EventKind::AssetDeleted,
        team: Some(row.team_id),
        actor: actor.user_id(),
        subject: id,
        payload: json!({}),
    };
    outbox::append(&tx, ctx, event).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

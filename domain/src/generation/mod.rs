//! Generating pictures: asked for by a person, rendered by a worker, kept as assets with their recipe.

mod assets;
mod margins;
pub(crate) mod pictures;
mod reproduce;
mod size_conditioning;
mod start;
mod work;

use std::collections::HashMap;

use atelier_entities::{generation, generation_lora, scope::Scoped};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::{
    actor::Actor,
    context::Context,
    error::{ReadError, Refused},
    page::{self, Direction, Page, PageRequest},
    policy::{Action, Resource as _, authorize},
};

pub use assets::{AssetFilter, DeleteAssetError, asset, assets, assets_of, delete_asset};
pub use margins::Margins;
pub use pictures::pictures_of;
pub use reproduce::{ReproduceAsset, ReproducedPicture, reproduce};
pub use size_conditioning::SizeConditioning;
pub use start::{PictureSource, StartGeneration, StartGenerationError, WantedLora, WantedStart, start};
pub use work::{GenerationWork, RenderedAsset, UsedLora, complete, load};

/// A generation.
///
/// # Errors
/// [`Refused::NotFound`] for a generation of another team.
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<generation::Model, ReadError> {
    let row = generation::Entity::find_by_id(id)
        .one(ctx.db.read())
        .await?
        .ok_or(Refused::NotFound(generation::Model::NAME))?;
    authorize(actor, Action::AssetRead, &row)?;
    Ok(row)
}

/// The generations of the actor's teams, newest first.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn list(
    ctx: &Context,
    actor: &Actor,
    team: Option<Uuid>,
    request: &PageRequest,
) -> Result<Page<generation::Model>, ReadError> {
    actor.person()?;
    let mut select = generation::Entity::visible_to(&actor.scope());
    if let Some(team) = team {
        select = select.filter(generation::Column::TeamId.eq(team));
    }
    Ok(page::by_id(select, generation::Column::Id, |row| row.id, request, Direction::NewestFirst, ctx.db.read())
        .await?)
}

/// Generations by key, for loaders; those that the actor may not see are left out.
///
/// # Errors
/// What the database says.
pub async fn by_ids(ctx: &Context, actor: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, generation::Model>, ReadError> {
    let select =
        generation::Entity::visible_to(&actor.scope()).filter(generation::Column::Id.is_in(ids.iter().copied()));
    Ok(select.all(ctx.db.read()).await?.into_iter().map(|row| (row.id, row)).collect())
}

/// The LoRAs of generations, in order, for loaders. Ask for generations that were loaded for the same actor.
///
/// # Errors
/// What the database says.
pub async fn loras_of(
    ctx: &Context,
    actor: &Actor,
    generations: &[Uuid],
) -> Result<HashMap<Uuid, Vec<generation_lora::Model>>, ReadError> {
    let visible = by_ids(ctx, actor, generations).await?;
    let rows = generation_lora::Entity::find()
        .filter(generation_lora::Column::GenerationId.is_in(visible.into_keys()))
        .order_by_asc(generation_lora::Column::Position)
        .all(ctx.db.read())
        .await?;
    let mut loras: HashMap<Uuid, Vec<generation_lora::Model>> = HashMap::new();
    for row in rows {
        loras.entry(row.generation_id).or_default().push(row);
    }
    Ok(loras)
}

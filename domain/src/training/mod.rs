//! Training a LoRA: started by a person, done by a worker, ended with a version.

mod choose;
mod continued;
pub mod defaults;
mod outcome;
mod start;
mod work;

use std::collections::HashMap;

use atelier_entities::{scope::Scoped, training_epoch as epoch, training_run as run};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::{
    actor::Actor,
    context::Context,
    error::{ReadError, Refused},
    page::{self, Direction, Page, PageRequest},
    policy::{Action, Resource as _, authorize},
};

pub use choose::{ChooseEpochError, choose_epoch};
pub use outcome::{EpochResult, TrainingResult, complete, record_epoch};
pub use start::{StartTraining, StartTrainingError, start};
pub use work::{TrainingPicture, TrainingWork, load};

/// A training run.
///
/// # Errors
/// [`Refused::NotFound`] for a run of another team.
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<run::Model, ReadError> {
    let run = run::Entity::find_by_id(id).one(ctx.db.read()).await?.ok_or(Refused::NotFound(run::Model::NAME))?;
    authorize(actor, Action::TrainingRead, &run)?;
    Ok(run)
}

/// The training runs of the actor's teams, newest first; of one LoRA if it is named.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn list(
    ctx: &Context,
    actor: &Actor,
    lora: Option<Uuid>,
    request: &PageRequest,
) -> Result<Page<run::Model>, ReadError> {
    actor.person()?;
    let mut select = run::Entity::visible_to(&actor.scope());
    if let Some(lora) = lora {
        select = select.filter(run::Column::LoraId.eq(lora));
    }
    Ok(page::by_id(select, run::Column::Id, |row| row.id, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// Runs by key, for loaders; those that the actor may not see are left out.
///
/// # Errors
/// What the database says.
pub async fn by_ids(ctx: &Context, actor: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, run::Model>, ReadError> {
    let select = run::Entity::visible_to(&actor.scope()).filter(run::Column::Id.is_in(ids.iter().copied()));
    Ok(select.all(ctx.db.read()).await?.into_iter().map(|row| (row.id, row)).collect())
}

/// The epochs of runs, in order, for loaders.
///
/// # Errors
/// What the database says.
pub async fn epochs_of(
    ctx: &Context,
    actor: &Actor,
    runs: &[Uuid],
) -> Result<HashMap<Uuid, Vec<epoch::Model>>, ReadError> {
    let rows = epoch::Entity::visible_to(&actor.scope())
        .filter(epoch::Column::TrainingRunId.is_in(runs.iter().copied()))
        .order_by_asc(epoch::Column::Epoch)
        .all(ctx.db.read())
        .await?;
    let mut epochs: HashMap<Uuid, Vec<epoch::Model>> = HashMap::new();
    for row in rows {
        epochs.entry(row.training_run_id).or_default().push(row);
    }
    Ok(epochs)
}

/// An epoch.
///
/// # Errors
/// [`Refused::NotFound`] for an epoch of another team's run.
pub async fn epoch(ctx: &Context, actor: &Actor, id: Uuid) -> Result<epoch::Model, ReadError> {
    let epoch = epoch::Entity::find_by_id(id).one(ctx.db.read()).await?.ok_or(Refused::NotFound(epoch::Model::NAME))?;
    authorize(actor, Action::TrainingRead, &epoch)?;
    Ok(epoch)
}

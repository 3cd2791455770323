//! Which base models are offered: what was taken out comes back, and what is not wanted any more is taken out.

use atelier_entities::{
    base_model, generation, job, kinds::JobState, lora_version as version, preview, training_run as run,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr,
    EntityTrait, IntoActiveModel, ModelTrait, PaginatorTrait, QueryFilter, sea_query::Query,
};
use uuid::Uuid;

use super::missing;
use crate::{context::Context, database::serialize, error::ReadError, failures, lora::measuring};

failures! {
    /// Why [`remove`] refused.
    pub enum RemoveBaseModelError {
        /// It is taken when nobody names another.
        IsDefault { name: String } => ("id", "IS_DEFAULT", "`{name}` is taken when nobody names a base model. Make another the default first."),
    }
}

/// How many rows name a base model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Versions of LoRAs that were made for it.
    pub versions: u64,
    /// Trainings on it.
    pub trainings: u64,
    /// Requests for pictures of it.
    pub generations: u64,
    /// Previews that it drew.
    pub previews: u64,
}

/// How a base model was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Nothing names it: its row is gone.
    Deleted,
    /// Its row stays for the sake of those that name it, and nothing new can be made with it.
    Withdrawn(Uses),
}

/// Offers a base model again that was taken out.
///
/// # Errors
/// [`crate::error::Refused::NotFound`].
pub async fn offer(ctx: &Context, id: Uuid) -> Result<base_model::Model, ReadError> {
    let tx = ctx.db.write().await?;
    let row = base_model::Entity::find_by_id(id).one(&tx).await?.ok_or_else(missing)?;
    let mut row = row.into_active_model();
    row.enabled = Set(true);
    let row = row.update(&tx).await?;
    measuring::wish_in(&tx, ctx, id).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Takes a base model out of the offer. Work that is queued on it is still done.
///
/// # Errors
/// [`RemoveBaseModelError::IsDefault`].
pub async fn remove(ctx: &Context, id: Uuid) -> Result<Removal, RemoveBaseModelError> {
    let tx = ctx.db.write().await?;
    serialize(&tx, "base_model").await?;
    let row = base_model::Entity::find_by_id(id).one(&tx).await?.ok_or_else(missing)?;
    if row.is_default {
        return Err(RemoveBaseModelError::IsDefault { name: row.name });
    }
    let uses = uses(&tx, id).await?;
    let removal = if uses == Uses::default() {
        row.delete(&tx).await?;
        Removal::Deleted
    } else {
        let mut row = row.into_active_model();
        row.enabled = Set(false);
        row.update(&tx).await?;
        Removal::Withdrawn(uses)
    };
    ctx.commit(tx).await?;
    Ok(removal)
}

async fn uses(tx: &DatabaseTransaction, id: Uuid) -> Result<Uses, DbErr> {
    Ok(Uses {
        versions: version::Entity::find().filter(version::Column::BaseModelId.eq(id)).count(tx).await?,
        trainings: run::Entity::find().filter(run::Column::BaseModelId.eq(id)).count(tx).await?,
        generations: generation::Entity::find().filter(generation::Column::BaseModelId.eq(id)).count(tx).await?,
        previews: preview::Entity::find().filter(preview::Column::BaseModelId.eq(id)).count(tx).await?,
    })
}

/// How many jobs wait for or are at work with a base model: they need its files.
///
/// # Errors
/// What the database says.
pub async fn unfinished_jobs(ctx: &Context, id: Uuid) -> Result<u64, ReadError> {
    Ok(count_unfinished_jobs(ctx.db.read(), id).await?)
}

async fn count_unfinished_jobs<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<u64, DbErr> {
    let generations = Query::select()
        .column(generation::Column::Id)
        .from(generation::Entity)
        .and_where(generation::Column::BaseModelId.eq(id))
        .to_owned();
    let trainings =
        Query::select().column(run::Column::Id).from(run::Entity).and_where(run::Column::BaseModelId.eq(id)).to_owned();
    // Previews are asked for by version.
    let versions = Query::select()
        .column(version::Column::Id)
        .from(version::Entity)
        .and_where(version::Column::BaseModelId.eq(id))
        .to_owned();
    let subjects = [generations, trainings, versions].into_iter();
    let of_model = subjects.fold(Condition::any(), |any, ids| any.add(job::Column::SubjectId.in_subquery(ids)));
    job::Entity::find()
        .filter(job::Column::State.is_in([JobState::Queued, JobState::Running]))
        .filter(of_model)
        .count(db)
        .await
}

//! Why a job waits, where it is not only its turn that it waits for.

use std::collections::HashMap;

use atelier_entities::{job, kinds::JobState, scope::Scoped};
use sea_orm::{ColumnTrait, QueryFilter};
use uuid::Uuid;

use super::workers;
use crate::{actor::Actor, base_model, context::Context, error::ReadError};

/// What jobs wait for, in a sentence, for loaders; of a job that any worker will take in its turn there is none.
///
/// # Errors
/// What the database says.
pub async fn reasons(ctx: &Context, actor: &Actor, ids: &[Uuid]) -> Result<HashMap<Uuid, String>, ReadError> {
    let jobs = job::Entity::visible_to(&actor.scope())
        .filter(job::Column::Id.is_in(ids.iter().copied()))
        .filter(job::Column::State.eq(JobState::Queued))
        .filter(job::Column::BaseModelId.is_not_null())
        .all(ctx.db.read())
        .await?;
    if jobs.is_empty() {
        return Ok(HashMap::new());
    }
    let workers = workers::running(ctx).await?;
    let is_served =
        |job: &job::Model, model: Uuid| workers.iter().any(|worker| worker.has(model) && worker.takes(job.kind));
    let unserved = jobs.iter().filter_map(|job| {
        let model = job.base_model_id.filter(|model| !is_served(job, *model))?;
        Some((job.id, model))
    });
    let unserved: Vec<(Uuid, Uuid)> = unserved.collect();
    let models: Vec<Uuid> = unserved.iter().map(|(_, model)| *model).collect();
    let models = base_model::by_ids(ctx, actor, &models).await?;
    let sentence = |(job, model): (Uuid, Uuid)| {
        let title = &models.get(&model)?.title;
        Some((job, format!("No worker that is running has the model {title}. Start one that has its folder.")))
    };
    Ok(unserved.into_iter().filter_map(sentence).collect())
}

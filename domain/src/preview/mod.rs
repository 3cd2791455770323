//! Previews of a LoRA version: rendered by a job after the version came to be, from prompts and seeds that everybody can
//! repeat.

pub mod describe;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use atelier_entities::{
    base_model, dataset_picture as picture, kinds::JobKind, lora, lora_version as version, preview, training_run as run,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    blob,
    context::Context,
    error::{ReadError, Refused},
    jobs::{self, Lease, LeaseError, NewJob, claim},
    lora::versions::{seen_by, with_trigger, words},
    nested::grouped,
    policy::Resource as _,
    ports::blobs::Stored,
};

/// How many previews a version has.
const COUNT: usize = 4;

/// The seed of the first preview; the others count on from it.
const FIRST_SEED: i64 = 1000;

/// What a version without a training shows: prompts that any style can answer.
const PROMPTS: [&str; COUNT] =
    ["a house beside a tree", "a bowl of fruit on a table", "a boat on the sea", "the face of a cat"];

/// Queues the job that renders a version's previews, in the caller's transaction. Previews cost nothing.
///
/// # Errors
/// What the database says.
pub async fn enqueue<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    version: &version::Model,
    created_by: Uuid,
) -> anyhow::Result<()> {
    let job = NewJob {
        team: version.team_id,
        created_by: Some(created_by),
        kind: JobKind::Preview,
        subject: version.id,
        base_model: version.base_model_id,
        payload: json!({}),
        priority: 1,
        max_attempts: 10,
        credits: 0,
    };
    jobs::enqueue(tx, ctx, job).await?;
    Ok(())
}

/// Previews as a worker sees them.
#[derive(Clone, Debug)]
pub struct PreviewWork {
    /// The version.
    pub version: version::Model,
    /// Its LoRA.
    pub lora: lora::Model,
    /// The model to render on.
    pub base_model: base_model::Model,
    /// Strength of the LoRA.
    pub strength: f64,
    /// Prompts and their seeds, in the gallery's order.
    pub pictures: Vec<(String, i64)>,
}

/// Loads what a worker needs to render previews.
///
/// # Errors
/// [`Refused::NotFound`] when something it needs has been removed, or no base model takes the version.
pub async fn load(ctx: &Context, id: Uuid) -> Result<PreviewWork, ReadError> {
    let db = ctx.db.read();
    let version = version::Entity::find_by_id(id).one(db).await?.ok_or(Refused::NotFound("LoRA version"))?;
    let lora = lora::Entity::find_by_id(version.lora_id).one(db).await?.ok_or(Refused::NotFound(lora::Model::NAME))?;
    let base_model = match version.base_model_id {
        Some(id) => base_model::Entity::find_by_id(id).one(db).await?,
        None => None,
    };
    let base_model = base_model.ok_or(Refused::NotFound("base model"))?;
    let trigger = words(&version.trigger_words).into_iter().next();
    let prompts = prompts(ctx, &version).await?;
    let pictures = prompts
        .into_iter()
        .enumerate()
        .map(|(index, prompt)| {
            (with_trigger(trigger.as_deref().unwrap_or_default(), &prompt), FIRST_SEED + index as i64)
        })
        .collect();
    let strength = version.recommended_strength;
    Ok(PreviewWork { version, lora, base_model, strength, pictures })
}

/// The prompts of a version's gallery: those of its training's samples, filled up with general ones.
async fn prompts(ctx: &Context, version: &version::Model) -> Result<Vec<String>, ReadError> {
    let mut prompts = Vec::new();
    if let Some(run) = version.training_run_id {
        let run = run::Entity::find_by_id(run).one(ctx.db.read()).await?;
        prompts = run.map(|run| words(&run.sample_prompts)).unwrap_or_default();
    }
    prompts.truncate(COUNT);
    let general = PROMPTS.iter().skip(prompts.len()).map(|prompt| (*prompt).to_owned());
    prompts.extend(general);
    Ok(prompts)
}

/// A rendered preview. Its files are in the store already.
#[derive(Clone, Debug)]
pub struct RenderedPreview {
    /// The picture as PNG, with its recipe.
    pub picture: Stored,
    /// A thumbnail as WebP.
    pub thumbnail: Stored,
    /// A blurred placeholder.
    pub blurhash: String,
    /// Pixels across.
    pub width: i32,
    /// Pixels down.
    pub height: i32,
    /// Its prompt.
    pub prompt: String,
    /// Its seed.
    pub seed: i64,
    /// How it looks.
    pub look: Vec<f32>,
}

/// How previews were rendered.
#[derive(Clone, Copy, Debug)]
pub struct PreviewSettings {
    /// The model.
    pub base_model: Uuid,
    /// Strength of the LoRA.
    pub strength: f64,
    /// Steps.
    pub steps: i32,
    /// Guidance scale.
    pub guidance: f64,
}

/// Ends a preview job: its pictures take the place of earlier ones. A picture of the same prompt and seed is the same preview
/// rendered again: it keeps its id, and one that the moderators hide stays hidden.
///
/// # Errors
/// [`LeaseError::Lost`] when the lease has run out: nothing was written.
pub async fn complete(
    ctx: &Context,
    lease: Lease,
    settings: PreviewSettings,
    pictures: Vec<RenderedPreview>,
) -> Result<(), LeaseError> {
    let tx = ctx.db.write().await?;
    let job = claim::succeed(&tx, ctx, lease).await?;
    let earlier = preview::Entity::find().filter(preview::Column::LoraVersionId.eq(job.subject_id)).all(&tx).await?;
    let mut earlier: HashMap<(String, i64), preview::Model> =
        earlier.into_iter().map(|row| ((row.prompt.clone(), row.seed), row)).collect();
    preview::Entity::delete_many().filter(preview::Column::LoraVersionId.eq(job.subject_id)).exec(&tx).await?;
    for (position, picture) in pictures.into_iter().enumerate() {
        blob::record(&tx, ctx, &picture.picture).await?;
        blob::record(&tx, ctx, &picture.thumbnail).await?;
        let before = earlier.remove(&(picture.prompt.clone(), picture.seed));
        let row = preview::ActiveModel {
            id: Set(before.as_ref().map_or_else(|| ctx.new_id(), |row| row.id)),
            lora_version_id: Set(job.subject_id),
            team_id: Set(job.team_id),
            blob_sha256: Set(picture.picture.sha256),
            thumbnail_sha256: Set(picture.thumbnail.sha256),
            blurhash: Set(picture.blurhash),
            width: Set(picture.width),
            height: Set(picture.height),
            prompt: Set(picture.prompt),
            seed: Set(picture.seed),
            strength: Set(settings.strength),
            steps: Set(settings.steps),
            guidance: Set(settings.guidance),
            base_model_id: Set(settings.base_model),
            look: Set(Some(bytes_of_look(&picture.look))),
            describer: Set(Some(ctx.inspector.describer().to_owned())),
            position: Set(i32::try_from(position).unwrap_or(i32::MAX)),
            created_at: Set(ctx.now()),
            hidden_at: Set(before.and_then(|row| row.hidden_at)),
        };
        row.insert(&tx).await?;
    }
    Ok(ctx.commit(tx).await?)
}

fn bytes_of_look(look: &[f32]) -> Vec<u8> {
    look.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// How a preview looks, if the describer of this installation said so.
pub fn look(ctx: &Context, preview: &preview::Model) -> Option<Vec<f32>> {
    let look = preview.look.as_ref().filter(|_| preview.describer.as_deref() == Some(ctx.inspector.describer()))?;
    let (values, _) = look.as_chunks::<4>();
    Some(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// The previews of versions, in the gallery's order, for loaders. Whoever sees a version sees its previews, except those
/// that the moderators hide from everybody but its team: ask for versions that were loaded for the same actor.
///
/// # Errors
/// What the database says.
pub async fn of_versions(
    ctx: &Context,
    actor: &Actor,
    versions: &[Uuid],
) -> Result<HashMap<Uuid, Vec<preview::Model>>, ReadError> {
    let rows = preview::Entity::find()
        .filter(preview::Column::LoraVersionId.is_in(versions.iter().copied()))
        .filter(seen_by(actor, preview::Column::LoraVersionId))
        .order_by_asc(preview::Column::Position)
        .all(ctx.db.read())
        .await?;
    Ok(grouped(rows.into_iter().filter(|row| sees(actor, row)), |row| row.lora_version_id))
}

/// A preview of a version that the actor may see.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<preview::Model, ReadError> {
    let missing = Refused::NotFound("preview");
    let row = preview::Entity::find_by_id(id).one(ctx.db.read()).await?.ok_or_else(|| missing.clone())?;
    let visible = crate::lora::versions::by_ids(ctx, actor, &[row.lora_version_id]).await?;
    if visible.is_empty() || !sees(actor, &row) { Err(missing.into()) } else { Ok(row) }
}

/// Whether the actor sees a preview of a version that they see.
fn sees(actor: &Actor, preview: &preview::Model) -> bool {
    preview.hidden_at.is_none() || actor.role_in(preview.team_id).is_some()
}

/// The captions under which a version was trained, for search: what its pictures show.
///
/// # Errors
/// What the database says.
pub async fn captions<C: ConnectionTrait>(db: &C, run: Uuid, most: u64) -> Result<Vec<String>, sea_orm::DbErr> {
    let Some(run) = run::Entity::find_by_id(run).one(db).await? else { return Ok(Vec::new()) };
    let rows = picture::Entity::find()
        .filter(picture::Column::DatasetId.eq(run.dataset_id))
        .order_by_asc(picture::Column::Id)
        .limit(most)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| row.caption).collect())
}

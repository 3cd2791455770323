//! What a LoRA does to each base model that could take it, measured by a job after it was published: how strong its effect is,
//! how much of the prompts it leaves, and which strengths are safe.

use std::collections::{HashMap, HashSet};

use atelier_entities::{
    base_model, compatibility, job,
    kinds::{JobKind, JobState},
    lora_version as version,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, prelude::Json,
};
use serde_json::json;
use uuid::Uuid;

use super::versions::{self, seen_by, words};
use crate::{
    actor::Actor,
    base_model as base_models, blob,
    context::Context,
    error::{ReadError, Refused},
    jobs::{self, Lease, LeaseError, NewJob, claim},
    nested::grouped,
    ports::blobs::Stored,
};

/// Queues a measurement on each base model that is offered to a version's team, could take the version, and neither was measured
/// nor waits for it yet; in the caller's transaction. Measurements cost nothing, and wait until nobody has anything else to do.
///
/// # Errors
/// What the database says.
pub async fn enqueue<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    version: &version::Model,
    created_by: Uuid,
) -> anyhow::Result<()> {
    if !ctx.settings.measures_compatibility {
        return Ok(());
    }
    let known = known(tx, &[version.id]).await?;
    for model in base_models::offered(tx, version.team_id).await? {
        if !known.contains(&(version.id, model.id)) {
            enqueue_on(tx, ctx, version, &model, Some(created_by)).await?;
        }
    }
    Ok(())
}

/// Queues a measurement of a version on a base model, if that could take it.
pub(super) async fn enqueue_on<C: ConnectionTrait>(
    tx: &C,
    ctx: &Context,
    version: &version::Model,
    model: &base_model::Model,
    created_by: Option<Uuid>,
) -> anyhow::Result<()> {
    if ctx.inspector.fits(&versions::facts(version), &base_models::facts(model)).is_err() {
        return Ok(());
    }
    let job = NewJob {
        team: version.team_id,
        created_by,
        kind: JobKind::Compare,
        subject: version.id,
        base_model: Some(model.id),
        payload: json!({}),
        priority: 0,
        max_attempts: 3,
        credits: 0,
    };
    jobs::enqueue(tx, ctx, job).await?;
    Ok(())
}

/// Versions and base models on which they were measured, or wait for it.
pub(super) async fn known<C: ConnectionTrait>(db: &C, versions: &[Uuid]) -> Result<HashSet<(Uuid, Uuid)>, DbErr> {
    let measured: Vec<(Uuid, Uuid)> = compatibility::Entity::find()
        .select_only()
        .columns([compatibility::Column::LoraVersionId, compatibility::Column::BaseModelId])
        .filter(compatibility::Column::LoraVersionId.is_in(versions.iter().copied()))
        .into_tuple()
        .all(db)
        .await?;
    let waiting: Vec<(Uuid, Uuid)> = job::Entity::find()
        .select_only()
        .columns([job::Column::SubjectId, job::Column::BaseModelId])
        .filter(job::Column::SubjectId.is_in(versions.iter().copied()))
        .filter(job::Column::Kind.eq(JobKind::Compare))
        .filter(job::Column::BaseModelId.is_not_null())
        .filter(job::Column::State.is_in([JobState::Queued, JobState::Running]))
        .into_tuple()
        .all(db)
        .await?;
    Ok(measured.into_iter().chain(waiting).collect())
}

/// A measurement as a worker sees it.
#[derive(Clone, Debug)]
pub struct ComparisonWork {
    /// The version.
    pub version: version::Model,
    /// The base model.
    pub base_model: base_model::Model,
    /// The word that calls its style up; empty without one.
    pub trigger: String,
}

/// Loads what a worker needs to measure.
///
/// # Errors
/// [`Refused::NotFound`] when something it needs has been removed.
pub async fn load(ctx: &Context, job: &job::Model) -> Result<ComparisonWork, ReadError> {
    let db = ctx.db.read();
    let version = version::Entity::find_by_id(job.subject_id).one(db).await?;
    let version = version.ok_or(Refused::NotFound("LoRA version"))?;
    let base_model = match job.base_model_id {
        Some(id) => base_model::Entity::find_by_id(id).one(db).await?,
        None => None,
    };
    let base_model = base_model.ok_or(Refused::NotFound("base model"))?;
    let trigger = words(&version.trigger_words).into_iter().next().unwrap_or_default();
    Ok(ComparisonWork { version, base_model, trigger })
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Share of the file's keys that were understood, 0 to 1.
    pub matched_share: f64,
    /// Whether CLIP measured how much of the prompts is kept.
    pub by_clip: bool,
    /// What was found at each strength: a list of objects with `strength`, `effect`, `retention` and `lost`.
    pub strengths: Json,
    /// The lowest and the highest safe strength.
    pub safe_range: Option<(f64, f64)>,
    /// The pictures, as one PNG.
    pub sheet: Option<Stored>,
}

/// Ends a measurement: what was found takes the place of what was found before.
///
/// # Errors
/// [`LeaseError::Lost`] when the lease has run out: nothing was written.
pub async fn complete(ctx: &Context, lease: Lease, measured: Measured) -> Result<(), LeaseError> {
    let tx = ctx.db.write().await?;
    let job = claim::succeed(&tx, ctx, lease).await?;
    let missing = || anyhow::Error::from(Refused::NotFound("base model"));
    let base_model = job.base_model_id.ok_or_else(missing)?;
    if let Some(sheet) = &measured.sheet {
        blob::record(&tx, ctx, sheet).await?;
    }
    compatibility::Entity::delete_many()
        .filter(compatibility::Column::LoraVersionId.eq(job.subject_id))
        .filter(compatibility::Column::BaseModelId.eq(base_model))
        .exec(&tx)
        .await?;
    let row = compatibility::ActiveModel {
        id: Set(ctx.new_id()),
        lora_version_id: Set(job.subject_id),
        base_model_id: Set(base_model),
        matched_share: Set(measured.matched_share),
        by_clip: Set(measured.by_clip),
        strengths: Set(measured.strengths),
        safe_low: Set(measured.safe_range.map(|(low, _)| low)),
        safe_high: Set(measured.safe_range.map(|(_, high)| high)),
        sheet_sha256: Set(measured.sheet.map(|sheet| sheet.sha256)),
        measured_at: Set(ctx.now()),
    };
    row.insert(&tx).await?;
    Ok(ctx.commit(tx).await?)
}

/// What was measured of versions, for loaders, on base models that are offered to the actor: of others, names and pictures are
/// not theirs to see. Ask for versions that were loaded for the same actor.
///
/// # Errors
/// What the database says.
pub async fn of_versions(
    ctx: &Context,
    actor: &Actor,
    versions: &[Uuid],
) -> Result<HashMap<Uuid, Vec<compatibility::Model>>, ReadError> {
    let rows = compatibility::Entity::find()
        .filter(compatibility::Column::LoraVersionId.is_in(versions.iter().copied()))
        .filter(compatibility::Column::BaseModelId.in_subquery(base_models::offered_to(&actor.scope())))
        .filter(seen_by(actor, compatibility::Column::LoraVersionId))
        .order_by_asc(compatibility::Column::Id)
        .all(ctx.db.read())
        .await?;
    Ok(grouped(rows, |row| row.lora_version_id))
}

/// The safe strengths of a version on a base model; none where nothing was measured, or none is safe.
///
/// # Errors
/// What the database says.
pub async fn safe_range<C: ConnectionTrait>(
    db: &C,
    version: Uuid,
    base_model: Uuid,
) -> Result<Option<(f64, f64)>, DbErr> {
    let row = compatibility::Entity::find()
        .filter(compatibility::Column::LoraVersionId.eq(version))
        .filter(compatibility::Column::BaseModelId.eq(base_model))
        .one(db)
        .await?;
    Ok(row.and_then(|row| row.safe_low.zip(row.safe_high)))
}

/// The strength that a version is used at where nobody says another: what its creator recommends, within what was measured to
/// be safe on the base model.
///
/// # Errors
/// What the database says.
pub async fn default_strength<C: ConnectionTrait>(
    db: &C,
    version: &version::Model,
    base_model: Uuid,
) -> Result<f64, DbErr> {
    let recommended = version.recommended_strength;
    let safe = safe_range(db, version.id, base_model).await?;
    Ok(safe.map_or(recommended, |(low, high)| recommended.clamp(low, high)))
}

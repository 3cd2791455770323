//! What a worker needs to train.

use atelier_entities::{base_model, dataset_picture as picture, lora, lora_version as version, training_run as run};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::{
    context::Context,
    error::{ReadError, Refused},
    lora::versions::{with_trigger, words},
    policy::Resource as _,
};

/// A picture to train on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingPicture {
    /// The blob that holds it, as PNG.
    pub blob_sha256: String,
    /// Its caption, with the trigger word.
    pub caption: String,
}

/// A training as a worker sees it.
#[derive(Clone, Debug)]
pub struct TrainingWork {
    /// The run.
    pub run: run::Model,
    /// The LoRA that gets the version.
    pub lora: lora::Model,
    /// The model to train on.
    pub base_model: base_model::Model,
    /// The version whose pairs it begins with.
    pub continued: Option<version::Model>,
    /// The pictures, in the order of their keys: the same for every attempt.
    pub pictures: Vec<TrainingPicture>,
    /// Prompts of the sample pictures.
    pub sample_prompts: Vec<String>,
}

/// Loads a training.
///
/// # Errors
/// [`Refused::NotFound`] when something it needs has been removed meanwhile.
pub async fn load(ctx: &Context, run: Uuid) -> Result<TrainingWork, ReadError> {
    let db = ctx.db.read();
    let run = run::Entity::find_by_id(run).one(db).await?.ok_or(Refused::NotFound(run::Model::NAME))?;
    let lora = lora::Entity::find_by_id(run.lora_id).one(db).await?.ok_or(Refused::NotFound(lora::Model::NAME))?;
    let base_model =
        base_model::Entity::find_by_id(run.base_model_id).one(db).await?.ok_or(Refused::NotFound("base model"))?;
    let continued = match run.continued_version_id {
        Some(id) => Some(continued(ctx, id).await?),
        None => None,
    };
    let pictures = picture::Entity::find()
        .filter(picture::Column::DatasetId.eq(run.dataset_id))
        .order_by_asc(picture::Column::Id)
        .all(db)
        .await?
        .into_iter()
        .map(|row| TrainingPicture {
            blob_sha256: row.blob_sha256,
            // Here as in prompts, so that a style is called up by what it was learnt with.
            caption: with_trigger(&run.trigger_word, &row.caption),
        })
        .collect();
    let sample_prompts = words(&run.sample_prompts);
    Ok(TrainingWork { run, lora, base_model, continued, pictures, sample_prompts })
}

/// A version, unless its LoRA was deleted meanwhile.
async fn continued(ctx: &Context, id: Uuid) -> Result<version::Model, ReadError> {
    let missing = Refused::NotFound("LoRA version");
    let db = ctx.db.read();
    let version = version::Entity::find_by_id(id).one(db).await?.ok_or_else(|| missing.clone())?;
    let lora = lora::Entity::find_by_id(version.lora_id).one(db).await?;
    match lora {
        Some(lora) if lora.deleted_at.is_none() => Ok(version),
        _ => Err(missing.into()),
    }
}

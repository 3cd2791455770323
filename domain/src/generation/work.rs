//! The worker's side of a generation.

use atelier_entities::{
    asset, base_model, generation, generation_lora, generation_picture, lora, lora_version as version,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, prelude::Json,
    sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    blob,
    context::Context,
    error::{ReadError, Refused},
    jobs::{Lease, LeaseError, claim},
    policy::Resource as _,
    ports::blobs::Stored,
};

/// A LoRA as it is used in a generation.
#[derive(Clone, Debug)]
pub struct UsedLora {
    /// Its LoRA.
    pub lora: lora::Model,
    /// Its version.
    pub version: version::Model,
    /// Its strength.
    pub strength: f64,
}

/// A generation as a worker sees it.
#[derive(Clone, Debug)]
pub struct GenerationWork {
    /// What was asked for.
    pub generation: generation::Model,
    /// The model.
    pub base_model: base_model::Model,
    /// The LoRAs, in order.
    pub loras: Vec<UsedLora>,
    /// The pictures that it is given, in order.
    pub pictures: Vec<generation_picture::Model>,
}

/// Loads a generation.
///
/// # Errors
/// [`Refused::NotFound`] when something it needs has been removed meanwhile.
pub async fn load(ctx: &Context, id: Uuid) -> Result<GenerationWork, ReadError> {
    let db = ctx.db.read();
    let generation =
        generation::Entity::find_by_id(id).one(db).await?.ok_or(Refused::NotFound(generation::Model::NAME))?;
    let model = base_model::Entity::find_by_id(generation.base_model_id).one(db).await?;
    let base_model = model.ok_or(Refused::NotFound("base model"))?;
    let uses = generation_lora::Entity::find()
        .filter(generation_lora::Column::GenerationId.eq(id))
        .order_by_asc(generation_lora::Column::Position)
        .all(db)
        .await?;
    let mut loras = Vec::with_capacity(uses.len());
    for row in uses {
        let version = version::Entity::find_by_id(row.lora_version_id).one(db).await?;
        let version = version.ok_or(Refused::NotFound("LoRA version"))?;
        let lora =
            lora::Entity::find_by_id(version.lora_id).one(db).await?.ok_or(Refused::NotFound(lora::Model::NAME))?;
        loras.push(UsedLora { lora, version, strength: row.strength });
    }
    let pictures = generation_picture::Entity::find()
        .filter(generation_picture::Column::GenerationId.eq(id))
        .order_by_asc(generation_picture::Column::Position)
        .all(db)
        .await?;
    Ok(GenerationWork { generation, base_model, loras, pictures })
}

/// A rendered picture. Its files are in the store already.
#[derive(Clone, Debug)]
pub struct RenderedAsset {
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
    /// Its own seed.
    pub seed: i64,
    /// Its recipe.
    pub recipe: Json,
}

/// Ends a generation: job, credits, assets, and each LoRA's count of uses, in one transaction.
///
/// # Errors
/// [`LeaseError::Lost`] when the lease has run out: nothing was written.
pub async fn complete(ctx: &Context, lease: Lease, pictures: Vec<RenderedAsset>) -> Result<(), LeaseError> {
    let tx = ctx.db.write().await?;
    let job = claim::succeed(&tx, ctx, lease).await?;
    let missing = || anyhow::Error::from(Refused::NotFound(generation::Model::NAME));
    let generation = generation::Entity::find_by_id(job.subject_id).one(&tx).await?.ok_or_else(missing)?;
    for (position, picture) in pictures.into_iter().enumerate() {
        blob::record(&tx, ctx, &picture.picture).await?;
        blob::record(&tx, ctx, &picture.thumbnail).await?;
        let row = asset::ActiveModel {
            id: Set(ctx.new_id()),
            team_id: Set(generation.team_id),
            generation_id: Set(generation.id),
            created_by: Set(generation.created_by),
            blob_sha256: Set(picture.picture.sha256),
            thumbnail_sha256: Set(picture.thumbnail.sha256),
            blurhash: Set(picture.blurhash),
            width: Set(picture.width),
            height: Set(picture.height),
            seed: Set(picture.seed),
            position: Set(i32::try_from(position).unwrap_or(i32::MAX)),
            recipe: Set(picture.recipe),
            created_at: Set(ctx.now()),
            deleted_at: Set(None),
        };
        row.insert(&tx).await?;
    }
    let uses = generation_lora::Entity::find()
        .filter(generation_lora::Column::GenerationId.eq(generation.id))
        .all(&tx)
        .await?;
    let versions = version::Entity::find()
        .filter(version::Column::Id.is_in(uses.into_iter().map(|row| row.lora_version_id)))
        .all(&tx)
        .await?;
    let loras: std::collections::BTreeSet<Uuid> = versions.into_iter().map(|version| version.lora_id).collect();
    lora::Entity::update_many()
        .col_expr(lora::Column::GenerationCount, Expr::col(lora::Column::GenerationCount).add(1))
        .filter(lora::Column::Id.is_in(loras))
        .exec(&tx)
        .await?;
    Ok(ctx.commit(tx).await?)
}

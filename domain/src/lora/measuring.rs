//! Measuring on a base model what was published before it was offered.
//!
//! Who offers one leaves a wish in the database, in the transaction of the offer. Whoever runs the house fulfils it piece by
//! piece, and has a few measurements wait at a time: a marketplace of many LoRAs does not fill the queue.

use std::collections::{HashMap, HashSet};

use atelier_entities::{
    base_model, base_model_team, instance_value as value, job,
    kinds::{JobKind, JobState},
    lora, lora_version as version,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use super::compatibility::{enqueue_on, known};
use crate::{context::Context, database::serialize, instance_value, policy::Resource as _};

/// What the name of a wish begins with; the base model's key follows. Its value is the last LoRA that was looked at.
const WISH: &str = "measure_on:";

/// LoRAs that are looked at in one transaction.
const PIECE: u64 = 50;

/// Measurements on a base model that wait, at most, before more are queued.
const MOST_WAITING: u64 = 100;

/// Wishes for the latest published versions to be measured on a base model that is offered from now on, to everyone or to further
/// teams; in the caller's transaction. Where there is no LoRA yet there is nothing to wish for: what comes is measured when it is
/// published.
pub(crate) async fn wish_in<C: ConnectionTrait>(tx: &C, ctx: &Context, base_model: Uuid) -> Result<(), DbErr> {
    if lora::Entity::find().limit(1).count(tx).await? == 0 {
        return Ok(());
    }
    note(tx, ctx, base_model, Uuid::nil()).await
}

/// Queues the next measurements that were wished for. Returns how many LoRAs it looked at; none when nothing is wished for, or
/// enough wait.
///
/// # Errors
/// What the database says. The wish stays.
pub async fn fulfil(ctx: &Context) -> anyhow::Result<usize> {
    if !ctx.settings.measures_compatibility || wish(ctx.db.read()).await?.is_none() {
        return Ok(0);
    }
    let tx = ctx.db.write().await?;
    serialize(&tx, "measuring").await?;
    let Some((model, after)) = wish(&tx).await? else { return Ok(0) };
    let model = match base_model::Entity::find_by_id(model).one(&tx).await? {
        Some(model) if model.enabled => model,
        _ => return end(tx, ctx, model).await,
    };
    if waiting(&tx, model.id).await? >= MOST_WAITING {
        return Ok(0);
    }
    // By the keys alone: asked for a state as well, the database may go through all that have it for every piece.
    let loras = lora::Entity::find()
        .filter(lora::Column::Id.gt(after))
        .order_by_asc(lora::Column::Id)
        .limit(PIECE)
        .all(&tx)
        .await?;
    let Some(last) = loras.last().map(|lora| lora.id) else { return end(tx, ctx, model.id).await };
    enqueue_all(&tx, ctx, &model, &loras).await?;
    note(&tx, ctx, model.id, last).await?;
    ctx.commit(tx).await?;
    Ok(loras.len())
}

/// Queues a measurement of the latest version of each LoRA that is published and lacks one.
async fn enqueue_all(
    tx: &DatabaseTransaction,
    ctx: &Context,
    model: &base_model::Model,
    loras: &[lora::Model],
) -> anyhow::Result<()> {
    let latest = loras.iter().filter(|lora| lora.target().public).filter_map(|lora| lora.latest_version_id);
    let versions: HashMap<Uuid, version::Model> = version::Entity::find()
        .filter(version::Column::Id.is_in(latest))
        .filter(version::Column::PublishedAt.is_not_null())
        .all(tx)
        .await?
        .into_iter()
        .map(|row| (row.id, row))
        .collect();
    let known = known(tx, &versions.keys().copied().collect::<Vec<_>>()).await?;
    let shared: HashSet<Uuid> = base_model_team::Entity::find()
        .filter(base_model_team::Column::BaseModelId.eq(model.id))
        .all(tx)
        .await?
        .into_iter()
        .map(|row| row.team_id)
        .collect();
    let wanted = loras.iter().filter_map(|lora| versions.get(&lora.latest_version_id?));
    let is_offered = |version: &&version::Model| model.for_everyone || shared.contains(&version.team_id);
    for version in wanted.filter(is_offered).filter(|version| !known.contains(&(version.id, model.id))) {
        enqueue_on(tx, ctx, version, model, None).await?;
    }
    Ok(())
}

/// A wish: the base model, and the last LoRA that was looked at.
async fn wish<C: ConnectionTrait>(db: &C) -> anyhow::Result<Option<(Uuid, Uuid)>> {
    let row = value::Entity::find()
        .filter(value::Column::Name.starts_with(WISH))
        .order_by_asc(value::Column::Name)
        .one(db)
        .await?;
    let read = |row: value::Model| {
        let model = row.name.strip_prefix(WISH)?.parse().ok()?;
        Some((model, row.value.parse().ok()?))
    };
    row.map(|row| read(row).ok_or_else(|| anyhow::anyhow!("A wish for measurements cannot be read."))).transpose()
}

async fn end(tx: DatabaseTransaction, ctx: &Context, base_model: Uuid) -> anyhow::Result<usize> {
    value::Entity::delete_by_id(format!("{WISH}{base_model}")).exec(&tx).await?;
    ctx.commit(tx).await?;
    // There may be another wish.
    Ok(1)
}

async fn waiting(tx: &DatabaseTransaction, base_model: Uuid) -> Result<u64, DbErr> {
    job::Entity::find()
        .filter(job::Column::State.eq(JobState::Queued))
        .filter(job::Column::Kind.eq(JobKind::Compare))
        .filter(job::Column::BaseModelId.eq(base_model))
        .count(tx)
        .await
}

async fn note<C: ConnectionTrait>(tx: &C, ctx: &Context, base_model: Uuid, after: Uuid) -> Result<(), DbErr> {
    instance_value::put(tx, ctx, &format!("{WISH}{base_model}"), after.to_string()).await
}

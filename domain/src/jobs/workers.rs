//! Which workers run and which base models each can serve. They say so themselves, again and again; who has been silent
//! for a while is taken to be gone.

use std::collections::{HashMap, HashSet};

use atelier_entities::{kinds::JobKind, worker, worker_base_model};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, sea_query::OnConflict,
};
use serde_json::json;
use uuid::Uuid;

use crate::{context::Context, database::serialize};

/// Who has been silent for so long is gone.
pub const GONE_AFTER: TimeDelta = TimeDelta::minutes(3);

/// What a worker says of itself.
#[derive(Clone, Debug)]
pub struct Card {
    /// Its name, as jobs show it. Of two that run under one name the later word counts.
    pub name: String,
    /// Such as `cuda:0`.
    pub device: String,
    /// Numbers that it computes in, such as `bf16`.
    pub precision: String,
    /// Kinds of jobs that it takes.
    pub kinds: Vec<JobKind>,
    /// When it began.
    pub started_at: DateTime<Utc>,
}

/// A worker that runs.
#[derive(Clone, Debug)]
pub struct RunningWorker {
    /// Its name.
    pub name: String,
    kinds: Vec<JobKind>,
    base_models: HashSet<Uuid>,
}

impl RunningWorker {
    /// Whether it has the files of a base model.
    pub fn has(&self, base_model: Uuid) -> bool {
        self.base_models.contains(&base_model)
    }

    /// Whether it takes jobs of a kind.
    pub fn takes(&self, kind: JobKind) -> bool {
        self.kinds.contains(&kind)
    }
}

/// Writes down that a worker lives and which base models it can serve, and forgets those that are gone.
///
/// # Errors
/// What the database says; also when a base model has been removed meanwhile.
pub async fn announce(ctx: &Context, card: &Card, base_models: &[Uuid]) -> Result<(), DbErr> {
    let tx = ctx.db.write().await?;
    serialize(&tx, "worker").await?;
    let gone = worker::Column::LastSeenAt.lt(ctx.now() - GONE_AFTER);
    worker::Entity::delete_many().filter(gone).exec(&tx).await?;
    write_card(&tx, ctx, card).await?;
    let of_worker = worker_base_model::Column::WorkerName.eq(card.name.as_str());
    worker_base_model::Entity::delete_many().filter(of_worker).exec(&tx).await?;
    let rows = base_models
        .iter()
        .map(|id| worker_base_model::ActiveModel { worker_name: Set(card.name.clone()), base_model_id: Set(*id) });
    worker_base_model::Entity::insert_many(rows).exec_without_returning(&tx).await?;
    ctx.commit(tx).await
}

async fn write_card<C: ConnectionTrait>(tx: &C, ctx: &Context, card: &Card) -> Result<(), DbErr> {
    let row = worker::ActiveModel {
        name: Set(card.name.clone()),
        device: Set(card.device.clone()),
        precision: Set(card.precision.clone()),
        kinds: Set(json!(card.kinds)),
        started_at: Set(card.started_at),
        last_seen_at: Set(ctx.now()),
    };
    let conflict = OnConflict::column(worker::Column::Name)
        .update_columns([
            worker::Column::Device,
            worker::Column::Precision,
            worker::Column::Kinds,
            worker::Column::StartedAt,
            worker::Column::LastSeenAt,
        ])
        .to_owned();
    worker::Entity::insert(row).on_conflict(conflict).exec_without_returning(tx).await.map(|_| ())
}

/// Forgets a worker that ends. One that has begun under the same name meanwhile stays.
///
/// # Errors
/// What the database says.
pub async fn leave(ctx: &Context, card: &Card) -> Result<(), DbErr> {
    let tx = ctx.db.write().await?;
    worker::Entity::delete_many()
        .filter(worker::Column::Name.eq(card.name.as_str()))
        .filter(worker::Column::StartedAt.eq(card.started_at))
        .exec(&tx)
        .await?;
    ctx.commit(tx).await
}

/// The workers that run, by name.
///
/// # Errors
/// What the database says.
pub async fn running(ctx: &Context) -> anyhow::Result<Vec<RunningWorker>> {
    let db = ctx.db.read();
    let workers = worker::Entity::find()
        .filter(worker::Column::LastSeenAt.gte(ctx.now() - GONE_AFTER))
        .order_by_asc(worker::Column::Name)
        .all(db)
        .await?;
    let mut base_models: HashMap<String, HashSet<Uuid>> = HashMap::new();
    for row in worker_base_model::Entity::find().all(db).await? {
        base_models.entry(row.worker_name).or_default().insert(row.base_model_id);
    }
    let running = workers.into_iter().map(|row| {
        let base_models = base_models.remove(&row.name).unwrap_or_default();
        Ok(RunningWorker { name: row.name, kinds: serde_json::from_value(row.kinds)?, base_models })
    });
    running.collect()
}

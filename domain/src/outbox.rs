//! One order of everything that happened. Events are written in the transaction of the change; each consumer keeps its
//! own position and catches up after it was down.

use async_trait::async_trait;
use atelier_entities::{kinds::EventKind, outbox_event, outbox_position};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    prelude::Json,
    sea_query::OnConflict,
};
use uuid::Uuid;

use crate::{context::Context, database};

/// How many events a consumer takes at once.
const BATCH: u64 = 100;

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// In which team.
    pub team: Option<Uuid>,
    /// Who did it.
    pub actor: Option<Uuid>,
    /// To what.
    pub subject: Uuid,
    /// Facts that a consumer could not look up later.
    pub payload: Json,
}

/// Appends an event; call it last in the transaction.
///
/// Sequence numbers must become visible in order, or a consumer would step over one that commits late: on PostgreSQL
/// appending transactions therefore follow each other from here to their commit.
///
/// # Errors
/// What the database says.
pub async fn append<C: ConnectionTrait>(tx: &C, ctx: &Context, event: Event) -> Result<(), DbErr> {
    database::serialize(tx, "outbox").await?;
    let row = outbox_event::ActiveModel {
        sequence: NotSet,
        kind: Set(event.kind),
        team_id: Set(event.team),
        actor_id: Set(event.actor),
        subject_id: Set(event.subject),
        payload: Set(event.payload),
        created_at: Set(ctx.now()),
    };
    row.insert(tx).await.map(|_| ())
}

/// Somebody who acts upon events.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// The name under which the position is kept.
    fn name(&self) -> &'static str;

    /// Acts upon events, in order. What it writes through the transaction commits together with its new position, and
    /// so happens exactly once; what it does elsewhere must bear being done again.
    async fn consume(
        &self,
        ctx: &Context,
        tx: &DatabaseTransaction,
        events: &[outbox_event::Model],
    ) -> anyhow::Result<()>;
}

/// Lets a consumer act upon what it has not seen. Returns how many events it took.
///
/// # Errors
/// What the consumer or the database says; the position then stays where it was.
pub async fn run_once(ctx: &Context, consumer: &dyn Consumer) -> anyhow::Result<usize> {
    let position = position(ctx.db.read(), consumer.name()).await?;
    if latest(ctx.db.read()).await? <= position {
        return Ok(0);
    }
    let tx = ctx.db.write().await?;
    database::serialize(&tx, &format!("consumer:{}", consumer.name())).await?;
    let position = self::position(&tx, consumer.name()).await?;
    let events = after(&tx, position, BATCH).await?;
    let Some(last) = events.last().map(|event| event.sequence) else { return Ok(0) };
    consumer.consume(ctx, &tx, &events).await?;
    advance(&tx, ctx, consumer.name(), last).await?;
    tx.commit().await?;
    ctx.events.wake();
    Ok(events.len())
}

/// Somebody who keeps something outside the database in step with events, such as a search index.
#[async_trait]
pub trait Follower: Send + Sync {
    /// The name under which the position is kept.
    fn name(&self) -> &'static str;

    /// Acts upon events, in order, while no transaction is open. It may be given the same events again and must then
    /// end up in the same state.
    async fn follow(&self, ctx: &Context, events: &[outbox_event::Model]) -> anyhow::Result<()>;
}

/// Lets a follower act upon what it has not seen, then moves its position. Returns how many events it took.
///
/// # Errors
/// What the follower or the database says; the position then stays where it was.
pub async fn follow_once(ctx: &Context, follower: &dyn Follower) -> anyhow::Result<usize> {
    let position = position(ctx.db.read(), follower.name()).await?;
    let events = after(ctx.db.read(), position, BATCH).await?;
    let Some(last) = events.last().map(|event| event.sequence) else { return Ok(0) };
    follower.follow(ctx, &events).await?;
    let tx = ctx.db.write().await?;
    database::serialize(&tx, &format!("consumer:{}", follower.name())).await?;
    // Another process may have come further meanwhile: a position never goes back.
    if self::position(&tx, follower.name()).await? < last {
        advance(&tx, ctx, follower.name(), last).await?;
    }
    tx.commit().await?;
    Ok(events.len())
}

/// The last event's sequence; 0 before the first.
///
/// # Errors
/// What the database says.
pub async fn latest<C: ConnectionTrait>(db: &C) -> Result<i64, DbErr> {
    let last = outbox_event::Entity::find()
        .select_only()
        .column(outbox_event::Column::Sequence)
        .order_by_desc(outbox_event::Column::Sequence)
        .limit(1)
        .into_tuple::<i64>()
        .one(db)
        .await?;
    Ok(last.unwrap_or_default())
}

/// Events after a position, in order.
///
/// # Errors
/// What the database says.
pub async fn after<C: ConnectionTrait>(db: &C, sequence: i64, most: u64) -> Result<Vec<outbox_event::Model>, DbErr> {
    outbox_event::Entity::find()
        .filter(outbox_event::Column::Sequence.gt(sequence))
        .order_by_asc(outbox_event::Column::Sequence)
        .limit(most)
        .all(db)
        .await
}

/// How far a consumer has come.
///
/// # Errors
/// What the database says.
pub async fn position<C: ConnectionTrait>(db: &C, consumer: &str) -> Result<i64, DbErr> {
    let row = outbox_position::Entity::find_by_id(consumer.to_owned()).one(db).await?;
    Ok(row.map(|row| row.sequence).unwrap_or_default())
}

/// Moves a consumer's position.
///
/// # Errors
/// What the database says.
pub async fn advance<C: ConnectionTrait>(tx: &C, ctx: &Context, consumer: &str, sequence: i64) -> Result<(), DbErr> {
    let row = outbox_position::ActiveModel {
        consumer: Set(consumer.to_owned()),
        sequence: Set(sequence),
        updated_at: Set(ctx.now()),
    };
    let conflict = OnConflict::column(outbox_position::Column::Consumer)
        .update_columns([outbox_position::Column::Sequence, outbox_position::Column::UpdatedAt])
        .to_owned();
    outbox_position::Entity::insert(row).on_conflict(conflict).exec_without_returning(tx).await.map(|_| ())
}

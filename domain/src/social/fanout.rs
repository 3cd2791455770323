//! Telling the followers of somebody who published. It is not done in one go: the consumer of the outbox writes a row, and
//! pieces of followers are told one after the other, each in a short transaction with how far it has come. Whatever is
//! killed in the middle goes on at the last follower; other events, other consumers and other people's requests go on
//! meanwhile.
//!
//! Followers are told in the order of their keys, which is that of the indexes of notifications: a piece then changes few
//! pages of them. Whoever follows while it goes on is told or not, as their key has it; they did not follow when it was
//! published.

use atelier_entities::{fanout, follow, kinds::NotificationKind, lora};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
    sea_query::{Expr, SelectStatement},
};
use uuid::Uuid;

use super::tell::{PERSON, Told, tell};
use crate::{context::Context, database, lora::versions::words, policy::Resource as _};

/// How many followers are told in one transaction: some ten milliseconds of the one writer that SQLite has.
const PIECE: u64 = 1_000;

/// Begins to tell the followers of a LoRA's maker, in the consumer's transaction.
pub(super) async fn begin(
    tx: &DatabaseTransaction,
    ctx: &Context,
    (kind, event): (NotificationKind, i64),
    lora: &lora::Model,
    publisher: Option<Uuid>,
    message: String,
) -> Result<(), DbErr> {
    let row = fanout::ActiveModel {
        event_sequence: Set(event),
        kind: Set(kind),
        followed_id: Set(lora.created_by),
        publisher_id: Set(publisher),
        lora_id: Set(lora.id),
        message: Set(message),
        last_follower_id: Set(None),
        told: Set(0),
        created_at: Set(ctx.now()),
        updated_at: Set(ctx.now()),
    };
    row.insert(tx).await.map(|_| ())
}

/// Tells the next piece of followers: of several publications, of the one that has waited longest. Returns 0 when there is
/// nobody left to tell.
///
/// # Errors
/// What the database says; nobody of the piece was told then.
pub async fn run_once(ctx: &Context) -> anyhow::Result<usize> {
    if fanout::Entity::find().limit(1).count(ctx.db.read()).await? == 0 {
        return Ok(0);
    }
    let tx = ctx.db.write().await?;
    database::serialize(&tx, "fanout").await?;
    let oldest = fanout::Entity::find()
        .order_by_asc(fanout::Column::UpdatedAt)
        .order_by_asc(fanout::Column::EventSequence)
        .one(&tx)
        .await?;
    let Some(row) = oldest else { return Ok(0) };
    let last = match shown(&tx, row.lora_id).await? {
        Some(lora) => go_on(&tx, ctx, row, &lora).await?,
        None => {
            // It was taken back meanwhile: nobody else hears of it.
            fanout::Entity::delete_by_id(row.event_sequence).exec(&tx).await?;
            None
        }
    };
    ctx.commit(tx).await?;
    if let Some(told) = last {
        tracing::info!(told.event, told.people, told.milliseconds, "the followers of a publication were told");
    }
    Ok(1)
}

/// What is said of a publication whose last follower was told.
struct Finished {
    event: i64,
    people: i64,
    milliseconds: i64,
}

/// The LoRA, if everybody may see it still.
async fn shown(tx: &DatabaseTransaction, lora: Uuid) -> Result<Option<lora::Model>, DbErr> {
    let lora = lora::Entity::find_by_id(lora).one(tx).await?;
    Ok(lora.filter(|lora| lora.target().public))
}

/// Tells a piece, and writes how far it has come; after the last one the row goes.
async fn go_on(
    tx: &DatabaseTransaction,
    ctx: &Context,
    row: fanout::Model,
    lora: &lora::Model,
) -> Result<Option<Finished>, DbErr> {
    let end = end_of_piece(tx, &row).await?;
    let told = Told {
        kind: row.kind,
        event: row.event_sequence,
        actor: Some(row.followed_id),
        lora: Some(row.lora_id),
        comment: None,
        job: None,
        tags: words(&lora.tags),
        message: row.message.clone(),
    };
    let except: Vec<Uuid> = row.publisher_id.into_iter().chain([row.followed_id]).collect();
    let people = tell(tx, ctx, &told, piece(&row, end), &except).await?;
    let people = row.told + i64::try_from(people).unwrap_or(i64::MAX);
    if end.is_none() {
        let milliseconds = (ctx.now() - row.created_at).num_milliseconds();
        fanout::Entity::delete_by_id(row.event_sequence).exec(tx).await?;
        return Ok(Some(Finished { event: row.event_sequence, people, milliseconds }));
    }
    let mut row = row.into_active_model();
    row.last_follower_id = Set(end);
    row.told = Set(people);
    row.updated_at = Set(ctx.now());
    row.update(tx).await?;
    Ok(None)
}

/// The last follower of the next piece; none if all that is left is one piece.
async fn end_of_piece(tx: &DatabaseTransaction, row: &fanout::Model) -> Result<Option<Uuid>, DbErr> {
    follow::Entity::find()
        .select_only()
        .column(follow::Column::FollowerId)
        .filter(follow::Column::FollowedId.eq(row.followed_id))
        .filter(follow::Column::FollowerId.gt(row.last_follower_id.unwrap_or_default()))
        .order_by_asc(follow::Column::FollowerId)
        .offset(PIECE - 1)
        .limit(1)
        .into_tuple()
        .one(tx)
        .await
}

/// The followers of a piece.
fn piece(row: &fanout::Model, end: Option<Uuid>) -> SelectStatement {
    let mut piece = follow::Entity::find()
        .select_only()
        .expr_as(Expr::col(follow::Column::FollowerId), PERSON)
        .filter(follow::Column::FollowedId.eq(row.followed_id))
        .filter(follow::Column::FollowerId.gt(row.last_follower_id.unwrap_or_default()));
    if let Some(end) = end {
        piece = piece.filter(follow::Column::FollowerId.lte(end));
    }
    piece.into_query()
}

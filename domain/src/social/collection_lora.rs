//! The LoRAs of a collection and their order. Places rise, with room between, and a LoRA that is added, moved or taken out
//! leaves the others where they are: a page begins after a place, and must neither step over a LoRA nor come upon it again
//! because another one moved. One that is itself moved comes where it stands by then. What somebody may not see, or not any
//! more, keeps its place and does not show.

use std::collections::HashMap;

use atelier_entities::{collection, collection_lora as entry, lora, scope::Scoped};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait as _, Query, WindowStatement},
};
use serde_json::json;
use uuid::Uuid;

use super::collection::{by_ids, locked};
use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{ReadError, Refused},
    failures, nested,
    page::{Page, PageRequest, bad_cursor, read_cursor, write_cursor},
    policy::{Action, Permit, Resource as _, authorize},
    text,
};

/// How many LoRAs a collection may hold.
const MOST: u64 = 1_000;

const LONGEST_NOTE: usize = 500;

/// How far apart places are at first: sixteen LoRAs find room in the same spot, one after another.
const APART: i32 = 1 << 16;

failures! {
    /// Why [`add`] refused.
    pub enum AddToCollectionError {
        /// It is in it.
        Present => ("loraId", "ALREADY_IN_COLLECTION", "This LoRA is in the collection already; there is nothing to do."),
        /// The list is long enough.
        Full { most: u64 } => ("collectionId", "COLLECTION_FULL", "This collection holds {most} LoRAs, which is the most. Remove some or make another."),
    }
}

failures! {
    /// Why [`change_note`] refused.
    pub enum UpdateCollectionLoraError {
        /// It is not in it.
        Absent => ("loraId", "NOT_IN_COLLECTION", "This LoRA is not in the collection. Add it first."),
    }
}

failures! {
    /// Why [`place`] refused.
    pub enum MoveInCollectionError {
        /// It is not in it.
        Absent => ("loraId", "NOT_IN_COLLECTION", "This LoRA is not in the collection. Add it first."),
        /// The other one is not in it.
        AfterAbsent => ("afterLoraId", "NOT_IN_COLLECTION", "The LoRA to stand after is not in the collection. Name another, or none to stand first."),
        /// Nothing stands after itself.
        AfterItself => ("afterLoraId", "AFTER_ITSELF", "A LoRA cannot stand after itself. Name another, or none to stand first."),
    }
}

failures! {
    /// Why [`remove`] refused.
    pub enum RemoveFromCollectionError {
        /// It is not in it.
        Absent => ("loraId", "NOT_IN_COLLECTION", "This LoRA is not in the collection; there is nothing to remove."),
    }
}

/// Adds a LoRA that the actor may see, as the last one.
///
/// # Errors
/// [`AddToCollectionError`]; an [`crate::error::Invalid`] for a note that is too long.
pub async fn add(
    ctx: &Context,
    actor: &Actor,
    (collection, lora): (Uuid, Uuid),
    note: &str,
) -> Result<collection::Model, AddToCollectionError> {
    let note = text::check("note", note, 0, LONGEST_NOTE)?;
    let tx = ctx.db.write().await?;
    let row = locked(&tx, collection).await?.ok_or(Refused::NotFound(collection::Model::NAME))?;
    let permit = authorize(actor, Action::CollectionWrite, &row)?;
    let lora = lora::Entity::find_by_id(lora).one(&tx).await?.ok_or(Refused::NotFound(lora::Model::NAME))?;
    authorize(actor, Action::LoraRead, &lora)?;
    if find(&tx, collection, lora.id).await?.is_some() {
        return Err(AddToCollectionError::Present);
    }
    let count = entry::Entity::find().filter(entry::Column::CollectionId.eq(collection)).count(&tx).await?;
    if count >= MOST {
        return Err(AddToCollectionError::Full { most: MOST });
    }
    let new = entry::ActiveModel {
        collection_id: Set(collection),
        lora_id: Set(lora.id),
        position: Set(behind_all(&tx, collection).await?),
        note: Set(note),
        created_at: Set(ctx.now()),
    };
    new.insert(&tx).await?;
    Ok(changed(tx, ctx, &permit, row, json!({ "do": "add", "lora": lora.id })).await?)
}

/// Changes what a collection says of a LoRA in it.
///
/// # Errors
/// [`UpdateCollectionLoraError`]; an [`crate::error::Invalid`] for a note that is too long.
pub async fn change_note(
    ctx: &Context,
    actor: &Actor,
    (collection, lora): (Uuid, Uuid),
    note: &str,
) -> Result<collection::Model, UpdateCollectionLoraError> {
    let note = text::check("note", note, 0, LONGEST_NOTE)?;
    let tx = ctx.db.write().await?;
    let row = locked(&tx, collection).await?.ok_or(Refused::NotFound(collection::Model::NAME))?;
    let permit = authorize(actor, Action::CollectionWrite, &row)?;
    let found = find(&tx, collection, lora).await?.ok_or(UpdateCollectionLoraError::Absent)?;
    let mut found = found.into_active_model();
    found.note = Set(note);
    found.update(&tx).await?;
    Ok(changed(tx, ctx, &permit, row, json!({ "do": "note", "lora": lora })).await?)
}

/// Places a LoRA behind another one of the collection, or before all.
///
/// # Errors
/// [`MoveInCollectionError`].
pub async fn place(
    ctx: &Context,
    actor: &Actor,
    (collection, lora): (Uuid, Uuid),
    after: Option<Uuid>,
) -> Result<collection::Model, MoveInCollectionError> {
    let tx = ctx.db.write().await?;
    let row = locked(&tx, collection).await?.ok_or(Refused::NotFound(collection::Model::NAME))?;
    let permit = authorize(actor, Action::CollectionWrite, &row)?;
    find(&tx, collection, lora).await?.ok_or(MoveInCollectionError::Absent)?;
    if let Some(after) = after {
        if after == lora {
            return Err(MoveInCollectionError::AfterItself);
        }
        find(&tx, collection, after).await?.ok_or(MoveInCollectionError::AfterAbsent)?;
    }
    let to = match room(&tx, collection, lora, after).await? {
        Some(to) => to,
        None => {
            make_room(&tx, collection).await?;
            let none = || anyhow::anyhow!("There is no room between two LoRAs of a collection although it was made.");
            room(&tx, collection, lora, after).await?.ok_or_else(none)?
        }
    };
    put(&tx, (collection, lora), to).await?;
    Ok(changed(tx, ctx, &permit, row, json!({ "do": "move", "lora": lora, "place": to })).await?)
}

/// Takes a LoRA out of a collection.
///
/// # Errors
/// [`RemoveFromCollectionError`].
pub async fn remove(
    ctx: &Context,
    actor: &Actor,
    (collection, lora): (Uuid, Uuid),
) -> Result<collection::Model, RemoveFromCollectionError> {
    let tx = ctx.db.write().await?;
    let row = locked(&tx, collection).await?.ok_or(Refused::NotFound(collection::Model::NAME))?;
    let permit = authorize(actor, Action::CollectionWrite, &row)?;
    if entry::Entity::delete_by_id((collection, lora)).exec(&tx).await?.rows_affected == 0 {
        return Err(RemoveFromCollectionError::Absent);
    }
    Ok(changed(tx, ctx, &permit, row, json!({ "do": "remove", "lora": lora })).await?)
}

async fn find<C: ConnectionTrait>(tx: &C, collection: Uuid, lora: Uuid) -> Result<Option<entry::Model>, DbErr> {
    entry::Entity::find_by_id((collection, lora)).one(tx).await
}

/// LoRAs and their places, in order.
async fn places<C: ConnectionTrait>(tx: &C, collection: Uuid) -> Result<Vec<(Uuid, i32)>, DbErr> {
    entry::Entity::find()
        .select_only()
        .columns([entry::Column::LoraId, entry::Column::Position])
        .filter(entry::Column::CollectionId.eq(collection))
        .order_by_asc(entry::Column::Position)
        .order_by_asc(entry::Column::LoraId)
        .into_tuple()
        .all(tx)
        .await
}

/// A place behind all others.
async fn behind_all<C: ConnectionTrait>(tx: &C, collection: Uuid) -> Result<i32, DbErr> {
    let last = entry::Entity::find()
        .select_only()
        .column(entry::Column::Position)
        .filter(entry::Column::CollectionId.eq(collection))
        .order_by_desc(entry::Column::Position)
        .limit(1)
        .into_tuple()
        .one(tx)
        .await?;
    match between(last, None) {
        Some(place) => Ok(place),
        None => Ok(make_room(tx, collection).await?),
    }
}

/// A place for a LoRA behind another one, or before all; its own where it stands there. None where there is no room.
async fn room<C: ConnectionTrait>(
    tx: &C,
    collection: Uuid,
    lora: Uuid,
    after: Option<Uuid>,
) -> Result<Option<i32>, DbErr> {
    let places = places(tx, collection).await?;
    let first = after.and_then(|after| places.iter().position(|(id, _)| *id == after)).map_or(0, |place| place + 1);
    let behind = after.and_then(|_| places.get(first.checked_sub(1)?)).map(|(_, place)| *place);
    match places.get(first) {
        Some((id, place)) if *id == lora => Ok(Some(*place)),
        next => Ok(between(behind, next.map(|(_, place)| *place))),
    }
}

/// A place between two others, of which either may be missing.
const fn between(behind: Option<i32>, before: Option<i32>) -> Option<i32> {
    match (behind, before) {
        (None, None) => Some(0),
        (Some(behind), None) => behind.checked_add(APART),
        (None, Some(before)) => before.checked_sub(APART),
        (Some(behind), Some(before)) => {
            let middle = behind.midpoint(before);
            if behind < middle && middle < before { Some(middle) } else { None }
        }
    }
}

/// Moves all LoRAs apart, which takes many moves to be needed. Returns the place behind them.
async fn make_room<C: ConnectionTrait>(tx: &C, collection: Uuid) -> Result<i32, DbErr> {
    let mut next = 0;
    for (lora, _) in places(tx, collection).await? {
        put(tx, (collection, lora), next).await?;
        next += APART;
    }
    Ok(next)
}

async fn put<C: ConnectionTrait>(tx: &C, (collection, lora): (Uuid, Uuid), place: i32) -> Result<(), DbErr> {
    entry::Entity::update_many()
        .col_expr(entry::Column::Position, Expr::value(place))
        .filter(entry::Column::CollectionId.eq(collection))
        .filter(entry::Column::LoraId.eq(lora))
        .exec(tx)
        .await
        .map(|_| ())
}

/// Says that the collection changed, and commits.
async fn changed(
    tx: DatabaseTransaction,
    ctx: &Context,
    permit: &Permit,
    row: collection::Model,
    detail: serde_json::Value,
) -> Result<collection::Model, DbErr> {
    let id = row.id;
    let mut row = row.into_active_model();
    row.updated_at = Set(ctx.now());
    let row = row.update(&tx).await?;
    audit::record(&tx, ctx, permit, Some(id), detail).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// What a viewer sees of collections.
fn visible_to(actor: &Actor) -> Select<entry::Entity> {
    // Asked for each LoRA that is looked at: the list of all that the actor may see would be made for every statement.
    let seen = lora::Entity::visible_to(&actor.scope())
        .select_only()
        .column(lora::Column::Id)
        .filter(Expr::col((lora::Entity, lora::Column::Id)).equals((entry::Entity, entry::Column::LoraId)));
    entry::Entity::find().filter(Expr::exists(seen.into_query()))
}

/// How many LoRAs of several collections the actor may see.
///
/// # Errors
/// What the database says.
pub async fn counts(ctx: &Context, actor: &Actor, collections: &[Uuid]) -> Result<HashMap<Uuid, i64>, ReadError> {
    let seen = by_ids(ctx, actor, collections).await?;
    let rows: Vec<(Uuid, i64)> = visible_to(actor)
        .select_only()
        .column(entry::Column::CollectionId)
        .column_as(entry::Column::LoraId.count(), "number")
        .filter(entry::Column::CollectionId.is_in(seen.into_keys()))
        .group_by(entry::Column::CollectionId)
        .into_tuple()
        .all(ctx.db.read())
        .await?;
    Ok(rows.into_iter().collect())
}

/// The same page of several collections, in their order, as far as the actor may see the LoRAs.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn pages(
    ctx: &Context,
    actor: &Actor,
    collections: &[Uuid],
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<entry::Model>>, ReadError> {
    let seen = by_ids(ctx, actor, collections).await?;
    let mut select = visible_to(actor).filter(entry::Column::CollectionId.is_in(seen.into_keys()));
    if let Some(cursor) = &request.after {
        select = select.filter(after(cursor).ok_or_else(bad_cursor)?);
    }
    let mut numbered = select.select_only().columns([entry::Column::CollectionId, entry::Column::LoraId]).into_query();
    let window = WindowStatement::partition_by(entry::Column::CollectionId)
        .order_by(entry::Column::Position, sea_orm::Order::Asc)
        .order_by(entry::Column::LoraId, sea_orm::Order::Asc)
        .take();
    numbered.expr_window_as(Expr::cust("ROW_NUMBER()"), window, "place");
    let first = Query::select()
        .columns([entry::Column::CollectionId, entry::Column::LoraId])
        .from_subquery(numbered, "numbered")
        .and_where(Expr::col("place").lte(i64::from(request.first) + 1))
        .take();
    let key = Expr::tuple([Expr::col(entry::Column::CollectionId), Expr::col(entry::Column::LoraId)]);
    let rows = entry::Entity::find()
        .filter(key.in_subquery(first))
        .order_by_asc(entry::Column::Position)
        .order_by_asc(entry::Column::LoraId)
        .all(ctx.db.read())
        .await?;
    let cursor = |row: &entry::Model| write_cursor(&format!("{}:{}", row.position, row.lora_id));
    Ok(nested::cut(rows, request, |row| row.collection_id, cursor))
}

/// What comes after a cursor; none if it is no cursor of a collection.
fn after(cursor: &str) -> Option<Condition> {
    let text = read_cursor(cursor)?;
    let (position, lora) = text.split_once(':')?;
    let (position, lora): (i32, Uuid) = (position.parse().ok()?, lora.parse().ok()?);
    let tied = Condition::all().add(entry::Column::Position.eq(position)).add(entry::Column::LoraId.gt(lora));
    Some(Condition::any().add(entry::Column::Position.gt(position)).add(tied))
}

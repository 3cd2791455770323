//! Reading ratings: one, a LoRA's list, and how its stars spread.

use std::collections::HashMap;

use atelier_entities::rating;
use sea_orm::{ColumnTrait, Condition, EntityTrait, ExprTrait as _, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use crate::{
    actor::Actor,
    context::Context,
    error::{ReadError, Refused},
    lora as loras,
    page::{self, Direction, Page, PageRequest, bad_cursor, read_cursor, write_cursor},
    policy::{RatingOn, Resource as _},
    social::block,
};

/// Which ratings come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RatingSort {
    /// Those that were given last.
    #[default]
    Newest,
    /// Those that most people found helpful; of those that tie, the newest.
    Helpful,
}

/// How many ratings have one star, two, up to five.
pub type Spread = [i64; 5];

/// Ratings that were not taken back; one that is hidden is shown to its author alone.
fn shown_to(actor: &Actor) -> Select<rating::Entity> {
    let mut shown = Condition::any().add(rating::Column::HiddenAt.is_null());
    if let Some(user) = actor.user_id() {
        shown = shown.add(rating::Column::UserId.eq(user));
    }
    rating::Entity::find().filter(rating::Column::DeletedAt.is_null()).filter(shown)
}

/// The ratings of a LoRA that the actor may see, without those of people whom they block.
///
/// # Errors
/// [`Refused::NotFound`] for a LoRA that the actor may not see; a cursor of another list.
pub async fn list(
    ctx: &Context,
    actor: &Actor,
    lora: Uuid,
    sort: RatingSort,
    request: &PageRequest,
) -> Result<Page<rating::Model>, ReadError> {
    loras::get(ctx, actor, lora).await?;
    let select = shown_to(actor).filter(rating::Column::LoraId.eq(lora));
    let select = block::without_blocked(select, actor, rating::Column::UserId);
    match sort {
        RatingSort::Newest => {
            let column = rating::Column::Id;
            Ok(page::by_id(select, column, |row| row.id, request, Direction::NewestFirst, ctx.db.read()).await?)
        }
        RatingSort::Helpful => most_helpful(ctx, select, request).await,
    }
}

async fn most_helpful(
    ctx: &Context,
    mut select: Select<rating::Entity>,
    request: &PageRequest,
) -> Result<Page<rating::Model>, ReadError> {
    if let Some(cursor) = &request.after {
        let (count, id) = read_position(cursor).ok_or_else(bad_cursor)?;
        let tied = rating::Column::HelpfulCount.eq(count).and(rating::Column::Id.lt(id));
        select = select.filter(Condition::any().add(rating::Column::HelpfulCount.lt(count)).add(tied));
    }
    let rows = select
        .order_by_desc(rating::Column::HelpfulCount)
        .order_by_desc(rating::Column::Id)
        .limit(request.with_next())
        .all(ctx.db.read())
        .await?;
    Ok(Page::cut(rows, request, |row| write_cursor(&format!("helpful:{}:{}", row.helpful_count, row.id))))
}

fn read_position(cursor: &str) -> Option<(i64, Uuid)> {
    let text = read_cursor(cursor)?;
    let (count, id) = text.strip_prefix("helpful:")?.split_once(':')?;
    Some((count.parse().ok()?, id.parse().ok()?))
}

/// A rating of a LoRA that the actor may see.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<rating::Model, ReadError> {
    let missing = Refused::NotFound(RatingOn::NAME);
    let row = shown_to(actor).filter(rating::Column::Id.eq(id)).one(ctx.db.read()).await?;
    let row = row.ok_or_else(|| missing.clone())?;
    let visible = loras::by_ids(ctx, actor, &[row.lora_id]).await?;
    if visible.is_empty() { Err(missing.into()) } else { Ok(row) }
}

/// How the stars of several LoRAs spread, for loaders. Ask for LoRAs that were loaded for the same actor.
///
/// # Errors
/// What the database says.
pub async fn spreads(ctx: &Context, _actor: &Actor, loras: &[Uuid]) -> Result<HashMap<Uuid, Spread>, ReadError> {
    spread_by(ctx, rating::Column::LoraId, loras).await
}

/// How the stars of several versions spread, for loaders. Ask for versions that were loaded for the same actor.
///
/// # Errors
/// What the database says.
pub async fn version_spreads(
    ctx: &Context,
    _actor: &Actor,
    versions: &[Uuid],
) -> Result<HashMap<Uuid, Spread>, ReadError> {
    spread_by(ctx, rating::Column::LoraVersionId, versions).await
}

async fn spread_by(ctx: &Context, of: rating::Column, keys: &[Uuid]) -> Result<HashMap<Uuid, Spread>, ReadError> {
    let rows: Vec<(Uuid, i32, i64)> = rating::Entity::find()
        .select_only()
        .column(of)
        .column(rating::Column::Stars)
        .column_as(rating::Column::Id.count(), "number")
        .filter(of.is_in(keys.iter().copied()))
        .filter(rating::Column::DeletedAt.is_null())
        .filter(rating::Column::HiddenAt.is_null())
        .group_by(of)
        .group_by(rating::Column::Stars)
        .into_tuple()
        .all(ctx.db.read())
        .await?;
    let mut spreads: HashMap<Uuid, Spread> = keys.iter().map(|key| (*key, Spread::default())).collect();
    for (key, stars, count) in rows {
        let place = usize::try_from(stars - 1).ok();
        let spread = spreads.entry(key).or_default();
        if let Some(place) = place.and_then(|place| spread.get_mut(place)) {
            *place += count;
        }
    }
    Ok(spreads)
}

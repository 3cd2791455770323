//! Ratings: one to five stars and a review, one a person and version. A rating that its author takes back, or that the
//! moderators hide, counts for nothing from then on.

mod list;
mod use_marker;
pub mod vote;

use atelier_entities::{
    asset, generation, generation_lora, kinds::EventKind, lora, lora_download, lora_version, rating,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect, QueryTrait,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::block;
use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{ReadError, Refused},
    failures,
    idempotency::{self, KeyError},
    outbox,
    policy::{Action, RatingOn, Resource as _, authorize},
    text,
    widen::widen,
};

pub use list::{RatingSort, Spread, get, list, spreads, version_spreads};
pub use use_marker::UseMarker;

const LONGEST_REVIEW: usize = 5_000;

/// So many imagined ratings stand beside the real ones, so that one friend's five stars do not outrank a hundred fours.
const PRIOR_COUNT: f64 = 5.0;

/// How many stars each imagined rating has.
const PRIOR_STARS: f64 = 3.0;

/// A rating to be given.
#[derive(Clone, Debug, Serialize)]
pub struct RateLora {
    /// The LoRA.
    pub lora: Uuid,
    /// The version; the one that is shown without one.
    pub version: Option<Uuid>,
    /// 1 to 5.
    pub stars: i32,
    /// Why; may be empty.
    pub review: String,
}

failures! {
    /// Why [`rate`] refused.
    pub enum RateLoraError {
        /// Nobody judges their own work.
        OwnLora => ("loraId", "OWN_LORA", "This LoRA belongs to your team. Ratings are for others to give."),
        /// There is nothing to rate.
        NoVersion => ("versionId", "NO_VERSION", "This LoRA has no such published version. Leave `versionId` out to rate the latest."),
        /// Its maker has blocked them.
        NotOpen => ("loraId", "NOT_OPEN_TO_YOU", "You cannot rate this LoRA. Everything else about it stays open to you."),
    }
}

failures! {
    /// Why [`delete`] refused.
    pub enum DeleteRatingError {}
}

widen!(KeyError, ReadError => RateLoraError);
widen!(ReadError => DeleteRatingError);

/// Rates a version of a LoRA; a second rating by the same person replaces the first.
///
/// # Errors
/// [`RateLoraError`]; an [`crate::error::Invalid`] for stars or a review out of range.
pub async fn rate(
    ctx: &Context,
    actor: &Actor,
    input: RateLora,
    key: Option<&str>,
) -> Result<rating::Model, RateLoraError> {
    let person = actor.person()?;
    let stars = text::check_range("stars", input.stars, 1, 5)?;
    let review = text::check("review", &input.review, 0, LONGEST_REVIEW)?;
    let tx = ctx.db.write().await?;
    // Locked, so that two ratings at the same time both enter the sum.
    let lora = lora::Entity::find_by_id(input.lora).lock_exclusive().one(&tx).await?;
    let lora = lora.ok_or(Refused::NotFound(lora::Model::NAME))?;
    let permit = authorize(actor, Action::LoraRate, &lora)?;
    let once = idempotency::begin(&tx, ctx, person.id, key, "rateLora", &input).await?;
    if let Some(id) = once.earlier() {
        let earlier = rating::Entity::find_by_id(id).one(&tx).await?;
        return Ok(earlier.ok_or(Refused::NotFound("rating"))?);
    }
    if person.role_in(lora.team_id).is_some() {
        return Err(RateLoraError::OwnLora);
    }
    if block::stands_between(&tx, lora.created_by, person.id).await? {
        return Err(RateLoraError::NotOpen);
    }
    let version = rated_version(&tx, &lora, input.version).await?.ok_or(RateLoraError::NoVersion)?;
    let earlier = rating::Entity::find()
        .filter(rating::Column::LoraVersionId.eq(version))
        .filter(rating::Column::UserId.eq(person.id))
        .one(&tx)
        .await?;
    let (is_first, before) = (earlier.is_none(), earlier.as_ref().map(Weight::of).unwrap_or_default());
    let has_used = has_used(&tx, person.id, version).await?;
    let row = store(&tx, ctx, earlier, (lora.id, version, person.id), (stars, review, has_used)).await?;
    let lora = recount(&tx, lora, before, Weight::of(&row)).await?;
    audit::record(&tx, ctx, &permit, Some(lora.id), json!({ "rating": row.id, "stars": stars })).await?;
    once.remember(&tx, ctx, row.id).await?;
    let event = outbox::Event {
        kind: EventKind::LoraRated,
        team: Some(lora.team_id),
        actor: Some(person.id),
        subject: lora.id,
        payload: json!({ "rating": row.id, "stars": stars, "first": is_first }),
    };
    outbox::append(&tx, ctx, event).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// Takes one's rating back: stars and review count and show no more. The person may rate the version again; that is no
/// first rating then, and no news.
///
/// # Errors
/// [`Refused::NotFound`] for a rating that is gone already.
pub async fn delete(ctx: &Context, actor: &Actor, id: Uuid) -> Result<lora::Model, DeleteRatingError> {
    let tx = ctx.db.write().await?;
    let (row, lora) = locked(&tx, id).await?;
    let permit = authorize(actor, Action::RatingDelete, &RatingOn { rating: &row, lora: &lora })?;
    let before = Weight::of(&row);
    let mut row = row.into_active_model();
    row.review = Set(String::new());
    row.deleted_at = Set(Some(ctx.now()));
    row.updated_at = Set(ctx.now());
    row.update(&tx).await?;
    let lora = recount(&tx, lora, before, Weight::default()).await?;
    audit::record(&tx, ctx, &permit, Some(id), json!({ "do": "delete", "lora": lora.id })).await?;
    let event = outbox::Event {
        kind: EventKind::LoraChanged,
        team: Some(lora.team_id),
        actor: actor.user_id(),
        subject: lora.id,
        payload: json!({ "figure": "rating" }),
    };
    outbox::append(&tx, ctx, event).await?;
    ctx.commit(tx).await?;
    Ok(lora)
}

/// A rating that was not taken back, and its LoRA, locked so that its figures can be changed.
pub(crate) async fn locked(tx: &DatabaseTransaction, id: Uuid) -> Result<(rating::Model, lora::Model), ReadError> {
    let missing = || Refused::NotFound(RatingOn::NAME);
    let row = rating::Entity::find_by_id(id).one(tx).await?.ok_or_else(missing)?;
    let lora = lora::Entity::find_by_id(row.lora_id).lock_exclusive().one(tx).await?.ok_or_else(missing)?;
    // What changes a rating holds its LoRA: only now does the row stand still.
    let row = rating::Entity::find_by_id(id).filter(rating::Column::DeletedAt.is_null()).one(tx).await?;
    Ok((row.ok_or_else(missing)?, lora))
}

/// What a rating adds to the figures of its LoRA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    stars: i64,
    count: i64,
}

impl Weight {
    /// Nothing, once it was taken back or hidden.
    pub(crate) fn of(row: &rating::Model) -> Self {
        match (row.deleted_at, row.hidden_at) {
            (None, None) => Self { stars: i64::from(row.stars), count: 1 },
            (Some(_), _) | (None, Some(_)) => Self::default(),
        }
    }
}

/// Brings the figures of a LoRA, which must be locked, up to date after one of its ratings changed.
pub(crate) async fn recount(
    tx: &DatabaseTransaction,
    lora: lora::Model,
    before: Weight,
    after: Weight,
) -> Result<lora::Model, DbErr> {
    if before == after {
        return Ok(lora);
    }
    let sum = lora.rating_sum + after.stars - before.stars;
    let count = lora.rating_count + after.count - before.count;
    let mut lora = lora.into_active_model();
    lora.rating_sum = Set(sum);
    lora.rating_count = Set(count);
    lora.rating_score = Set(score(sum, count));
    lora.update(tx).await
}

/// The average with the imagined ratings in it.
#[allow(clippy::cast_precision_loss, reason = "sums of stars are far below 2^53")]
pub(crate) fn score(sum: i64, count: i64) -> f64 {
    match count {
        0 => 0.0,
        count => (PRIOR_COUNT * PRIOR_STARS + sum as f64) / (PRIOR_COUNT + count as f64),
    }
}

async fn rated_version(
    tx: &DatabaseTransaction,
    lora: &lora::Model,
    wanted: Option<Uuid>,
) -> Result<Option<Uuid>, DbErr> {
    let Some(wanted) = wanted.or(lora.latest_version_id) else { return Ok(None) };
    let found = lora_version::Entity::find_by_id(wanted)
        .filter(lora_version::Column::LoraId.eq(lora.id))
        .filter(lora_version::Column::PublishedAt.is_not_null())
        .one(tx)
        .await?;
    Ok(found.map(|version| version.id))
}

async fn store(
    tx: &DatabaseTransaction,
    ctx: &Context,
    earlier: Option<rating::Model>,
    (lora, version, user): (Uuid, Uuid, Uuid),
    (stars, review, has_used): (i32, String, bool),
) -> Result<rating::Model, DbErr> {
    let now = ctx.now();
    match earlier {
        Some(earlier) => {
            let has_used = earlier.has_used || has_used;
            let mut row = earlier.into_active_model();
            row.stars = Set(stars);
            row.review = Set(review);
            row.has_used = Set(has_used);
            row.updated_at = Set(now);
            row.deleted_at = Set(None);
            row.update(tx).await
        }
        None => {
            let row = rating::ActiveModel {
                id: Set(ctx.new_id()),
                lora_id: Set(lora),
                lora_version_id: Set(version),
                user_id: Set(user),
                stars: Set(stars),
                review: Set(review),
                has_used: Set(has_used),
                helpful_count: Set(0),
                created_at: Set(now),
                updated_at: Set(now),
                deleted_at: Set(None),
                hidden_at: Set(None),
            };
            row.insert(tx).await
        }
    }
}

/// Whether a person has downloaded a version or made a picture with it.
async fn has_used<C: ConnectionTrait>(tx: &C, user: Uuid, version: Uuid) -> Result<bool, DbErr> {
    let downloaded = lora_download::Entity::find()
        .filter(lora_download::Column::LoraVersionId.eq(version))
        .filter(lora_download::Column::UserId.eq(user));
    if downloaded.one(tx).await?.is_some() {
        return Ok(true);
    }
    let using = generation_lora::Entity::find()
        .select_only()
        .column(generation_lora::Column::GenerationId)
        .filter(generation_lora::Column::LoraVersionId.eq(version))
        .into_query();
    let own = generation::Entity::find()
        .select_only()
        .column(generation::Column::Id)
        .filter(generation::Column::CreatedBy.eq(user))
        .filter(generation::Column::Id.in_subquery(using))
        .into_query();
    Ok(asset::Entity::find().filter(asset::Column::GenerationId.in_subquery(own)).limit(1).count(tx).await? > 0)
}

//! Ratings: one to five stars and a review, one a person and version.

use std::collections::HashMap;

use async_trait::async_trait;
use atelier_entities::{
    asset, generation, generation_lora, job,
    kinds::{EventKind, JobKind, JobState},
    lora, lora_version, outbox_event, rating,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect, QueryTrait, sea_query::Expr,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    audit,
    context::Context,
    error::{ReadError, Refused},
    failures,
    idempotency::{self, KeyError},
    lora as loras, nested,
    outbox::{self, Consumer},
    page::{Direction, Page, PageRequest},
    policy::{Action, Resource as _, authorize},
    text,
    widen::widen,
};

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
    }
}

widen!(KeyError => RateLoraError);

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
    let version = rated_version(&tx, &lora, input.version).await?.ok_or(RateLoraError::NoVersion)?;
    let earlier = rating::Entity::find()
        .filter(rating::Column::LoraVersionId.eq(version))
        .filter(rating::Column::UserId.eq(person.id))
        .one(&tx)
        .await?;
    let is_first = earlier.is_none();
    let (sum, count) = match &earlier {
        None => (lora.rating_sum + i64::from(stars), lora.rating_count + 1),
        Some(earlier) => (lora.rating_sum + i64::from(stars - earlier.stars), lora.rating_count),
    };
    let has_used = has_used(&tx, person.id, version).await?;
    let row = store(&tx, ctx, earlier, (lora.id, version, person.id), (stars, review, has_used)).await?;
    let (lora_id, team) = (lora.id, lora.team_id);
    let mut lora = lora.into_active_model();
    lora.rating_sum = Set(sum);
    lora.rating_count = Set(count);
    lora.rating_score = Set(score(sum, count));
    lora.update(&tx).await?;
    audit::record(&tx, ctx, &permit, Some(lora_id), json!({ "rating": row.id, "stars": stars })).await?;
    once.remember(&tx, ctx, row.id).await?;
    let event = outbox::Event {
        kind: EventKind::LoraRated,
        team: Some(team),
        actor: Some(person.id),
        subject: lora_id,
        payload: json!({ "rating": row.id, "stars": stars, "first": is_first }),
    };
    outbox::append(&tx, ctx, event).await?;
    ctx.commit(tx).await?;
    Ok(row)
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
                created_at: Set(now),
                updated_at: Set(now),
            };
            row.insert(tx).await
        }
    }
}

/// Whether a person has made a picture with a version.
async fn has_used<C: ConnectionTrait>(tx: &C, user: Uuid, version: Uuid) -> Result<bool, DbErr> {
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

/// Marks ratings whose authors make pictures with the LoRA later: it follows the ends of generations.
#[derive(Debug, Default)]
pub struct UseMarker;

#[async_trait]
impl Consumer for UseMarker {
    fn name(&self) -> &'static str {
        "rating_use"
    }

    async fn consume(
        &self,
        _ctx: &Context,
        tx: &DatabaseTransaction,
        events: &[outbox_event::Model],
    ) -> anyhow::Result<()> {
        let ended = events.iter().filter(|event| event.kind == EventKind::JobFinished).map(|event| event.subject_id);
        let done = job::Entity::find()
            .filter(job::Column::Id.is_in(ended))
            .filter(job::Column::Kind.eq(JobKind::Generate))
            .filter(job::Column::State.eq(JobState::Succeeded))
            .all(tx)
            .await?;
        for job in done {
            if let Some(user) = job.created_by {
                mark_used(tx, user, job.subject_id).await?;
            }
        }
        Ok(())
    }
}

async fn mark_used(tx: &DatabaseTransaction, user: Uuid, generation: Uuid) -> Result<(), DbErr> {
    let used = generation_lora::Entity::find()
        .select_only()
        .column(generation_lora::Column::LoraVersionId)
        .filter(generation_lora::Column::GenerationId.eq(generation))
        .into_query();
    rating::Entity::update_many()
        .col_expr(rating::Column::HasUsed, Expr::value(true))
        .filter(rating::Column::UserId.eq(user))
        .filter(rating::Column::LoraVersionId.in_subquery(used))
        .exec(tx)
        .await
        .map(|_| ())
}

/// The ratings of several LoRAs, newest first; those that the actor may not see have none.
///
/// # Errors
/// A cursor that cannot be read.
pub async fn pages(
    ctx: &Context,
    actor: &Actor,
    of: &[Uuid],
    request: &PageRequest,
) -> Result<HashMap<Uuid, Page<rating::Model>>, ReadError> {
    let seen: Vec<Uuid> = loras::by_ids(ctx, actor, of).await?.into_keys().collect();
    let columns = (rating::Column::LoraId, rating::Column::Id);
    let keys = |row: &rating::Model| (row.lora_id, row.id);
    let select = rating::Entity::find();
    Ok(nested::pages(select, columns, keys, &seen, request, Direction::NewestFirst, ctx.db.read()).await?)
}

/// A rating of a LoRA that the actor may see.
///
/// # Errors
/// [`Refused::NotFound`].
pub async fn get(ctx: &Context, actor: &Actor, id: Uuid) -> Result<rating::Model, ReadError> {
    let missing = Refused::NotFound("rating");
    let row = rating::Entity::find_by_id(id).one(ctx.db.read()).await?.ok_or_else(|| missing.clone())?;
    let visible = loras::by_ids(ctx, actor, &[row.lora_id]).await?;
    if visible.is_empty() { Err(missing.into()) } else { Ok(row) }
}

//! A team's dashboard: everything of its LoRAs in a fixed number of statements.

use std::collections::HashMap;

use atelier_entities::{
    follow, kinds::LoraState, lora, lora_trend, lora_usage_day as day_row, lora_usage_team as team_row, membership,
    rating, team,
};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait as _, Iterable as _, Order, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, Query, UnionType},
};
use uuid::Uuid;

use super::{
    read::{DAYS, Figures, MOST_DAYS, before, distinct, every_day, put, sums, total},
    trends,
};
use crate::{
    actor::Actor,
    context::Context,
    error::{ReadError, Refused},
    policy::{Action, Resource as _, authorize},
    text,
};

/// How many LoRAs have a row of their own; the totals count all.
const MOST_LORAS: u64 = 100;

/// What people said in stars in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ratings {
    /// How many ratings.
    pub count: i64,
    /// Their stars together.
    pub stars: i64,
}

/// A LoRA on the dashboard.
#[derive(Clone, Debug, PartialEq)]
pub struct DashboardLora {
    /// The LoRA.
    pub lora: lora::Model,
    /// How much it was used.
    pub figures: Figures,
    /// What people said.
    pub ratings: Ratings,
    /// Its place among everything that is published, by what trends; none for what is not.
    pub trending_rank: Option<i64>,
}

/// How a team's LoRAs do.
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    /// The team.
    pub team: team::Model,
    /// The first day.
    pub from: NaiveDate,
    /// The last day: today.
    pub to: NaiveDate,
    /// All LoRAs and days together.
    pub totals: Figures,
    /// The same of as many days before.
    pub earlier: Figures,
    /// Every day, in order.
    pub days: Vec<(NaiveDate, Figures)>,
    /// The LoRAs, the most used first, at most a hundred.
    pub loras: Vec<DashboardLora>,
    /// What people said of all of them.
    pub ratings: Ratings,
    /// People who began to follow a member and still do.
    pub followers_gained: i64,
}

/// How a team's LoRAs do, in the last days until today; the actor's own team without one.
///
/// # Errors
/// [`Refused`] for who is no member; an [`Invalid`](crate::error::Invalid) for a number of days out of range.
pub async fn dashboard(
    ctx: &Context,
    actor: &Actor,
    team: Option<Uuid>,
    days: Option<i32>,
) -> Result<Dashboard, ReadError> {
    let person = actor.person()?;
    let db = ctx.db.read();
    let id = team.unwrap_or(person.personal_team);
    let team = team::Entity::find_by_id(id).one(db).await?.ok_or(Refused::NotFound(team::Model::NAME))?;
    authorize(actor, Action::UsageRead, &team)?;
    let days = text::check_range("days", days.map_or(DAYS, i64::from), 1, MOST_DAYS)?;
    let to = ctx.now().date_naive();
    let from = before(to, days - 1);
    let earlier = (before(from, days), before(from, 1));

    let mut by_day: HashMap<NaiveDate, Figures> = sums(ctx, used(id, from, to), day_row::Column::Day).await?;
    put(&mut by_day, distinct(ctx, teams(id, from, to), team_row::Column::Day).await?);
    let mut by_lora: HashMap<Uuid, Figures> = sums(ctx, used(id, from, to), day_row::Column::LoraId).await?;
    put(&mut by_lora, distinct(ctx, teams(id, from, to), team_row::Column::LoraId).await?);
    let before: HashMap<Uuid, Figures> = sums(ctx, used(id, earlier.0, earlier.1), day_row::Column::LoraId).await?;
    let rated = ratings(ctx, id, from).await?;
    let all_ratings = rated
        .values()
        .fold(Ratings::default(), |sum, one| Ratings { count: sum.count + one.count, stars: sum.stars + one.stars });
    Ok(Dashboard {
        from,
        to,
        totals: Figures { teams: all_teams(ctx, teams(id, from, to)).await?, ..total(by_day.values()) },
        earlier: Figures { teams: all_teams(ctx, teams(id, earlier.0, earlier.1)).await?, ..total(before.values()) },
        days: every_day(from, to, &by_day),
        loras: loras(ctx, id, (from, to), &by_lora, &rated).await?,
        ratings: all_ratings,
        followers_gained: followers_gained(ctx, id, from).await?,
        team,
    })
}

/// The keys of a team's LoRAs.
fn of_team(team: Uuid) -> sea_orm::sea_query::SelectStatement {
    let own = lora::Entity::find().filter(lora::Column::TeamId.eq(team));
    own.filter(lora::Column::State.ne(LoraState::Deleted)).select_only().column(lora::Column::Id).into_query()
}

fn used(team: Uuid, from: NaiveDate, to: NaiveDate) -> Select<day_row::Entity> {
    let select = day_row::Entity::find().filter(day_row::Column::LoraId.in_subquery(of_team(team)));
    select.filter(day_row::Column::Day.between(from, to))
}

fn teams(team: Uuid, from: NaiveDate, to: NaiveDate) -> Select<team_row::Entity> {
    let select = team_row::Entity::find().filter(team_row::Column::LoraId.in_subquery(of_team(team)));
    select.filter(team_row::Column::Day.between(from, to))
}

async fn all_teams(ctx: &Context, select: Select<team_row::Entity>) -> Result<i64, DbErr> {
    let count = Expr::col((team_row::Entity, team_row::Column::TeamId)).count_distinct();
    let select = select.select_only().column_as(count, "teams").into_tuple::<i64>();
    Ok(select.one(ctx.db.read()).await?.unwrap_or_default())
}

/// The most used LoRAs with all that is shown of them: those that were used, then the newest others.
async fn loras(
    ctx: &Context,
    team: Uuid,
    (from, to): (NaiveDate, NaiveDate),
    figures: &HashMap<Uuid, Figures>,
    ratings: &HashMap<Uuid, Ratings>,
) -> Result<Vec<DashboardLora>, ReadError> {
    let uses = Query::select()
        .expr(Expr::col(day_row::Column::Generations).add(Expr::col(day_row::Column::Downloads)).sum())
        .from(day_row::Entity)
        .and_where(Expr::col((day_row::Entity, day_row::Column::LoraId)).equals((lora::Entity, lora::Column::Id)))
        .and_where(Expr::col((day_row::Entity, day_row::Column::Day)).between(from, to))
        .take();
    let uses = sea_orm::sea_query::Func::coalesce([
        sea_orm::sea_query::SimpleExpr::SubQuery(None, Box::new(uses.into())),
        Expr::value(0),
    ]);
    let rows = lora::Entity::find()
        .filter(lora::Column::Id.in_subquery(of_team(team)))
        .order_by(uses, Order::Desc)
        .order_by_desc(lora::Column::Id)
        .limit(MOST_LORAS)
        .all(ctx.db.read())
        .await?;
    let ranks = ranks(ctx, &rows).await?;
    let row = |lora: lora::Model| DashboardLora {
        figures: figures.get(&lora.id).copied().unwrap_or_default(),
        ratings: ratings.get(&lora.id).copied().unwrap_or_default(),
        trending_rank: ranks.get(&lora.id).copied(),
        lora,
    };
    Ok(rows.into_iter().map(row).collect())
}

/// The places of LoRAs among everything that is published, by what trends. Those that tie share a place.
///
/// What stands above is counted in the index of the scores, each stretch between two of the LoRAs once, whatever state it is
/// in; of what is not published little trends, and it is taken off again. To look each LoRA above up takes a hundred times as
/// long.
async fn ranks(ctx: &Context, loras: &[lora::Model]) -> Result<HashMap<Uuid, i64>, DbErr> {
    let shown = loras.iter().filter(|row| row.target().public).map(|row| row.id);
    let trends = trends(ctx.db.read(), shown).await?;
    let mut scores: Vec<f64> = trends.values().copied().collect();
    scores.sort_unstable_by(|one, other| other.total_cmp(one));
    scores.dedup();
    let Some(lowest) = scores.last().copied() else { return Ok(HashMap::new()) };
    let not_shown = scores_not_shown(ctx, lowest).await?;
    let mut above = 0;
    let mut places = Vec::with_capacity(scores.len());
    for (score, between) in scores.iter().zip(counts_above(ctx, &scores).await?) {
        above += between;
        let aside = not_shown.iter().filter(|other| *other > score).count();
        places.push((*score, above - i64::try_from(aside).unwrap_or(i64::MAX) + 1));
    }
    let place = |score: f64| places.iter().find(|(other, _)| other.total_cmp(&score).is_eq()).map(|(_, place)| *place);
    Ok(trends.into_iter().filter_map(|(lora, score)| Some((lora, place(score)?))).collect())
}

/// How many scores lie above the first of several, between the first and the second, and so on; from the highest down.
async fn counts_above(ctx: &Context, scores: &[f64]) -> Result<Vec<i64>, DbErr> {
    let stretches = scores.iter().enumerate().map(|(place, score)| {
        let above = lora_trend::Entity::find().filter(lora_trend::Column::Score.gt(*score));
        let stretch = match place.checked_sub(1).and_then(|before| scores.get(before)) {
            Some(before) => above.filter(lora_trend::Column::Score.lte(*before)),
            None => above,
        };
        let place = i32::try_from(place).unwrap_or(i32::MAX);
        stretch
            .select_only()
            .expr_as(Expr::value(place), "place")
            .expr_as(Expr::col(lora_trend::Column::Score).count(), "number")
            .into_query()
    });
    let all = stretches.reduce(|mut all, stretch| all.union(UnionType::All, stretch).take());
    let Some(all) = all else { return Ok(Vec::new()) };
    let mut counts = vec![0; scores.len()];
    for row in ctx.db.read().query_all(&all).await? {
        let (place, count): (i32, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        if let Some(known) = usize::try_from(place).ok().and_then(|place| counts.get_mut(place)) {
            *known = count;
        }
    }
    Ok(counts)
}

/// The scores above one of LoRAs that not everybody may see.
async fn scores_not_shown(ctx: &Context, lowest: f64) -> Result<Vec<f64>, DbErr> {
    let ids = || lora::Entity::find().select_only().column(lora::Column::Id);
    let others = LoraState::iter().filter(|state| *state != LoraState::Published);
    let hidden =
        ids().filter(lora::Column::State.eq(LoraState::Published)).filter(lora::Column::HiddenAt.is_not_null());
    let not_shown =
        ids().filter(lora::Column::State.is_in(others)).into_query().union(UnionType::All, hidden.into_query()).take();
    lora_trend::Entity::find()
        .select_only()
        .column(lora_trend::Column::Score)
        .filter(lora_trend::Column::LoraId.in_subquery(not_shown))
        .filter(lora_trend::Column::Score.gt(lowest))
        .into_tuple()
        .all(ctx.db.read())
        .await
}

/// What people said of each of a team's LoRAs since a day.
async fn ratings(ctx: &Context, team: Uuid, since: NaiveDate) -> Result<HashMap<Uuid, Ratings>, DbErr> {
    let stars = Expr::col((rating::Entity, rating::Column::Stars)).sum().cast_as("bigint");
    let rows: Vec<(Uuid, i64, i64)> = rating::Entity::find()
        .select_only()
        .column(rating::Column::LoraId)
        .column_as(rating::Column::Id.count(), "number")
        .column_as(stars, "all_stars")
        .filter(rating::Column::LoraId.in_subquery(of_team(team)))
        .filter(rating::Column::UpdatedAt.gte(midnight(since)))
        .filter(rating::Column::DeletedAt.is_null())
        .filter(rating::Column::HiddenAt.is_null())
        .group_by(rating::Column::LoraId)
        .into_tuple()
        .all(ctx.db.read())
        .await?;
    Ok(rows.into_iter().map(|(lora, count, stars)| (lora, Ratings { count, stars })).collect())
}

async fn followers_gained(ctx: &Context, team: Uuid, since: NaiveDate) -> Result<i64, DbErr> {
    let members = membership::Entity::find()
        .select_only()
        .column(membership::Column::UserId)
        .filter(membership::Column::TeamId.eq(team))
        .into_query();
    let gained = follow::Entity::find()
        .filter(follow::Column::FollowedId.in_subquery(members))
        .filter(follow::Column::CreatedAt.gte(midnight(since)));
    Ok(i64::try_from(gained.count(ctx.db.read()).await?).unwrap_or(i64::MAX))
}

/// The first moment of a day.
fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

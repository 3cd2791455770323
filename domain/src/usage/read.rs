//! Reading usage: of one LoRA, by day and by version.

use std::collections::HashMap;

use atelier_entities::{lora_usage_day as day_row, lora_usage_team as team_row};
use chrono::{Days, NaiveDate};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, ExprTrait as _, QueryFilter, QuerySelect, Select, TryGetable,
    sea_query::{Expr, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    actor::Actor,
    context::Context,
    error::{Invalid, ReadError},
    lora as loras,
    policy::{Action, authorize},
};

/// The longest time that is shown at once, in days.
pub(super) const MOST_DAYS: i64 = 366;

/// How many days are shown when nobody says.
pub(super) const DAYS: i64 = 30;

/// How much something was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// First downloads: of each person and version one.
    pub downloads: i64,
    /// Generations that succeeded.
    pub generations: i64,
    /// Pictures that were made.
    pub pictures_made: i64,
    /// Those of them that have not been deleted.
    pub pictures_kept: i64,
    /// Different teams that generated.
    pub teams: i64,
}

/// How much a LoRA was used in some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoraUsage {
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// All days and versions together.
    pub totals: Figures,
    /// Every day, in order.
    pub days: Vec<(NaiveDate, Figures)>,
    /// Every version that was used, the most used first.
    pub versions: Vec<(Uuid, Figures)>,
}

/// How much a LoRA was used from one day to another, both included; in the last 30 days if nobody says. A team sees its own.
///
/// # Errors
/// [`Refused`](crate::error::Refused) for who is no member; an [`Invalid`] for days in the wrong order or too many.
pub async fn lora_usage(
    ctx: &Context,
    actor: &Actor,
    lora: Uuid,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<LoraUsage, ReadError> {
    let row = loras::get(ctx, actor, lora).await?;
    authorize(actor, Action::UsageRead, &row)?;
    let (from, to) = range(ctx, from, to)?;
    let rows = || {
        let of_lora = day_row::Entity::find().filter(day_row::Column::LoraId.eq(lora));
        of_lora.filter(day_row::Column::Day.between(from, to))
    };
    let teams = || {
        let of_lora = team_row::Entity::find().filter(team_row::Column::LoraId.eq(lora));
        of_lora.filter(team_row::Column::Day.between(from, to))
    };
    let mut days: HashMap<NaiveDate, Figures> = sums(ctx, rows(), day_row::Column::Day).await?;
    put(&mut days, distinct(ctx, teams(), team_row::Column::Day).await?);
    let mut versions: HashMap<Uuid, Figures> = sums(ctx, rows(), day_row::Column::LoraVersionId).await?;
    put(&mut versions, distinct(ctx, teams(), team_row::Column::LoraVersionId).await?);
    let mut versions: Vec<(Uuid, Figures)> = versions.into_iter().collect();
    versions.sort_by_key(|(id, figures)| (std::cmp::Reverse((figures.generations, figures.downloads)), *id));
    let all_teams: HashMap<Uuid, i64> = distinct(ctx, teams(), team_row::Column::LoraId).await?;
    let totals = Figures { teams: all_teams.get(&lora).copied().unwrap_or_default(), ..total(days.values()) };
    Ok(LoraUsage { from, to, totals, days: every_day(from, to, &days), versions })
}

/// The days that are asked for.
fn range(ctx: &Context, from: Option<NaiveDate>, to: Option<NaiveDate>) -> Result<(NaiveDate, NaiveDate), Invalid> {
    let bad = |field: &'static str, message: String| Err(Invalid::new(field, "OUT_OF_RANGE", message));
    let years = chrono::Datelike::year;
    for (field, day) in [("from", from), ("to", to)] {
        if let Some(day) = day.filter(|day| !(1970..=9999).contains(&years(day))) {
            return bad(field, format!("`{field}` is {day}; it must lie between the years 1970 and 9999."));
        }
    }
    let to = to.unwrap_or_else(|| from.map_or_else(|| ctx.now().date_naive(), |from| before(from, 1 - DAYS)));
    let from = from.unwrap_or_else(|| before(to, DAYS - 1));
    let days = (to - from).num_days() + 1;
    if days < 1 {
        return bad("from", format!("`from` is {from} and `to` is {to}; name the earlier day first."));
    }
    if days > MOST_DAYS {
        return bad("from", format!("From {from} to {to} are {days} days; at most {MOST_DAYS} are shown at once."));
    }
    Ok((from, to))
}

/// The day so many days before another; after it, if the number is negative.
pub(super) fn before(day: NaiveDate, days: i64) -> NaiveDate {
    let number = Days::new(days.unsigned_abs());
    let moved = if days < 0 { day.checked_add_days(number) } else { day.checked_sub_days(number) };
    moved.unwrap_or(day)
}

/// Sums of the figures by a column; teams are another matter, since a sum would count them twice.
pub(super) async fn sums<K>(
    ctx: &Context,
    select: Select<day_row::Entity>,
    by: day_row::Column,
) -> Result<HashMap<K, Figures>, DbErr>
where
    K: std::hash::Hash + Eq + TryGetable + Send,
{
    let rows: Vec<(K, i64, i64, i64, i64)> = select
        .select_only()
        .column(by)
        .column_as(sum(day_row::Column::Downloads), "downloads")
        .column_as(sum(day_row::Column::Generations), "generations")
        .column_as(sum(day_row::Column::PicturesMade), "pictures_made")
        .column_as(sum(day_row::Column::PicturesKept), "pictures_kept")
        .group_by(by)
        .into_tuple()
        .all(ctx.db.read())
        .await?;
    let figures = |(key, downloads, generations, pictures_made, pictures_kept)| {
        (key, Figures { downloads, generations, pictures_made, pictures_kept, teams: 0 })
    };
    Ok(rows.into_iter().map(figures).collect())
}

/// A sum as a whole number: PostgreSQL's would be a decimal.
pub(super) fn sum(column: day_row::Column) -> SimpleExpr {
    Expr::col((day_row::Entity, column)).sum().cast_as("bigint")
}

/// How many different teams there are by a column.
pub(super) async fn distinct<K>(
    ctx: &Context,
    select: Select<team_row::Entity>,
    by: team_row::Column,
) -> Result<HashMap<K, i64>, DbErr>
where
    K: std::hash::Hash + Eq + TryGetable + Send,
{
    let rows: Vec<(K, i64)> = select
        .select_only()
        .column(by)
        .column_as(Expr::col((team_row::Entity, team_row::Column::TeamId)).count_distinct(), "teams")
        .group_by(by)
        .into_tuple()
        .all(ctx.db.read())
        .await?;
    Ok(rows.into_iter().collect())
}

/// Puts numbers of teams to the other figures.
pub(super) fn put<K: std::hash::Hash + Eq>(figures: &mut HashMap<K, Figures>, teams: HashMap<K, i64>) {
    for (key, teams) in teams {
        figures.entry(key).or_default().teams = teams;
    }
}

/// The sum of figures, without teams.
pub(super) fn total<'a>(figures: impl Iterator<Item = &'a Figures>) -> Figures {
    figures.fold(Figures::default(), |sum, one| Figures {
        downloads: sum.downloads + one.downloads,
        generations: sum.generations + one.generations,
        pictures_made: sum.pictures_made + one.pictures_made,
        pictures_kept: sum.pictures_kept + one.pictures_kept,
        teams: 0,
    })
}

/// Every day from one to another, those too on which nothing happened.
pub(super) fn every_day(
    from: NaiveDate,
    to: NaiveDate,
    figures: &HashMap<NaiveDate, Figures>,
) -> Vec<(NaiveDate, Figures)> {
    let days = from.iter_days().take_while(|day| *day <= to);
    days.map(|day| (day, figures.get(&day).copied().unwrap_or_default())).collect()
}

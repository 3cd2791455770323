//! Lists of LoRAs straight from the database: what is asked for without words, and what stands in another state than
//! published, which the index does not tell apart.

use atelier_entities::{
    compatibility,
    kinds::LoraState,
    lora, lora_version as version,
    scope::{Scoped, shown_to_all},
};
use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, Func, LikeExpr, Query, SelectStatement, SimpleExpr, extension::postgres::PgBinOper},
};
use uuid::Uuid;

use super::{
    search::{LoraFilter, LoraSort, is_published},
    versions,
};
use crate::{
    actor::Actor,
    context::Context,
    error::ReadError,
    page::{Page, PageRequest, bad_cursor, read_cursor, write_cursor},
    social::block::Blocked,
    text,
};

/// A page of LoRAs by a column that sorts them, then by key: every row comes once also while rows are inserted.
pub(super) async fn page(
    ctx: &Context,
    actor: &Actor,
    words: &[String],
    (filter, blocked): (&LoraFilter, &Blocked),
    sort: LoraSort,
    request: &PageRequest,
) -> Result<Page<lora::Model>, ReadError> {
    let mut select = without(ctx, filtered(ctx, actor, words, filter), blocked);
    let order = Order::of(sort, is_published(filter));
    if let Some(cursor) = &request.after {
        select = select.filter(order.after(cursor).ok_or_else(bad_cursor)?);
    }
    let select = select.order_by_desc(order.expression()).order_by_desc(lora::Column::Id);
    let rows = select.limit(request.with_next()).all(ctx.db.read()).await?;
    Ok(Page::cut(rows, request, |row| order.cursor(row)))
}

/// What sorts a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// When it was published; of a draft, when it was made.
    Time,
    /// When it was published.
    Published,
    Rating,
    Downloads,
}

impl Order {
    fn of(sort: LoraSort, is_published: bool) -> Self {
        match sort {
            LoraSort::Relevance | LoraSort::Trending | LoraSort::Newest if is_published => Self::Published,
            LoraSort::Relevance | LoraSort::Trending | LoraSort::Newest => Self::Time,
            LoraSort::Rating => Self::Rating,
            LoraSort::Downloads => Self::Downloads,
        }
    }

    fn expression(self) -> SimpleExpr {
        match self {
            Self::Time => time().into(),
            Self::Published => Expr::col(lora::Column::PublishedAt),
            Self::Rating => Expr::col(lora::Column::RatingScore),
            Self::Downloads => Expr::col(lora::Column::DownloadCount),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Time | Self::Published => "published",
            Self::Rating => "rating",
            Self::Downloads => "downloads",
        }
    }

    fn cursor(self, row: &lora::Model) -> String {
        let value = match self {
            Self::Time | Self::Published => row.published_at.unwrap_or(row.created_at).timestamp_micros().to_string(),
            Self::Rating => row.rating_score.to_string(),
            Self::Downloads => row.download_count.to_string(),
        };
        write_cursor(&format!("{}:{value}:{}", self.name(), row.id))
    }

    /// The rows that come after a cursor; none if it is no cursor of this order.
    fn after(self, cursor: &str) -> Option<Condition> {
        let text = read_cursor(cursor)?;
        let mut parts = text.splitn(3, ':');
        if parts.next()? != self.name() {
            return None;
        }
        let value = parts.next()?;
        let id: Uuid = parts.next()?.parse().ok()?;
        let value = match self {
            Self::Time | Self::Published => {
                let time = DateTime::<Utc>::from_timestamp_micros(value.parse().ok()?)?;
                Expr::value(Some(time).filter(text::is_storable)?)
            }
            Self::Rating => Expr::value(value.parse::<f64>().ok()?),
            Self::Downloads => Expr::value(value.parse::<i64>().ok()?),
        };
        let tied = Condition::all().add(self.expression().eq(value.clone())).add(lora::Column::Id.lt(id));
        Some(Condition::any().add(self.expression().lt(value)).add(tied))
    }
}

/// When a LoRA was published; of a draft, when it was made.
fn time() -> sea_orm::sea_query::FunctionCall {
    Func::coalesce([Expr::col(lora::Column::PublishedAt), Expr::col(lora::Column::CreatedAt)])
}

fn filtered(ctx: &Context, actor: &Actor, words: &[String], filter: &LoraFilter) -> Select<lora::Entity> {
    let state = filter.state.unwrap_or(LoraState::Published);
    let mut select = if is_published(filter) {
        // Everybody sees the same: an index gives them in order.
        lora::Entity::find().filter(shown_to_all())
    } else {
        lora::Entity::visible_to(&actor.scope()).filter(lora::Column::State.eq(state))
    };
    for word in words {
        let texts = [lora::Column::Name, lora::Column::Description].into_iter();
        let holds = texts.fold(Condition::any(), |any, text| any.add(holds(text, word)));
        select = select.filter(holds.add(tags().like(within(&word.to_lowercase()))));
    }
    for tag in &filter.tags {
        select = select.filter(has_tag(ctx, &tag.trim().to_lowercase()));
    }
    if !filter.base_models.is_empty() {
        // What is published is for the models of what is published of it, also to its team, as the index has it.
        let versions = match is_published(filter) {
            true => version::Entity::find().filter(version::Column::PublishedAt.is_not_null()),
            false => versions::visible_to(&actor.scope()),
        };
        // Asked for each LoRA that is looked at: so the list ends with the page.
        let versions = versions
            .select_only()
            .column(version::Column::Id)
            .filter(Expr::col((version::Entity, version::Column::LoraId)).equals((lora::Entity, lora::Column::Id)))
            .filter(version::Column::BaseModelId.is_in(filter.base_models.iter().copied()));
        select = select.filter(Expr::exists(versions.into_query()));
    }
    if let Some(after) = filter.published_after {
        select = select.filter(lora::Column::PublishedAt.gt(after));
    }
    if let Some(creator) = filter.creator {
        select = select.filter(lora::Column::CreatedBy.eq(creator));
    }
    if let Some(team) = filter.team {
        select = select.filter(lora::Column::TeamId.eq(team));
    }
    if !filter.licenses.is_empty() {
        let licenses = filter.licenses.iter().flat_map(|license| cases(license.trim()));
        let is_one = Func::lower(Expr::col(lora::Column::License)).is_in(licenses.clone());
        select = select.filter(Condition::any().add(is_one).add(lora::Column::License.is_in(licenses)));
    }
    if let Some(least) = filter.minimum_rating {
        select = select.filter(lora::Column::RatingScore.gte(least));
    }
    if let Some(strength) = filter.safe_at {
        select = select.filter(Expr::exists(safe_at(strength)));
    }
    select
}

/// That a text holds a word, whatever the case of either.
fn holds(text: lora::Column, word: &str) -> Condition {
    let lower = Func::lower(Expr::col(text)).like(within(&word.to_lowercase()));
    cases(word).into_iter().skip(1).fold(Condition::any().add(lower), |any, word| any.add(text.like(within(&word))))
}

/// A word in lower case, and as it is written otherwise: SQLite knows of no letters but those of ASCII in which case they are.
fn cases(word: &str) -> Vec<String> {
    let mut cases = vec![word.to_lowercase()];
    if !word.is_ascii() {
        let mut letters = cases[0].chars();
        let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        cases.extend([word.to_owned(), word.to_uppercase(), format!("{first}{}", letters.as_str())]);
    }
    cases
}

/// Leaves out what somebody does not want to see.
pub(crate) fn without(ctx: &Context, mut select: Select<lora::Entity>, blocked: &Blocked) -> Select<lora::Entity> {
    for tag in &blocked.tags {
        select = select.filter(has_tag(ctx, tag).not());
    }
    if !blocked.people.is_empty() {
        select = select.filter(lora::Column::CreatedBy.is_not_in(blocked.people.iter().copied()));
    }
    select
}

/// That a strength was measured to be safe for the version that the card shows, on the model that it was made for: what the
/// index says of published LoRAs.
fn safe_at(strength: f64) -> SelectStatement {
    let measured = |column| Expr::col((compatibility::Entity, column));
    let version = |column| Expr::col((version::Entity, column));
    Query::select()
        .expr(Expr::value(1))
        .from(compatibility::Entity)
        .from(version::Entity)
        .and_where(version(version::Column::Id).equals((lora::Entity, lora::Column::LatestVersionId)))
        .and_where(measured(compatibility::Column::LoraVersionId).equals((version::Entity, version::Column::Id)))
        .and_where(measured(compatibility::Column::BaseModelId).equals((version::Entity, version::Column::BaseModelId)))
        .and_where(measured(compatibility::Column::SafeLow).lte(strength))
        .and_where(measured(compatibility::Column::SafeHigh).gte(strength))
        .take()
}

/// That a LoRA has a tag, which is in lower case: on PostgreSQL by its index of tags.
fn has_tag(ctx: &Context, tag: &str) -> SimpleExpr {
    match ctx.db.backend() {
        DbBackend::Postgres => {
            Expr::col(lora::Column::Tags).binary(PgBinOper::Contains, Expr::value(serde_json::json!([tag])))
        }
        _ => tags().like(within(&serde_json::Value::from(tag).to_string())),
    }
}

/// The list of tags as text, such as `["ink", "wash"]`.
fn tags() -> SimpleExpr {
    Expr::col(lora::Column::Tags).cast_as("text")
}

/// A pattern for a text anywhere, in which `%`, `_` and `\` stand for themselves.
fn within(text: &str) -> LikeExpr {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    LikeExpr::new(format!("%{escaped}%")).escape('\\')
}

//! Finding LoRAs: by words and by what trends through the search index, otherwise straight from the database. Whatever
//! the index says, the database has the last word on what somebody may see.

use std::collections::HashMap;

use atelier_entities::{kinds::LoraState, lora, scope::Scope};
use atelier_search::{self as engine, SearchError};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{catalogue, versions::check_strength};
use crate::{
    actor::Actor,
    context::Context,
    error::{Invalid, ReadError},
    generation::{PictureSource, pictures},
    page::{Page, PageRequest, bad_cursor, read_cursor, too_old, write_cursor},
    policy::Resource as _,
    ports::inspector::inspect,
    social::block::{self, Blocked},
    text,
};

pub use atelier_search::{Facets, Highlight, HighlightField};

/// What somebody looks for.
#[derive(Clone, Debug, Default)]
pub struct LoraSearch {
    /// Words; typing errors are forgiven.
    pub text: Option<String>,
    /// A picture: LoRAs come first whose previews look most like it, and neither words nor the sort count.
    pub like: Option<PictureSource>,
    /// What a LoRA must be like.
    pub filter: LoraFilter,
    /// What comes first.
    pub sort: LoraSort,
    /// Which page.
    pub page: PageRequest,
    /// Whether facets are asked for with it.
    pub wants_facets: bool,
}

/// A page of what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundPage {
    /// The LoRAs.
    pub page: Page<Found>,
    /// What was counted on the way, where that was asked for and costs less than to count it apart: with [`facets`].
    pub facets: Option<Facets>,
}

/// What a LoRA must be like to be found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoraFilter {
    /// It has all of these tags.
    pub tags: Vec<String>,
    /// It is for one of these base models.
    pub base_models: Vec<Uuid>,
    /// It was made by this person.
    pub creator: Option<Uuid>,
    /// It belongs to this team.
    pub team: Option<Uuid>,
    /// It has one of these licences.
    pub licenses: Vec<String>,
    /// Its rating score is at least this.
    pub minimum_rating: Option<f64>,
    /// It was published after this time.
    pub published_after: Option<DateTime<Utc>>,
    /// This strength was measured to be safe on the model that it was made for.
    pub safe_at: Option<f64>,
    /// It stands there. Without, a list shows what is published; who looks for words or a picture finds what their own teams
    /// have not published as well.
    pub state: Option<LoraState>,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoraSort {
    /// What fits the words best; without words, what trends.
    #[default]
    Relevance,
    /// What is new and talked about.
    Trending,
    /// The newest.
    Newest,
    /// The best rated.
    Rating,
    /// The most downloaded.
    Downloads,
}

/// A LoRA that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The LoRA.
    pub lora: lora::Model,
    /// Where the words stand.
    pub highlights: Vec<Highlight>,
}

pub(super) const LONGEST_TEXT: usize = 200;
const MOST_FILTERS: usize = 20;

/// How often the index is asked for a page because the database did not confirm all that it found. A page without any row says
/// nowhere from where to go on: for the first row it is asked as often as it takes.
const MOST_ROUNDS: usize = 5;

/// How many hits the index is asked for when it is asked again, at least.
const FEWEST: usize = 20;

/// And at most.
const MANY: usize = 1_000;

/// What stands before a position of the index in a cursor: the database's cursors begin otherwise.
const INDEX_CURSOR: &str = "index:";

/// Looks for LoRAs that the actor may see. Whoever looks for something finds what their own teams have not published beside
/// what is published; a list without words or a picture is the marketplace's, and the same for everybody.
///
/// # Errors
/// [`Invalid`](crate::error::Invalid) for words or filters that are too long, and for a cursor of another list.
pub async fn search(ctx: &Context, actor: &Actor, search: &LoraSearch) -> Result<FoundPage, ReadError> {
    let words = checked_words(search)?;
    let blocked = blocked(ctx, actor, &search.filter).await?;
    let is_ranked = !words.is_empty()
        || search.like.is_some()
        || search.filter.safe_at.is_some()
        || matches!(search.sort, LoraSort::Relevance | LoraSort::Trending);
    if is_ranked && is_published(&search.filter) {
        return through_index(ctx, actor, search, &words, &blocked).await;
    }
    let page = catalogue::page(ctx, actor, &words, (&search.filter, &blocked), search.sort, &search.page).await?;
    Ok(FoundPage { page: page.map(|lora| Found { lora, highlights: Vec::new() }), facets: None })
}

/// How often each tag, licence and base model occurs among what the actor finds with a search. Where another state than
/// published is asked for nothing is counted.
///
/// # Errors
/// As [`search`].
pub async fn facets(ctx: &Context, actor: &Actor, search: &LoraSearch) -> Result<Facets, ReadError> {
    let words = checked_words(search)?;
    if !is_published(&search.filter) {
        return Ok(Facets::default());
    }
    let blocked = blocked(ctx, actor, &search.filter).await?;
    let look = look(ctx, actor, search).await?;
    let query = engine::LoraQuery { first: 0, facets: true, look, ..query(actor, search, &words, &blocked) };
    let hits = ctx.search.search(&query).await.map_err(refuse)?;
    Ok(hits.facets.unwrap_or_default())
}

/// What is left out for the actor. Drafts and the like are one's own teams': of them nothing is.
async fn blocked(ctx: &Context, actor: &Actor, filter: &LoraFilter) -> Result<Blocked, ReadError> {
    Ok(if is_published(filter) { block::of(ctx, actor).await? } else { Blocked::default() })
}

/// Whether the filter asks for what is published. The index tells apart who may see a LoRA, not in which other state it is.
pub(super) fn is_published(filter: &LoraFilter) -> bool {
    filter.state.is_none_or(|state| state == LoraState::Published)
}

fn checked_words(search: &LoraSearch) -> Result<Vec<String>, ReadError> {
    let text = text::check("search", search.text.as_deref().unwrap_or_default(), 0, LONGEST_TEXT)?;
    text::check_words("tags", &search.filter.tags, MOST_FILTERS, super::LONGEST_TAG)?;
    text::check_words("licenses", &search.filter.licenses, MOST_FILTERS, super::LONGEST_LICENSE)?;
    search.filter.published_after.map(|time| text::check_time("publishedAfter", time)).transpose()?;
    if search.filter.base_models.len() > MOST_FILTERS {
        let message = format!("At most {MOST_FILTERS} base models can be asked for at once. Remove some.");
        return Err(Invalid::new("baseModelIds", "TOO_MANY", message).into());
    }
    if search.like.is_some() && !text.is_empty() {
        let message = "Words and a picture cannot be looked for at once. Leave one of them out.";
        return Err(Invalid::new("like", "NOT_TOGETHER", message.to_owned()).into());
    }
    if search.like.is_some() && !is_published(&search.filter) {
        let message = "Only published LoRAs are found by a picture. Leave `state` out.";
        return Err(Invalid::new("like", "NOT_TOGETHER", message.to_owned()).into());
    }
    search.filter.safe_at.map(|strength| check_strength("safeStrength", strength)).transpose()?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// Asks the index, and lets through what the database confirms.
async fn through_index(
    ctx: &Context,
    actor: &Actor,
    search: &LoraSearch,
    words: &[String],
    blocked: &Blocked,
) -> Result<FoundPage, ReadError> {
    let first = search.page.first as usize;
    let (look, meaning) = (look(ctx, actor, search).await?, meaning(ctx, search, words).await?);
    // Without words and picture many ask for the same counts, which the index remembers.
    let counts = search.wants_facets && (look.is_some() || !words.is_empty());
    let mut query = engine::LoraQuery { look, meaning, facets: counts, ..query(actor, search, words, blocked) };
    if let Some(cursor) = &search.page.after {
        let text = read_cursor(cursor).ok_or_else(bad_cursor)?;
        query.after = Some(text.strip_prefix(INDEX_CURSOR).ok_or_else(bad_cursor)?.to_owned());
    }
    let mut page = Page { rows: Vec::with_capacity(first), has_next: true };
    let mut facets = None;
    for round in 1.. {
        let hits = ctx.search.search(&query).await.map_err(refuse)?;
        facets = facets.or(hits.facets);
        query.facets = false;
        page.has_next = hits.has_next && hits.last.is_some();
        query.after = hits.last;
        query.first = (query.first * 2).clamp(FEWEST, MANY);
        let mut confirmed = confirm(ctx, actor, &query.viewer, hits.hits.iter().map(|hit| hit.id)).await?;
        page.rows.extend(hits.hits.into_iter().filter_map(|hit| {
            let found = Found { lora: confirmed.remove(&hit.id)?, highlights: hit.highlights };
            Some((write_cursor(&format!("{INDEX_CURSOR}{}", hit.position)), found))
        }));
        if page.rows.len() > first {
            page.rows.truncate(first);
            page.has_next = true;
        }
        let is_enough = page.rows.len() == first || (round >= MOST_ROUNDS && !page.rows.is_empty());
        if is_enough || !page.has_next {
            break;
        }
    }
    Ok(FoundPage { page, facets })
}

/// Those LoRAs that the actor may see by now still; of a list that is the same for everybody, those that everybody may see.
pub(super) async fn confirm(
    ctx: &Context,
    actor: &Actor,
    viewer: &engine::Viewer,
    ids: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, lora::Model>, ReadError> {
    let mut rows = super::by_ids(ctx, actor, &ids.collect::<Vec<Uuid>>()).await?;
    rows.retain(|_, row| *viewer != engine::Viewer::default() || row.target().public);
    Ok(rows)
}

/// Who looks into the index: the actor, with what is their teams'.
pub(super) fn viewer(actor: &Actor) -> engine::Viewer {
    match actor.scope() {
        Scope::Everything => engine::Viewer::Everything,
        Scope::Teams(teams) => engine::Viewer::Teams(teams),
    }
}

/// Who looks into the index with a search. What is asked to be published is the same for everybody, and so is a list in
/// which nobody looks for anything: its counts are remembered for all.
fn viewer_with(actor: &Actor, search: &LoraSearch, words: &[String]) -> engine::Viewer {
    let filter = &search.filter;
    let asks_for_published = filter.state.is_some() || filter.published_after.is_some();
    let looks_for_something = !words.is_empty() || search.like.is_some();
    if looks_for_something && !asks_for_published { viewer(actor) } else { engine::Viewer::default() }
}

fn query(actor: &Actor, search: &LoraSearch, words: &[String], blocked: &Blocked) -> engine::LoraQuery {
    let filter = &search.filter;
    engine::LoraQuery {
        text: (!words.is_empty()).then(|| words.join(" ")),
        filter: engine::LoraFilter {
            tags: filter.tags.iter().map(|tag| tag.trim().to_lowercase()).collect(),
            licenses: filter.licenses.clone(),
            base_models: filter.base_models.clone(),
            creator_id: filter.creator,
            team_id: filter.team,
            rating_at_least: filter.minimum_rating,
            safe_at: filter.safe_at,
            published_after_millis: filter.published_after.map(|time| time.timestamp_millis()),
            without_tags: blocked.tags.clone(),
            without_creators: blocked.people.clone(),
        },
        viewer: viewer_with(actor, search, words),
        sort: match search.sort {
            LoraSort::Relevance => engine::LoraSort::Relevance,
            LoraSort::Trending => engine::LoraSort::Trending,
            LoraSort::Newest => engine::LoraSort::Newest,
            LoraSort::Rating => engine::LoraSort::Rating,
            LoraSort::Downloads => engine::LoraSort::Downloads,
        },
        first: search.page.first as usize,
        after: None,
        facets: false,
        meaning: None,
        look: None,
    }
}

/// What the words mean, in lists by relevance.
async fn meaning(ctx: &Context, search: &LoraSearch, words: &[String]) -> Result<Option<Vec<f32>>, ReadError> {
    if !ctx.inspector.knows_meanings() || words.is_empty() || search.sort != LoraSort::Relevance {
        return Ok(None);
    }
    let texts = vec![words.join(" ")];
    let meanings = inspect(&ctx.inspector, move |inspector| inspector.meanings(&texts)).await?;
    Ok(meanings.and_then(|mut meanings| meanings.pop()))
}

/// How the picture looks that LoRAs are to look like.
async fn look(ctx: &Context, actor: &Actor, search: &LoraSearch) -> Result<Option<Vec<f32>>, ReadError> {
    let Some(source) = search.like else { return Ok(None) };
    let file = pictures::find(ctx, actor, "like", source).await?;
    let bytes = ctx.blobs.read(&file).await?;
    let look = inspect(&ctx.inspector, move |inspector| inspector.look(&bytes)).await?;
    Ok(Some(look.map_err(|rejected| Invalid::new("like", "UNREADABLE", rejected.0))?))
}

/// LoRAs that are like another one, in their tags and in how their previews look: the most alike first. Those that are not
/// published are seen by their team alone.
///
/// # Errors
/// [`Refused::NotFound`](crate::error::Refused::NotFound) for a LoRA that the actor may not see.
pub async fn related(ctx: &Context, actor: &Actor, id: Uuid, first: u32) -> Result<Vec<lora::Model>, ReadError> {
    let lora = super::get(ctx, actor, id).await?;
    let most = first as usize;
    let (viewer, blocked) = (viewer(actor), block::of(ctx, actor).await?);
    let mut asked = most + FEWEST;
    loop {
        let found = ctx.search.related(lora.id, &viewer, asked).await.map_err(refuse)?;
        let mut confirmed = confirm(ctx, actor, &viewer, found.iter().copied()).await?;
        let shown = found.iter().filter_map(|id| confirmed.remove(id)).filter(|lora| !blocked.covers(lora));
        let shown: Vec<lora::Model> = shown.take(most).collect();
        if shown.len() == most || found.len() < asked {
            return Ok(shown);
        }
        // The actor does not want to see most of these, or they are gone since the index heard of them: there are more.
        asked *= 4;
    }
}

pub(super) fn refuse(error: SearchError) -> ReadError {
    match error {
        SearchError::BadPosition => bad_cursor().into(),
        SearchError::TooOld => too_old().into(),
        SearchError::Unavailable(_) => ReadError::Unexpected(anyhow::Error::new(error).context("search")),
    }
}

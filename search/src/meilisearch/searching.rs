//! A search from end to end.

use std::collections::HashMap;

use meilisearch_sdk::{
    indexes::Index,
    search::{MatchingStrategies, SearchQuery, SearchResult, SearchResults, Selectors},
};
use uuid::Uuid;

use super::{
    failed,
    filter::{any, behind, filter},
    http::Http,
    position::{Key, Position},
    record::{self, Found},
    vectors::{Lengths, name, nearest},
    wording::{Form, Wording, ways},
};
use crate::{
    Facets, Hit, Hits, LoraQuery, LoraSort, MOST_ALIKE, SearchError,
    likeness::{LEAST_COSINE, Space},
    words::{highlight::highlights_where, reading::Reading},
};

/// Hits on a page at most.
const MOST_HITS: usize = 1000;
/// How many hits before the last one of an earlier page are looked through for it first: as many as may have been
/// taken away from before it in the meantime.
const SLACK: usize = 20;
/// [`LEAST_COSINE`] as the engine writes it: brought into 0 to 1.
const LEAST_SCORE: f64 = (LEAST_COSINE + 1.0) / 2.0;
/// How much the meaning counts beside the words.
const SEMANTIC_SHARE: f32 = 0.5;
/// What is counted.
const FACETS: &[&str] = &["tag_values", "license", "base_models"];
/// Steps of relevance that a score tells apart.
const SCORE_STEPS: f64 = (1_u64 << 36) as f64;

type Answer = SearchResults<Found>;

/// An attribute that lists are sorted by, and its value in what was found.
type Column = (&'static str, fn(&Found) -> i64);

/// A search in an index by somebody.
pub(super) struct Searching<'a> {
    index: &'a Index<Http>,
    query: &'a LoraQuery,
    reading: &'a Reading,
    filter: String,
    sort: LoraSort,
    lengths: Lengths,
}

/// A piece of the list that the engine makes.
struct Piece<'a> {
    filter: &'a str,
    sorts: &'a [&'a str],
    offset: usize,
    limit: usize,
    facets: bool,
}

/// A page, before it is handed out.
#[derive(Default)]
struct Page {
    /// Hits with how many came up to each.
    hits: Vec<(SearchResult<Found>, usize)>,
    total: usize,
    counts: [HashMap<String, u64>; 3],
}

impl<'a> Searching<'a> {
    pub(super) fn new(index: &'a Index<Http>, query: &'a LoraQuery, reading: &'a Reading, lengths: Lengths) -> Self {
        let sort = match query.sort {
            LoraSort::Relevance if reading.parts.is_empty() => LoraSort::Trending,
            sort => sort,
        };
        Self { index, query, reading, filter: filter(&query.filter, &query.viewer), sort, lengths }
    }

    /// Finds a page.
    pub(super) async fn hits(&self) -> Result<Hits, SearchError> {
        if let Some(look) = &self.query.look {
            return self.alike(look).await;
        }
        let after =
            self.query.after.as_deref().map(|text| Position::read(text, self.sort, self.reading)).transpose()?;
        let first = self.query.first.min(MOST_HITS);
        let (wording, mut page) = match &after {
            Some(after) => (after.wording.clone(), self.page_after(after, first + 1).await?),
            None => self.first_page(first + 1).await?,
        };
        let has_next = page.hits.len() > first;
        page.hits.truncate(first);
        let hits: Vec<Hit> = page.hits.iter().map(|(hit, count)| self.hit(hit, *count, &wording)).collect();
        Ok(Hits {
            last: hits.last().map(|hit| hit.position.clone()),
            hits,
            has_next,
            total: page.total as u64,
            facets: self.query.facets.then(|| Facets::counted(&page.counts)),
        })
    }

    /// The LoRAs whose previews look most like a picture.
    async fn alike(&self, look: &[f32]) -> Result<Hits, SearchError> {
        let (sort, wording) = (LoraSort::Relevance, Wording::typed(self.reading));
        let after = self.query.after.as_deref().map(|text| Position::read(text, sort, self.reading)).transpose()?;
        let near = nearest(self.index, self.lengths, (Space::Looks, look), &self.filter, MOST_ALIKE).await?;
        let ids: Vec<Uuid> = near.iter().map(|(found, _)| found.id).collect();
        let keys = near.iter().map(|(found, cosine)| Key { score: *cosine, prominence: 0, id: found.id });
        let mut behind = keys.filter(|key| after.as_ref().is_none_or(|after| *key < after.key));
        let page: Vec<Key> = behind.by_ref().take(self.query.first.min(MOST_ALIKE)).collect();
        let has_next = behind.next().is_some();
        let hits = page.into_iter().map(|key| {
            let position = Position { sort, wording: wording.clone(), count: 0, key };
            Hit { id: key.id, score: key.score, position: position.write(), highlights: Vec::new() }
        });
        let hits: Vec<Hit> = hits.collect();
        let last = hits.last().map(|hit| hit.position.clone());
        let facets = if self.query.facets { Some(self.facets_of(&ids).await?) } else { None };
        Ok(Hits { hits, has_next, last, total: ids.len() as u64, facets })
    }

    async fn facets_of(&self, ids: &[Uuid]) -> Result<Facets, SearchError> {
        let condition = format!("{} AND {}", self.filter, any("id", ids.iter().map(Uuid::to_string)));
        let mut query = SearchQuery::new(self.index);
        query.with_filter(&condition).with_limit(1).with_facets(Selectors::Some(FACETS));
        let answer = query.execute::<Found>().await.map_err(failed)?;
        Ok(Facets::counted(&counts(&answer)))
    }

    /// The vector of what the words mean, in lists that it counts in.
    fn meaning(&self) -> Option<&[f32]> {
        let fits = |meaning: &&Vec<f32>| Some(meaning.len()) == self.lengths.of(Space::Meanings);
        self.query.meaning.as_ref().filter(|_| self.sort == LoraSort::Relevance).filter(fits).map(Vec::as_slice)
    }

    /// The best of what is found, as it was written, with how often each tag occurs.
    pub(super) async fn best(&self, most: usize) -> Result<(Vec<Found>, HashMap<String, u64>), SearchError> {
        let (_, page) = self.first_page(most).await?;
        let [tags, ..] = page.counts;
        Ok((page.hits.into_iter().map(|(hit, _)| hit.result).collect(), tags))
    }

    /// The first hits, and what was asked for in the end: where nothing has all of it, what nothing has is left away.
    async fn first_page(&self, limit: usize) -> Result<(Wording, Page), SearchError> {
        let mut wording = Wording::typed(self.reading);
        let mut page = self.at_the_start(&wording, limit).await?;
        if page.total > 0 || self.reading.parts.is_empty() {
            return Ok((wording, page));
        }
        wording = self.what_is_there().await?;
        if wording.is_empty() {
            return Ok((wording, Page::default()));
        }
        page = self.at_the_start(&wording, limit).await?;
        if page.total == 0 {
            wording.all = false;
            page = self.at_the_start(&wording, limit).await?;
        }
        Ok((wording, page))
    }

    async fn at_the_start(&self, wording: &Wording, limit: usize) -> Result<Page, SearchError> {
        let sorts = self.column().map(|(attribute, _)| [format!("{attribute}:desc"), "id:desc".to_owned()]);
        let sorts: Vec<&str> = sorts.iter().flatten().map(String::as_str).collect();
        let facets = self.query.facets;
        let piece = Piece { filter: &self.filter, sorts: &sorts, offset: 0, limit, facets };
        let answer = self.ask(wording, piece).await?;
        Ok(Page { total: total(&answer), counts: counts(&answer), hits: answer.hits.into_iter().zip(1..).collect() })
    }

    async fn page_after(&self, after: &Position, limit: usize) -> Result<Page, SearchError> {
        match self.column() {
            Some((attribute, _)) => self.behind_in_column(attribute, after, limit).await,
            None => self.behind_in_relevance(after, limit).await,
        }
    }

    async fn behind_in_column(&self, attribute: &str, after: &Position, limit: usize) -> Result<Page, SearchError> {
        let Key { score, id, .. } = after.key;
        let narrowed = format!("{} AND {}", self.filter, behind(attribute, score as i64, id));
        let first = format!("{attribute}:desc");
        let sorts = [first.as_str(), "id:desc"];
        let page = Piece { filter: &narrowed, sorts: &sorts, offset: 0, limit, facets: false };
        let whole = Piece { filter: &self.filter, sorts: &[], offset: 0, limit: 1, facets: self.query.facets };
        let (page, whole) = tokio::try_join!(self.ask(&after.wording, page), self.ask(&after.wording, whole))?;
        let hits = page.hits.into_iter().zip(after.count + 1..).collect();
        Ok(Page { hits, total: total(&whole), counts: counts(&whole) })
    }

    /// The engine gives this list by number alone, and numbers move when LoRAs come and go. So it is looked for where
    /// the earlier page ended, and what does not sort behind that is left out.
    async fn behind_in_relevance(&self, after: &Position, limit: usize) -> Result<Page, SearchError> {
        let mut back = SLACK;
        let mut page = Page::default();
        let mut offset = loop {
            let offset = after.count.saturating_sub(back);
            let answer = self.relevant(after, offset, 1, false).await?;
            if offset == 0 || answer.hits.first().is_some_and(|hit| key(hit) >= after.key) {
                break offset;
            }
            back *= 4;
        };
        while page.hits.len() < limit {
            let wanted = limit - page.hits.len() + after.count.saturating_sub(offset);
            let answer = self.relevant(after, offset, wanted, self.query.facets).await?;
            (page.total, page.counts) = (total(&answer), counts(&answer));
            let came = answer.hits.len();
            page.hits.extend(answer.hits.into_iter().zip(offset + 1..).filter(|(hit, _)| key(hit) < after.key));
            offset += came;
            if came < wanted {
                break;
            }
        }
        Ok(page)
    }

    async fn relevant(
        &self,
        after: &Position,
        offset: usize,
        limit: usize,
        facets: bool,
    ) -> Result<Answer, SearchError> {
        self.ask(&after.wording, Piece { filter: &self.filter, sorts: &[], offset, limit, facets }).await
    }

    async fn ask(&self, wording: &Wording, piece: Piece<'_>) -> Result<Answer, SearchError> {
        let text = wording.text(self.reading);
        let mut query = SearchQuery::new(self.index);
        query
            .with_query(&text)
            .with_filter(piece.filter)
            .with_offset(piece.offset)
            .with_limit(piece.limit.max(1))
            .with_matching_strategy(if wording.all { MatchingStrategies::ALL } else { MatchingStrategies::LAST })
            .with_attributes_to_retrieve(Selectors::Some(Found::ALL))
            .with_show_ranking_score(true)
            .with_show_matches_position(!text.is_empty());
        if let Some(meaning) = self.meaning() {
            query.with_vector(meaning).with_hybrid(name(Space::Meanings), SEMANTIC_SHARE);
        }
        if !piece.sorts.is_empty() {
            query.with_sort(piece.sorts);
        }
        if piece.facets {
            query.with_facets(Selectors::Some(FACETS));
        }
        let mut answer = query.execute::<Found>().await.map_err(failed)?;
        answer.hits.truncate(piece.limit);
        if self.meaning().is_some() {
            leave_out_what_is_not_meant(&mut answer, piece.offset);
        }
        Ok(answer)
    }

    /// Of the parts of what was typed, those that something has, each in a form in which something has it.
    async fn what_is_there(&self) -> Result<Wording, SearchError> {
        let ways: Vec<_> = self.reading.parts.iter().map(ways).collect();
        let mut queries = self.index.client.multi_search();
        for (_, text) in ways.iter().flatten() {
            let mut query = SearchQuery::new(self.index);
            query
                .with_query(text)
                .with_filter(&self.filter)
                .with_limit(1)
                .with_matching_strategy(MatchingStrategies::ALL);
            queries.with_search_query(query.with_attributes_to_retrieve(Selectors::Some(&["id"])).build());
        }
        let answers = queries.execute::<Found>().await.map_err(failed)?;
        let mut finds = answers.results.iter().map(|answer| !answer.hits.is_empty());
        let mut forms = Vec::with_capacity(ways.len());
        for ways in &ways {
            let mut chosen = Form::Left;
            for (form, _) in ways {
                if finds.next() == Some(true) && chosen == Form::Left {
                    chosen = *form;
                }
            }
            forms.push(chosen);
        }
        Ok(Wording { forms, all: true })
    }

    /// The attribute that the list is sorted by, and its value in what was found; none where it is relevance.
    fn column(&self) -> Option<Column> {
        match self.sort {
            LoraSort::Relevance => None,
            LoraSort::Trending => Some(("trending", |found| found.trending)),
            LoraSort::Rating => Some(("rating", |found| found.rating)),
            LoraSort::Downloads => Some(("downloads", |found| found.downloads)),
            LoraSort::Newest => Some(("published", |found| found.published)),
        }
    }

    fn hit(&self, result: &SearchResult<Found>, count: usize, wording: &Wording) -> Hit {
        let found = &result.result;
        let (key, score) = match self.column() {
            None => {
                let key = key(result);
                let liked = ((record::from_millionths(key.prominence) - 1.0) / 0.2).clamp(0.0, 0.99);
                (key, (key.score * SCORE_STEPS).round() + liked)
            }
            Some((attribute, value)) => {
                let value = value(found);
                let shown = match attribute {
                    "trending" | "rating" => record::from_millionths(value),
                    _ => value as f64,
                };
                (Key { score: value as f64, prominence: 0, id: found.id }, shown)
            }
        };
        let ranges = result.matches_position.as_ref();
        let highlights = highlights_where(found.texts(), |field, index, text| {
            let (attribute, index) = record::attribute(field, index);
            let ranges = ranges.and_then(|ranges| ranges.get(attribute)).map_or(&[][..], Vec::as_slice);
            record::matched(ranges, index, text)
        });
        let position = Position { sort: self.sort, wording: wording.clone(), count, key };
        Hit { id: found.id, score, position: position.write(), highlights }
    }
}

/// By meaning the engine finds everything, however far away. The list ends with what is near.
fn leave_out_what_is_not_meant(answer: &mut Answer, offset: usize) {
    let came = answer.hits.len();
    let has_words = |hit: &SearchResult<Found>| hit.matches_position.as_ref().is_some_and(|places| !places.is_empty());
    answer.hits.retain(|hit| has_words(hit) || hit.ranking_score.is_some_and(|score| score >= LEAST_SCORE));
    if answer.hits.len() < came {
        answer.estimated_total_hits = Some(offset + answer.hits.len());
    }
}

fn key(hit: &SearchResult<Found>) -> Key {
    Key { score: hit.ranking_score.unwrap_or_default(), prominence: hit.result.prominence, id: hit.result.id }
}

fn total(answer: &Answer) -> usize {
    answer.estimated_total_hits.unwrap_or_default()
}

fn counts(answer: &Answer) -> [HashMap<String, u64>; 3] {
    let of = |name: &str| {
        let counts = answer.facet_distribution.as_ref().and_then(|facets| facets.get(name)).into_iter().flatten();
        counts.map(|(value, count)| (record::decoded(value), *count as u64)).collect()
    };
    [of(FACETS[0]), of(FACETS[1]), of(FACETS[2])]
}

impl Found {
    /// Id and name.
    pub(super) fn named(self) -> (Uuid, String) {
        (self.id, self.name)
    }
}

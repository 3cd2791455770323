//! What has the words and what means the same, in one list.
//!
//! The first [`WINDOW`] by words and the nearest by meaning are joined by their ranks (Cormack, Clarke and Büttcher,
//! "Reciprocal rank fusion", 2009): what stands high in one list stands high, what stands in both stands higher. Behind them
//! comes what else has the words.

use std::collections::{HashMap, HashSet};

use tantivy::Searcher;
use uuid::Uuid;

use super::{
    alike::{Near, Passing},
    position::Position,
    ranking::{Key, Ranking},
    search::{Engine, Found, MOST_HITS},
    states,
};
use crate::{
    Facets, Hit, Hits, LoraQuery, LoraSort, SearchError,
    likeness::{LEAST_COSINE, Space},
    words::{highlight, reading::Reading},
};

/// LoRAs with the words whose ranks count.
const WINDOW: usize = 200;

/// LoRAs that mean the same whose ranks count.
const MEANT: usize = 100;

/// How little the first ranks are ahead of those behind them.
const RANK_OFFSET: f64 = 60.0;

impl Engine {
    pub(super) fn by_words_and_meaning(
        &self,
        query: &LoraQuery,
        reading: &Reading,
        meaning: &[f32],
        after: Option<Position>,
    ) -> Result<Hits, SearchError> {
        let facets = query.facets;
        let window = Ranking { sort: LoraSort::Relevance, most: WINDOW, after: None, columns: &self.columns, facets };
        let searcher = match after {
            Some(position) => self.state(position.state)?,
            None => self.reader.searcher(),
        };
        let found = self.find(searcher, query, reading, &window, after.map(|position| position.strictness))?;
        let near = self.near(&found.searcher, query, (Space::Meanings, meaning), MEANT, after)?;
        let meant: Vec<Key> = near.keys.iter().copied().filter(|key| key.score >= LEAST_COSINE).collect();
        let both = fused(&found, &meant);
        let worded: HashSet<u128> = found.ranked.top.iter().map(|(key, _)| key.id).collect();
        let alone: Vec<Uuid> =
            meant.iter().filter(|key| !worded.contains(&key.id)).map(|key| Uuid::from_u128(key.id)).collect();
        let wanted = query.first.min(MOST_HITS) + 1;
        let mut page: Vec<(Key, bool)> = match after {
            Some(position) if position.is_behind_both => Vec::new(),
            Some(position) => {
                let last = Key { score: position.score, id: position.id.as_u128() };
                both.into_iter().filter(|key| *key < last).map(|key| (key, false)).take(wanted).collect()
            }
            None => both.into_iter().map(|key| (key, false)).take(wanted).collect(),
        };
        if page.len() < wanted && found.ranked.total > WINDOW as u64 {
            let behind = match after.filter(|position| position.is_behind_both) {
                Some(position) => Some(Key { score: position.score, id: position.id.as_u128() }),
                None => found.ranked.top.last().map(|(key, _)| *key),
            };
            // Those that mean the same came before.
            let most = wanted - page.len() + alone.len();
            let rest =
                Ranking { sort: LoraSort::Relevance, most, after: behind, columns: &self.columns, facets: false };
            let rest = self.find(found.searcher.clone(), query, reading, &rest, Some(found.strictness))?;
            let rest = rest.ranked.top.into_iter().filter(|(key, _)| !alone.contains(&Uuid::from_u128(key.id)));
            page.extend(rest.map(|(key, _)| (key, true)).take(wanted - page.len()));
        }
        self.handed_out(query, (found, near), page, alone.len() as u64)
    }

    fn handed_out(
        &self,
        query: &LoraQuery,
        (found, near): (Found, Near),
        mut page: Vec<(Key, bool)>,
        alone: u64,
    ) -> Result<Hits, SearchError> {
        let has_next = page.len() > query.first.min(MOST_HITS);
        page.truncate(query.first.min(MOST_HITS));
        let state = states::name(&found.searcher);
        if !page.is_empty() {
            self.states.searchers.keep(state, found.searcher.clone());
            self.states.near.keep(near.name, near.keys.clone());
        }
        let current = self.reader.searcher();
        // What was near was asked for with the first page, and may have been asked for otherwise.
        let is_outdated = query.after.is_some() || states::name(&current) != state;
        let place = |key: Key, is_behind_both| Position {
            sort: LoraSort::Relevance,
            strictness: found.strictness,
            is_behind_both,
            state,
            near: near.name,
            score: key.score,
            id: Uuid::from_u128(key.id),
        };
        let last = page.last().map(|(key, is_behind_both)| place(*key, *is_behind_both).write());
        let mut hits = Vec::with_capacity(page.len());
        for (key, is_behind_both) in page {
            let id = Uuid::from_u128(key.id);
            if is_outdated && !self.is_visible(&current, query, id)? {
                continue;
            }
            let highlights = match self.document(&found.searcher, query, id)? {
                Some(lora) => highlight::highlights(&lora, &found.marks),
                None => Vec::new(),
            };
            let position = place(key, is_behind_both).write();
            hits.push(Hit { id, score: key.score, position, highlights });
        }
        let facets = query.facets.then(|| Facets::counted(&found.ranked.counts));
        Ok(Hits { hits, has_next, last, total: found.ranked.total + alone, facets })
    }

    fn document(
        &self,
        searcher: &Searcher,
        query: &LoraQuery,
        id: Uuid,
    ) -> Result<Option<crate::LoraDocument>, SearchError> {
        let found = self.those(searcher, Passing::of(query), Some(&[id]), false)?;
        found.top.first().map(|(_, address)| self.lora(searcher, *address)).transpose()
    }
}

/// Both lists as one, by the sum of what their ranks count.
fn fused(found: &Found, meant: &[Key]) -> Vec<Key> {
    let mut scores: HashMap<u128, f64> = HashMap::new();
    let by_words = found.ranked.top.iter().map(|(key, _)| key.id);
    for (rank, id) in by_words.enumerate().chain(meant.iter().map(|key| key.id).enumerate()) {
        *scores.entry(id).or_default() += 1.0 / (RANK_OFFSET + 1.0 + rank as f64);
    }
    let mut both: Vec<Key> = scores.into_iter().map(|(id, score)| Key { score, id }).collect();
    both.sort_by(|a, b| b.cmp(a));
    both
}

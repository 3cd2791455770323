//! LoRAs whose vectors lie near another one.

use std::collections::{HashMap, HashSet};

use tantivy::{
    Searcher,
    query::{BooleanQuery, Occur, Query, TermSetQuery},
};
use uuid::Uuid;

use super::{
    failed,
    matching::Strictness,
    position::Position,
    ranking::{Key, Ranked, Ranking},
    restrictions,
    search::Engine,
};
use crate::{Facets, Hit, Hits, LoraFilter, LoraQuery, LoraSort, MOST_ALIKE, SearchError, Viewer, likeness::Space};

/// Vectors that are looked through at first for each LoRA that is wanted: a LoRA has several.
const AT_FIRST: usize = 4;

/// From so many on it is better to look at all that pass the filter.
const MANY: usize = 20_000;

/// What a LoRA must be like, and who looks.
#[derive(Clone, Copy)]
pub(super) struct Passing<'a> {
    pub(super) filter: &'a LoraFilter,
    pub(super) viewer: &'a Viewer,
}

impl<'a> Passing<'a> {
    pub(super) const fn of(query: &'a LoraQuery) -> Self {
        Self { filter: &query.filter, viewer: &query.viewer }
    }
}

impl Engine {
    /// The LoRAs whose previews look most like a picture.
    pub(super) fn alike(&self, query: &LoraQuery, look: &[f32]) -> Result<Hits, SearchError> {
        let after = query.after.as_deref().map(|text| Position::read(text, LoraSort::Relevance)).transpose()?;
        let after = after.map(|position| Key { score: position.score, id: position.id.as_u128() });
        let searcher = self.reader.searcher();
        let near = self.nearest(&searcher, Passing::of(query), Space::Looks, look, MOST_ALIKE)?;
        let ids: Vec<Uuid> = near.iter().map(|key| Uuid::from_u128(key.id)).collect();
        let mut behind = near.into_iter().filter(|key| after.is_none_or(|after| *key < after));
        let page: Vec<Key> = behind.by_ref().take(query.first.min(MOST_ALIKE)).collect();
        let has_next = behind.next().is_some();
        let hits: Vec<Hit> = page
            .into_iter()
            .map(|Key { score, id }| {
                let id = Uuid::from_u128(id);
                let strictness = Strictness::FALLING[0];
                let place =
                    Position { sort: LoraSort::Relevance, strictness, is_behind_both: false, state: 0, score, id };
                Hit { id, score, position: place.write(), highlights: Vec::new() }
            })
            .collect();
        let last = hits.last().map(|hit| hit.position.clone());
        let facets = if query.facets {
            let counts = self.those(&searcher, Passing::of(query), Some(&ids), true)?.counts;
            Some(Facets::counted(&counts))
        } else {
            None
        };
        Ok(Hits { hits, has_next, last, total: ids.len() as u64, facets })
    }

    /// The LoRAs that pass and whose vectors lie nearest, in order, with the cosine as their score.
    pub(super) fn nearest(
        &self,
        searcher: &Searcher,
        passing: Passing<'_>,
        space: Space,
        vector: &[f32],
        most: usize,
    ) -> Result<Vec<Key>, SearchError> {
        let mut among = most * AT_FIRST;
        while among < MANY {
            let (near, has_more) = self.vectors.nearest(space, vector, among)?;
            let ids: Vec<Uuid> = near.iter().map(|(id, _)| *id).collect();
            let seen = ids_of(&self.those(searcher, passing, Some(&ids), false)?);
            let found: Vec<(Uuid, f32)> = near.into_iter().filter(|(id, _)| seen.contains(id)).collect();
            if found.len() >= most || !has_more {
                return Ok(in_order(found, most));
            }
            among *= 8;
        }
        // Few pass: each is looked at.
        let ids: Vec<Uuid> = ids_of(&self.those(searcher, passing, None, false)?).into_iter().collect();
        Ok(in_order(self.vectors.likeness(space, vector, &ids)?, most))
    }

    /// Of some LoRAs, or of all, those that pass, in no order that means anything.
    pub(super) fn those(
        &self,
        searcher: &Searcher,
        passing: Passing<'_>,
        ids: Option<&[Uuid]>,
        facets: bool,
    ) -> Result<Ranked, SearchError> {
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        if let Some(ids) = ids {
            let terms = ids.iter().map(|id| self.fields.id_term(*id));
            clauses.push((Occur::Must, Box::new(TermSetQuery::new(terms))));
        }
        let restrictions = restrictions::restrictions(&self.fields, passing.filter, passing.viewer);
        clauses.extend(restrictions.into_iter().map(|query| (Occur::Must, query)));
        let ranking = Ranking { sort: LoraSort::Newest, most: usize::MAX, after: None, columns: &self.columns, facets };
        searcher.search(&BooleanQuery::new(clauses), &ranking).map_err(failed)
    }
}

pub(super) fn ids_of(ranked: &Ranked) -> HashSet<Uuid> {
    ranked.top.iter().map(|(key, _)| Uuid::from_u128(key.id)).collect()
}

/// The first of what was found, each LoRA once.
fn in_order(found: Vec<(Uuid, f32)>, most: usize) -> Vec<Key> {
    let unique: HashMap<Uuid, f32> = found.into_iter().collect();
    let mut keys: Vec<Key> =
        unique.into_iter().map(|(id, cosine)| Key { score: f64::from(cosine), id: id.as_u128() }).collect();
    keys.sort_by(|a, b| b.cmp(a));
    keys.truncate(most);
    keys
}

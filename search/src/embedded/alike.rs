//! LoRAs whose vectors lie near another one.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

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
    states,
};
use crate::{Facets, Hit, Hits, LoraFilter, LoraQuery, LoraSort, MOST_ALIKE, SearchError, Viewer, likeness::Space};

/// Vectors that are looked through at first for each LoRA that is wanted: a LoRA has several.
const AT_FIRST: usize = 4;

/// From so many on it is better to look at all that pass the filter.
const MANY: usize = 20_000;

/// What was near a vector when a list began.
pub(super) struct Near {
    /// The state of the index then.
    state: u64,
    /// What it is kept by.
    pub(super) name: u64,
    pub(super) keys: Arc<[Key]>,
}

/// What a LoRA must be like, and who looks.
#[derive(Clone, Copy, Debug)]
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
        let searcher = self.reader.searcher();
        let near = self.near(&searcher, query, (Space::Looks, look), MOST_ALIKE, after)?;
        let ids: Vec<Uuid> = near.keys.iter().map(|key| Uuid::from_u128(key.id)).collect();
        let last_one = after.map(|position| Key { score: position.score, id: position.id.as_u128() });
        let mut behind = near.keys.iter().copied().filter(|key| last_one.is_none_or(|last_one| *key < last_one));
        let page: Vec<Key> = behind.by_ref().take(query.first.min(MOST_ALIKE)).collect();
        let has_next = behind.next().is_some();
        if !page.is_empty() {
            self.states.near.keep(near.name, near.keys.clone());
        }
        let place = |Key { score, id }| {
            let (strictness, id) = (Strictness::FALLING[0], Uuid::from_u128(id));
            let (sort, state, near) = (LoraSort::Relevance, near.state, near.name);
            Position { sort, strictness, is_behind_both: false, state, near, score, id }.write()
        };
        let last = page.last().map(|key| place(*key));
        // The list is the one that began; who may see what of it is decided anew.
        let on_page: Vec<Uuid> = page.iter().map(|key| Uuid::from_u128(key.id)).collect();
        let seen = ids_of(&self.those(&searcher, Passing::of(query), Some(&on_page), false)?);
        let shown = page.into_iter().filter(|key| seen.contains(&Uuid::from_u128(key.id)));
        let hit = |key: Key| Hit {
            id: Uuid::from_u128(key.id),
            score: key.score,
            position: place(key),
            highlights: Vec::new(),
        };
        let hits: Vec<Hit> = shown.map(hit).collect();
        let facets = if query.facets {
            let counts = self.those(&searcher, Passing::of(query), Some(&ids), true)?.counts;
            Some(Facets::counted(&counts))
        } else {
            None
        };
        Ok(Hits { hits, has_next, last, total: ids.len() as u64, facets })
    }

    /// The LoRAs that pass and whose vectors lie nearest, as a list began with them.
    pub(super) fn near(
        &self,
        searcher: &Searcher,
        query: &LoraQuery,
        (space, vector): (Space, &[f32]),
        most: usize,
        after: Option<Position>,
    ) -> Result<Near, SearchError> {
        let passing = Passing::of(query);
        let (state, name) = match after {
            Some(position) => (position.state, position.near),
            None => {
                let state = states::name(searcher);
                (state, states::name_of_near(state, space, vector, &passing))
            }
        };
        if let Some(keys) = self.states.near.get(name) {
            return Ok(Near { state, name, keys });
        }
        // As long as nothing has changed, the same is near.
        if after.is_some() && states::name(&self.reader.searcher()) != state {
            return Err(SearchError::TooOld);
        }
        let keys = self.nearest(searcher, passing, space, vector, most)?.into();
        Ok(Near { state, name, keys })
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

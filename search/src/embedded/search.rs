//! A search from end to end.

use std::{collections::HashMap, sync::Arc};

use tantivy::{
    DocAddress, IndexReader, Searcher, TantivyDocument,
    collector::Count,
    query::{BooleanQuery, EnableScoring, Occur, TermQuery},
    schema::{IndexRecordOption, Value},
};
use uuid::Uuid;

use super::{
    columns::Columns,
    failed,
    lists::Lists,
    matching::{Matching, Strictness},
    position::Position,
    ranking::{Key, Ranked, Ranking},
    restrictions,
    schema::Fields,
    scoring::Search,
    states::{self, States},
    vectors::Vectors,
};
use crate::{
    Facets, Hit, Hits, LoraDocument, LoraQuery, LoraSort, SearchError,
    words::{
        highlight::{self, Marks},
        reading::Reading,
        synonyms::Synonyms,
    },
};

/// Hits on a page at most.
pub(super) const MOST_HITS: usize = 1000;

/// What searches.
pub(super) struct Engine {
    pub(super) reader: IndexReader,
    pub(super) fields: Fields,
    pub(super) synonyms: Arc<Synonyms>,
    pub(super) states: Arc<States>,
    pub(super) vectors: Arc<Vectors>,
    pub(super) columns: Arc<Columns>,
}

/// What was found and where.
pub(super) struct Found {
    pub(super) searcher: Searcher,
    pub(super) ranked: Ranked,
    pub(super) strictness: Strictness,
    pub(super) marks: Marks,
}

impl Engine {
    /// Finds a page of LoRAs.
    pub(super) fn search(&self, query: &LoraQuery) -> Result<Hits, SearchError> {
        let reading = Reading::new(query.text.as_deref().unwrap_or_default());
        let sort = match query.sort {
            LoraSort::Relevance if reading.parts.is_empty() => LoraSort::Trending,
            sort => sort,
        };
        if let Some(look) = &query.look {
            return self.alike(query, look);
        }
        let after = query.after.as_deref().map(|text| Position::read(text, sort)).transpose()?;
        if let (Some(meaning), LoraSort::Relevance) = (&query.meaning, sort) {
            return self.by_words_and_meaning(query, &reading, meaning, after);
        }
        let first = query.first.min(MOST_HITS);
        let ranking = Ranking {
            sort,
            most: first + 1,
            after: after.map(|position| Key { score: position.score, id: position.id.as_u128() }),
            columns: &self.columns,
            facets: query.facets,
        };
        let searcher = match after.filter(|_| sort == LoraSort::Relevance) {
            Some(position) => self.state(position.state)?,
            None => self.reader.searcher(),
        };
        let found = self.find(searcher, query, &reading, &ranking, after.map(|position| position.strictness))?;
        let has_next = found.ranked.top.len() > first;
        let top = &found.ranked.top[..first.min(found.ranked.top.len())];
        let state = states::name(&found.searcher);
        if !top.is_empty() && sort == LoraSort::Relevance {
            self.states.searchers.keep(state, found.searcher.clone());
        }
        let current = self.reader.searcher();
        let outdated = states::name(&current) != state;
        let (mut hits, mut last) = (Vec::with_capacity(top.len()), None);
        for (key, address) in top {
            let id = Uuid::from_u128(key.id);
            let (strictness, score) = (found.strictness, key.score);
            let position = Position { sort, strictness, is_behind_both: false, state, near: 0, score, id };
            last = Some(position);
            // An earlier state decides on the order, never on who may see what.
            if outdated && !self.is_visible(&current, query, id)? {
                continue;
            }
            let lora = (!reading.parts.is_empty()).then(|| self.lora(&found.searcher, *address)).transpose()?;
            let highlights = lora.map(|lora| highlight::highlights(&lora, &found.marks)).unwrap_or_default();
            hits.push(Hit { id, score: key.score, position: position.write(), highlights });
        }
        let facets = query.facets.then(|| Facets::counted(&found.ranked.counts));
        let last = last.map(|position| position.write());
        Ok(Hits { hits, has_next, last, total: found.ranked.total, facets })
    }

    /// The state of the index that a list began in.
    pub(super) fn state(&self, name: u64) -> Result<Searcher, SearchError> {
        let current = self.reader.searcher();
        let is_current = states::name(&current) == name;
        if is_current { Ok(current) } else { self.states.searchers.get(name).ok_or(SearchError::TooOld) }
    }

    /// Asks for all of the words, and for fewer of them where that finds nothing; where a list goes on, as strictly as it
    /// began.
    pub(super) fn find(
        &self,
        searcher: Searcher,
        query: &LoraQuery,
        reading: &Reading,
        ranking: &Ranking<'_>,
        begun: Option<Strictness>,
    ) -> Result<Found, SearchError> {
        let meanings = self.synonyms.meanings();
        let matching = Matching::new(&searcher, &self.fields, &meanings, reading).map_err(failed)?;
        let mut strictness = begun.unwrap_or(Strictness::All);
        if matching.is_empty() {
            let all = restrictions::restrictions(&self.fields, &query.filter, &query.viewer);
            let all = BooleanQuery::new(all.into_iter().map(|query| (Occur::Must, query)).collect());
            let ranked = searcher.search(&all, ranking).map_err(failed)?;
            return Ok(Found { searcher, ranked, strictness, marks: matching.marks });
        }
        let unscored = EnableScoring::disabled_from_searcher(&searcher);
        let listed = restrictions::listed(&self.fields, &query.filter, &query.viewer);
        let listed: tantivy::Result<Vec<_>> = listed.iter().map(|query| query.weight(unscored)).collect();
        let (listed, limits) = (listed.map_err(failed)?, restrictions::limits(&self.fields, &query.filter));
        let lists = Lists::new(&searcher, &self.fields, &matching).map_err(failed)?;
        let run = |strictness| {
            let least = matching.least(strictness);
            let search = Search { lists: &lists, least, listed: &listed, limits: &limits };
            search.run(&searcher, ranking).map_err(failed)
        };
        let mut ranked = run(strictness)?;
        // Only the first page chooses: what follows has to be the same list.
        if begun.is_none() {
            for weaker in Strictness::FALLING {
                if ranked.total == 0 && matching.differs(weaker, strictness) {
                    ranked = run(weaker)?;
                    strictness = weaker;
                }
            }
        }
        Ok(Found { searcher, ranked, strictness, marks: matching.marks })
    }

    pub(super) fn is_visible(&self, current: &Searcher, query: &LoraQuery, id: Uuid) -> Result<bool, SearchError> {
        let term = TermQuery::new(self.fields.id_term(id), IndexRecordOption::Basic);
        let mut clauses: Vec<(Occur, Box<dyn tantivy::query::Query>)> = vec![(Occur::Must, Box::new(term))];
        let restrictions = restrictions::restrictions(&self.fields, &query.filter, &query.viewer);
        clauses.extend(restrictions.into_iter().map(|query| (Occur::Must, query)));
        Ok(current.search(&BooleanQuery::new(clauses), &Count).map_err(failed)? > 0)
    }

    pub(super) fn lora(&self, searcher: &Searcher, address: DocAddress) -> Result<LoraDocument, SearchError> {
        let document: TantivyDocument = searcher.doc(address).map_err(failed)?;
        let source = document.get_first(self.fields.source).and_then(|value| value.as_bytes());
        let damaged = || SearchError::Unavailable("a document of the search index cannot be read".to_owned());
        serde_json::from_slice(source.ok_or_else(damaged)?).map_err(|_| damaged())
    }
}

impl Found {
    /// The LoRAs that were found, in order.
    pub(super) fn loras(&self, engine: &Engine) -> Result<Vec<LoraDocument>, SearchError> {
        self.ranked.top.iter().map(|(_, address)| engine.lora(&self.searcher, *address)).collect()
    }

    /// How often each tag occurs among what was found.
    pub(super) const fn tags(&self) -> &HashMap<String, u64> {
        &self.ranked.counts[0]
    }
}

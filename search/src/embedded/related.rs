//! LoRAs that are like another one.

use std::collections::HashMap;

use tantivy::{
    Searcher, Term,
    query::{BooleanQuery, BoostQuery, Occur, Query, TermQuery, TermSetQuery},
    schema::IndexRecordOption,
};
use uuid::Uuid;

use super::{
    alike::{Passing, ids_of},
    failed,
    ranking::Ranking,
    restrictions,
    search::Engine,
};
use crate::{
    LoraFilter, LoraSort, SearchError, Viewer,
    likeness::{LOOKED_AT, Space, most_alike, of_looks, tag_weights},
    words::whole_value,
};

impl Engine {
    pub(super) fn related(&self, id: Uuid, viewer: &Viewer, most: usize) -> Result<Vec<Uuid>, SearchError> {
        let searcher = self.reader.searcher();
        let everything = LoraFilter::default();
        let passing = Passing { filter: &everything, viewer };
        let source = self.those(&searcher, passing, Some(&[id]), false)?;
        let Some((_, address)) = source.top.first() else { return Ok(Vec::new()) };
        let tags = self.tags(&searcher, &self.lora(&searcher, *address)?.tags)?;
        let mut scores: HashMap<Uuid, f64> = HashMap::new();
        self.add_tagged(&searcher, passing, &tags, None, &mut scores)?;
        for look in self.vectors.of(Space::Looks, id)? {
            let near = self.nearest(&searcher, passing, Space::Looks, &look, LOOKED_AT)?;
            let unknown: Vec<Uuid> =
                near.iter().map(|key| Uuid::from_u128(key.id)).filter(|id| !scores.contains_key(id)).collect();
            self.add_tagged(&searcher, passing, &tags, Some(&unknown), &mut scores)?;
        }
        self.add_likeness(id, &mut scores)?;
        scores.remove(&id);
        Ok(most_alike(scores, most))
    }

    /// Tags with what each counts: the rarer, the more, and 1 together.
    fn tags(&self, searcher: &Searcher, tags: &[String]) -> Result<Vec<(Term, f32)>, SearchError> {
        let terms: Vec<Term> =
            tags.iter().map(|tag| Term::from_field_text(self.fields.tag, &whole_value(tag))).collect();
        let with = terms.iter().map(|term| Ok(searcher.doc_freq(term)? as f64)).collect::<tantivy::Result<Vec<f64>>>();
        let weights = tag_weights(searcher.num_docs() as f64, &with.map_err(failed)?);
        Ok(terms.into_iter().zip(weights.into_iter().map(|weight| weight as f32)).collect())
    }

    /// Adds the share of the tags that LoRAs have: of those named, or of those with the largest shares.
    fn add_tagged(
        &self,
        searcher: &Searcher,
        passing: Passing<'_>,
        tags: &[(Term, f32)],
        of: Option<&[Uuid]>,
        scores: &mut HashMap<Uuid, f64>,
    ) -> Result<(), SearchError> {
        if let Some(ids) = of {
            let seen = ids_of(&self.those(searcher, passing, Some(ids), false)?);
            scores.extend(seen.into_iter().map(|id| (id, 0.0)));
        }
        let shared: Vec<(Occur, Box<dyn Query>)> = tags
            .iter()
            .map(|(term, weight)| {
                let has = TermQuery::new(term.clone(), IndexRecordOption::Basic);
                let one = tantivy::query::ConstScoreQuery::new(Box::new(has), 1.0);
                (Occur::Should, Box::new(BoostQuery::new(Box::new(one), *weight)) as Box<dyn Query>)
            })
            .collect();
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = vec![(Occur::Must, Box::new(BooleanQuery::new(shared)))];
        if let Some(ids) = of {
            let terms = ids.iter().map(|id| self.fields.id_term(*id));
            let those = tantivy::query::ConstScoreQuery::new(Box::new(TermSetQuery::new(terms)), 0.0);
            clauses.push((Occur::Must, Box::new(those)));
        }
        let restrictions = restrictions::restrictions(&self.fields, passing.filter, passing.viewer);
        clauses.extend(restrictions.into_iter().map(|query| (Occur::Must, query)));
        let ranking =
            Ranking { sort: LoraSort::Relevance, most: LOOKED_AT, after: None, columns: &self.columns, facets: false };
        let found = searcher.search(&BooleanQuery::new(clauses), &ranking).map_err(failed)?;
        for (key, _) in found.top {
            scores.insert(Uuid::from_u128(key.id), key.score);
        }
        Ok(())
    }

    /// Adds how alike the previews are, of the pair that is most alike.
    fn add_likeness(&self, id: Uuid, scores: &mut HashMap<Uuid, f64>) -> Result<(), SearchError> {
        let others: Vec<Uuid> = scores.keys().copied().collect();
        let mut nearest: HashMap<Uuid, f32> = HashMap::new();
        for look in self.vectors.of(Space::Looks, id)? {
            for (other, cosine) in self.vectors.likeness(Space::Looks, &look, &others)? {
                let known = nearest.entry(other).or_insert(cosine);
                *known = known.max(cosine);
            }
        }
        for (other, cosine) in nearest {
            *scores.entry(other).or_default() += of_looks(f64::from(cosine));
        }
        Ok(())
    }
}

//! What the filter and the viewer's rights ask for. It does not count for the order.

use std::ops::{Bound, RangeInclusive};

use tantivy::{
    DocId, SegmentReader, Term,
    query::{AllQuery, BooleanQuery, ConstScoreQuery, EmptyQuery, Occur, Query, RangeQuery, TermQuery},
    schema::{Field, IndexRecordOption},
};

use super::schema::{Fields, column};
use crate::{LoraFilter, Viewer, words};

/// Bounds of a LoRA's number in a column. The numbers are those that stand for it there: unsigned, in the same order.
pub(super) struct Limit {
    field: Field,
    column: &'static str,
    number: Number,
    within: RangeInclusive<u64>,
}

/// What the numbers of a column stand for.
#[derive(Clone, Copy)]
enum Number {
    Float,
    Integer,
}

/// Everything that is asked for, as queries.
pub(super) fn restrictions(fields: &Fields, filter: &LoraFilter, viewer: &Viewer) -> Vec<Box<dyn Query>> {
    let limits = limits(fields, filter);
    let queries = listed(fields, filter, viewer).into_iter().chain(limits.iter().map(Limit::query));
    queries.map(|query| Box::new(ConstScoreQuery::new(query, 0.0)) as Box<dyn Query>).collect()
}

/// What is asked for beside the [limits].
pub(super) fn listed(fields: &Fields, filter: &LoraFilter, viewer: &Viewer) -> Vec<Box<dyn Query>> {
    let any = |terms: Vec<Term>| -> Box<dyn Query> {
        Box::new(BooleanQuery::union(terms.into_iter().map(term_query).collect()))
    };
    let text = Term::from_field_text;
    let mut queries = vec![any(fields.audience_terms(viewer))];
    queries.extend(filter.tags.iter().map(|tag| term_query(text(fields.tag, &words::whole_value(tag)))));
    if !filter.licenses.is_empty() {
        queries.push(any(filter.licenses.iter().map(|l| text(fields.license, &words::whole_value(l))).collect()));
    }
    if !filter.base_models.is_empty() {
        let terms = filter.base_models.iter().map(|id| text(fields.base_model, &id.to_string()));
        queries.push(any(terms.collect()));
    }
    queries.extend(filter.creator_id.map(|id| term_query(text(fields.creator_id, &id.to_string()))));
    queries.extend(filter.team_id.map(|id| term_query(text(fields.team, &id.to_string()))));
    queries.extend(exclusion(fields, filter));
    queries
}

fn term_query(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

/// Everything but what the filter does not want.
fn exclusion(fields: &Fields, filter: &LoraFilter) -> Option<Box<dyn Query>> {
    let text = Term::from_field_text;
    let tags = filter.without_tags.iter().map(|tag| text(fields.tag, &words::whole_value(tag)));
    let creators = filter.without_creators.iter().map(|id| text(fields.creator_id, &id.to_string()));
    let unwanted: Vec<(Occur, Box<dyn Query>)> =
        tags.chain(creators).map(|term| (Occur::MustNot, term_query(term))).collect();
    if unwanted.is_empty() {
        return None;
    }
    let everything: (Occur, Box<dyn Query>) = (Occur::Must, Box::new(AllQuery));
    Some(Box::new(BooleanQuery::new(std::iter::once(everything).chain(unwanted).collect())))
}

/// The numbers that are asked for. Nothing is within bounds that are not numbers.
pub(super) fn limits(fields: &Fields, filter: &LoraFilter) -> Vec<Limit> {
    let float = |field, column, within| Limit { field, column, number: Number::Float, within };
    let mut limits = Vec::new();
    if let Some(least) = filter.rating_at_least {
        limits.push(float(fields.rating, column::RATING, at_least(least)));
    }
    if let Some(time) = filter.published_after_millis {
        let (field, column, number) = (fields.published, column::PUBLISHED, Number::Integer);
        limits.push(Limit { field, column, number, within: after(time) });
    }
    if let Some(strength) = filter.safe_at {
        limits.push(float(fields.safe_low, column::SAFE_LOW, at_most(strength)));
        limits.push(float(fields.safe_high, column::SAFE_HIGH, at_least(strength)));
    }
    limits
}

const NOTHING: RangeInclusive<u64> = RangeInclusive::new(u64::MAX, 0);

fn at_least(number: f64) -> RangeInclusive<u64> {
    if number.is_nan() { NOTHING } else { tantivy::f64_to_u64(number)..=u64::MAX }
}

fn at_most(number: f64) -> RangeInclusive<u64> {
    if number.is_nan() { NOTHING } else { 0..=tantivy::f64_to_u64(number) }
}

fn after(number: i64) -> RangeInclusive<u64> {
    number.checked_add(1).map_or(NOTHING, |next| tantivy::i64_to_u64(next)..=u64::MAX)
}

impl Limit {
    fn query(&self) -> Box<dyn Query> {
        if self.within.is_empty() {
            return Box::new(EmptyQuery);
        }
        let bound = |number| {
            Bound::Included(match self.number {
                Number::Float => Term::from_field_f64(self.field, tantivy::u64_to_f64(number)),
                Number::Integer => Term::from_field_i64(self.field, tantivy::u64_to_i64(number)),
            })
        };
        Box::new(RangeQuery::new(bound(*self.within.start()), bound(*self.within.end())))
    }

    /// Keeps those of some documents that are within the bounds. This is quicker than the query where there are few: that
    /// goes through the whole column.
    pub(super) fn keep(&self, segment: &SegmentReader, documents: &mut Vec<DocId>) -> tantivy::Result<()> {
        let Some((column, _)) = segment.fast_fields().u64_lenient(self.column)? else {
            documents.clear();
            return Ok(());
        };
        documents.retain(|document| column.first(*document).is_some_and(|number| self.within.contains(&number)));
        Ok(())
    }
}

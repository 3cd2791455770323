//! Takes what a query finds in order, counting facets on the way.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, HashMap},
    sync::Arc,
};

use tantivy::{
    DocAddress, DocId, Score, SegmentOrdinal, SegmentReader,
    collector::{Collector, SegmentCollector},
    columnar::{ColumnValues, StrColumn},
};

use super::schema::column;
use crate::LoraSort;

/// Columns whose values are counted: tags, licences, base models.
const COUNTED: [&str; 3] = [column::TAG, column::LICENSE, column::BASE_MODEL];

/// Where a LoRA stands in the list. Greater is further ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) score: f64,
    pub(super) id: u128,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

/// Takes the first of what is found.
pub(super) struct Ranking {
    pub(super) sort: LoraSort,
    /// How many.
    pub(super) most: usize,
    /// Those behind this one.
    pub(super) after: Option<Key>,
    /// Whether facets are counted.
    pub(super) facets: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Ranked {
    /// The first, in order.
    pub(super) top: Vec<(Key, DocAddress)>,
    /// How many there are.
    pub(super) total: u64,
    /// How often each tag, licence and base model occurs.
    pub(super) counts: [HashMap<String, u64>; 3],
}

enum Source {
    Relevance(Arc<dyn ColumnValues<f64>>),
    Float(Arc<dyn ColumnValues<f64>>),
    Unsigned(Arc<dyn ColumnValues<u64>>),
    Signed(Arc<dyn ColumnValues<i64>>),
}

/// A column whose values are counted.
struct Counter {
    column: StrColumn,
    counts: Vec<u64>,
}

/// Takes the first of what is found in a segment.
pub(super) struct SegmentRanking {
    segment: SegmentOrdinal,
    source: Source,
    id_high: Arc<dyn ColumnValues<u64>>,
    id_low: Arc<dyn ColumnValues<u64>>,
    most: usize,
    after: Option<Key>,
    top: BinaryHeap<Reverse<(Key, DocAddress)>>,
    total: u64,
    counters: Vec<Option<Counter>>,
}

impl Collector for Ranking {
    type Fruit = Ranked;
    type Child = SegmentRanking;

    fn for_segment(&self, segment: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentRanking> {
        let columns = reader.fast_fields();
        let source = match self.sort {
            LoraSort::Relevance => Source::Relevance(columns.column_first_or_default(column::PROMINENCE)?),
            LoraSort::Trending => Source::Float(columns.column_first_or_default(column::TRENDING)?),
            LoraSort::Rating => Source::Float(columns.column_first_or_default(column::RATING)?),
            LoraSort::Downloads => Source::Unsigned(columns.column_first_or_default(column::DOWNLOADS)?),
            LoraSort::Newest => Source::Signed(columns.column_first_or_default(column::PUBLISHED)?),
        };
        let mut counters = Vec::new();
        for name in COUNTED.iter().filter(|_| self.facets) {
            let column = columns.str(name)?;
            counters.push(column.map(|column| Counter { counts: vec![0; column.num_terms()], column }));
        }
        Ok(SegmentRanking {
            segment,
            source,
            id_high: columns.column_first_or_default(column::ID_HIGH)?,
            id_low: columns.column_first_or_default(column::ID_LOW)?,
            most: self.most,
            after: self.after,
            top: BinaryHeap::with_capacity(self.most.min(1024) + 1),
            total: 0,
            counters,
        })
    }

    fn requires_scoring(&self) -> bool {
        self.sort == LoraSort::Relevance
    }

    fn merge_fruits(&self, segments: Vec<tantivy::Result<Ranked>>) -> tantivy::Result<Ranked> {
        let mut all = Ranked::default();
        for segment in segments {
            let segment = segment?;
            all.total += segment.total;
            all.top.extend(segment.top);
            for (all, counts) in all.counts.iter_mut().zip(segment.counts) {
                for (value, count) in counts {
                    *all.entry(value).or_default() += count;
                }
            }
        }
        all.top.sort_by(|a, b| b.cmp(a));
        all.top.truncate(self.most);
        Ok(all)
    }
}

impl SegmentRanking {
    fn score(&self, document: DocId, relevance: Score) -> f64 {
        match &self.source {
            Source::Relevance(prominence) => f64::from(relevance) * prominence.get_val(document),
            Source::Float(values) => values.get_val(document),
            Source::Unsigned(values) => values.get_val(document) as f64,
            Source::Signed(values) => values.get_val(document) as f64,
        }
    }
}

impl SegmentCollector for SegmentRanking {
    type Fruit = tantivy::Result<Ranked>;

    fn collect(&mut self, document: DocId, relevance: Score) {
        self.total += 1;
        for counter in self.counters.iter_mut().flatten() {
            for value in counter.column.term_ords(document) {
                counter.counts[value as usize] += 1;
            }
        }
        let score = self.score(document, relevance);
        let too_early = self.after.is_some_and(|after| score > after.score);
        let too_late =
            self.top.len() >= self.most && self.top.peek().is_none_or(|Reverse((last, _))| score < last.score);
        if too_early || too_late {
            return;
        }
        let id = u128::from(self.id_high.get_val(document)) << 64 | u128::from(self.id_low.get_val(document));
        let key = Key { score, id };
        if self.after.is_some_and(|after| key >= after) {
            return;
        }
        self.top.push(Reverse((key, DocAddress::new(self.segment, document))));
        if self.top.len() > self.most {
            self.top.pop();
        }
    }

    fn harvest(self) -> tantivy::Result<Ranked> {
        let mut ranked = Ranked { total: self.total, ..Ranked::default() };
        ranked.top = self.top.into_iter().map(|Reverse(entry)| entry).collect();
        for (counts, counter) in ranked.counts.iter_mut().zip(self.counters) {
            let Some(counter) = counter else { continue };
            let counted = counter.counts.iter().enumerate().filter(|(_, count)| **count > 0);
            for (value, count) in counted {
                let mut text = String::new();
                if counter.column.ord_to_str(value as u64, &mut text)? {
                    counts.insert(text, *count);
                }
            }
        }
        Ok(ranked)
    }
}

//! Takes what a query finds in order, counting facets on the way.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, HashMap},
    sync::Arc,
};

use tantivy::{
    DocAddress, DocId, Score, SegmentOrdinal, SegmentReader,
    collector::{Collector, SegmentCollector},
    columnar::ColumnValues,
};

use super::{
    facets::{FacetValues, SegmentValues},
    schema::column,
};
use crate::LoraSort;

/// Documents that are looked at together. What is known of each lies somewhere else in memory, and one that has to wait for
/// it keeps no other one waiting.
const TOGETHER: usize = 1024;

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
pub(super) struct Ranking<'a> {
    pub(super) sort: LoraSort,
    /// How many.
    pub(super) most: usize,
    /// Those behind this one.
    pub(super) after: Option<Key>,
    /// The values that are counted, if facets are.
    pub(super) facets: Option<&'a FacetValues>,
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

/// How often each value of a segment occurs.
struct Counts {
    values: Arc<SegmentValues>,
    by_number: Vec<u64>,
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
    counts: Option<Counts>,
    /// What has not been looked at yet.
    documents: Vec<DocId>,
    relevances: Vec<Score>,
}

impl Collector for Ranking<'_> {
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
        let values = self.facets.map(|facets| facets.of(reader)).transpose()?;
        Ok(SegmentRanking {
            segment,
            source,
            id_high: columns.column_first_or_default(column::ID_HIGH)?,
            id_low: columns.column_first_or_default(column::ID_LOW)?,
            most: self.most,
            after: self.after,
            top: BinaryHeap::with_capacity(self.most.min(1024) + 1),
            total: 0,
            documents: Vec::with_capacity(TOGETHER),
            relevances: Vec::with_capacity(TOGETHER),
            counts: values.map(|values| Counts { by_number: vec![0; values.count()], values }),
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

impl Source {
    /// What some documents are sorted by.
    fn scores(&self, documents: &[DocId], relevances: &[Score]) -> Vec<f64> {
        match self {
            Self::Relevance(prominence) => {
                let prominences = values(prominence.as_ref(), documents).into_iter();
                prominences.zip(relevances).map(|(prominence, relevance)| f64::from(*relevance) * prominence).collect()
            }
            Self::Float(column) => values(column.as_ref(), documents),
            Self::Unsigned(column) => {
                values(column.as_ref(), documents).into_iter().map(|value| value as f64).collect()
            }
            Self::Signed(column) => values(column.as_ref(), documents).into_iter().map(|value| value as f64).collect(),
        }
    }
}

fn values<T: Clone + Default + PartialOrd + 'static>(column: &dyn ColumnValues<T>, documents: &[DocId]) -> Vec<T> {
    let mut values = vec![T::default(); documents.len()];
    column.get_vals(documents, &mut values);
    values
}

impl Counts {
    fn add(&mut self, documents: &[DocId]) {
        for document in documents {
            for number in self.values.of(*document) {
                self.by_number[*number as usize] += 1;
            }
        }
    }
}

impl SegmentRanking {
    fn look_at_documents(&mut self) {
        self.total += self.documents.len() as u64;
        if let Some(counts) = &mut self.counts {
            counts.add(&self.documents);
        }
        let scores = self.source.scores(&self.documents, &self.relevances);
        let documents = std::mem::take(&mut self.documents);
        for (document, score) in documents.iter().zip(scores) {
            self.rank(*document, score);
        }
        self.documents = documents;
        self.documents.clear();
        self.relevances.clear();
    }

    fn rank(&mut self, document: DocId, score: f64) {
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
}

impl SegmentCollector for SegmentRanking {
    type Fruit = tantivy::Result<Ranked>;

    fn collect(&mut self, document: DocId, relevance: Score) {
        self.documents.push(document);
        self.relevances.push(relevance);
        if self.documents.len() == TOGETHER {
            self.look_at_documents();
        }
    }

    fn harvest(mut self) -> tantivy::Result<Ranked> {
        self.look_at_documents();
        let top = self.top.into_iter().map(|Reverse(entry)| entry).collect();
        let counts = self.counts.map(|counts| counts.values.by_value(&counts.by_number)).unwrap_or_default();
        Ok(Ranked { top, total: self.total, counts })
    }
}

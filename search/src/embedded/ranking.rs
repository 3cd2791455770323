//! Takes what a query finds in order, counting facets on the way.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering as AtomicOrdering},
    },
};

use tantivy::{
    DocAddress, DocId, Score, SegmentOrdinal, SegmentReader,
    collector::{Collector, SegmentCollector},
    columnar::ColumnValues,
};

use super::{
    columns::{Columns, SegmentColumns},
    rows::NumberCounts,
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
    pub(super) columns: &'a Columns,
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

/// Columns that are sorted by.
enum Source {
    Float(Arc<dyn ColumnValues<f64>>),
    Unsigned(Arc<dyn ColumnValues<u64>>),
    Signed(Arc<dyn ColumnValues<i64>>),
}

/// What was found in a segment, or in a piece of one.
pub(super) struct SegmentRanked {
    top: Vec<(Key, DocAddress)>,
    total: u64,
    counts: Option<Counts>,
}

/// The score that a document needs to be among the first at all: in some piece of what is searched there are enough with it.
/// Who looks through another piece at the same time, or later, needs to look at fewer.
#[derive(Default)]
pub(super) struct Least(AtomicU64);

impl Least {
    fn get(&self) -> f64 {
        match self.0.load(AtomicOrdering::Relaxed) {
            0 => f64::NEG_INFINITY,
            number => tantivy::u64_to_f64(number),
        }
    }

    /// Raises it to a score, if it is less. Returns what it is then.
    fn raise(&self, score: f64) -> f64 {
        // The numbers are in the order of the scores.
        self.0.fetch_max(tantivy::f64_to_u64(score), AtomicOrdering::Relaxed);
        self.get()
    }
}

/// How often each value of a segment occurs.
struct Counts {
    columns: Arc<SegmentColumns>,
    numbers: NumberCounts,
}

/// Takes the first of what is found in a segment.
pub(super) struct SegmentRanking {
    segment: SegmentOrdinal,
    /// None where it is relevance that is sorted by.
    source: Option<Source>,
    columns: Arc<SegmentColumns>,
    most: usize,
    after: Option<Key>,
    least: Arc<Least>,
    /// What is less is not among the first, as far as is known here.
    enough: f64,
    top: BinaryHeap<Reverse<(Key, DocAddress)>>,
    total: u64,
    counts: Option<NumberCounts>,
    /// What was collected and has not been looked at yet.
    documents: Vec<DocId>,
    relevances: Vec<Score>,
}

impl Ranking<'_> {
    /// Begins with a segment, or with a piece of one.
    pub(super) fn of_segment(
        &self,
        segment: SegmentOrdinal,
        reader: &SegmentReader,
        least: Arc<Least>,
    ) -> tantivy::Result<SegmentRanking> {
        let fields = reader.fast_fields();
        let source = match self.sort {
            LoraSort::Relevance => None,
            LoraSort::Trending => Some(Source::Float(fields.column_first_or_default(column::TRENDING)?)),
            LoraSort::Rating => Some(Source::Float(fields.column_first_or_default(column::RATING)?)),
            LoraSort::Downloads => Some(Source::Unsigned(fields.column_first_or_default(column::DOWNLOADS)?)),
            LoraSort::Newest => Some(Source::Signed(fields.column_first_or_default(column::PUBLISHED)?)),
        };
        let columns = self.columns.of(reader)?;
        Ok(SegmentRanking {
            segment,
            source,
            most: self.most,
            after: self.after,
            enough: least.get(),
            least,
            top: BinaryHeap::with_capacity(self.most.min(1024) + 1),
            total: 0,
            counts: self.facets.then(|| columns.counts()),
            columns,
            documents: Vec::new(),
            relevances: Vec::new(),
        })
    }

    /// What was found in all segments.
    pub(super) fn together(&self, segments: Vec<SegmentRanked>) -> Ranked {
        let mut all = Ranked::default();
        let mut counts: Vec<Counts> = Vec::new();
        for segment in segments {
            all.total += segment.total;
            all.top.extend(segment.top);
            let Some(segment) = segment.counts else { continue };
            // Pieces of a segment follow each other, and number the same values.
            match counts.last_mut().filter(|last| Arc::ptr_eq(&last.columns, &segment.columns)) {
                Some(last) => last.numbers.add(&segment.numbers),
                None => counts.push(segment),
            }
        }
        for Counts { columns, numbers } in counts {
            columns.add_counts(&numbers, &mut all.counts);
        }
        all.top.sort_by(|a, b| b.cmp(a));
        all.top.truncate(self.most);
        all
    }
}

impl Collector for Ranking<'_> {
    type Fruit = Ranked;
    type Child = SegmentRanking;

    fn for_segment(&self, segment: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentRanking> {
        self.of_segment(segment, reader, Arc::default())
    }

    fn requires_scoring(&self) -> bool {
        self.sort == LoraSort::Relevance
    }

    fn merge_fruits(&self, segments: Vec<SegmentRanked>) -> tantivy::Result<Ranked> {
        Ok(self.together(segments))
    }
}

impl Source {
    /// What some documents are sorted by.
    fn scores(&self, documents: &[DocId]) -> Vec<f64> {
        match self {
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

impl SegmentRanking {
    /// Counts what was found.
    pub(super) fn count(&mut self, documents: &[DocId]) {
        self.total += documents.len() as u64;
        if let Some(counts) = &mut self.counts {
            for documents in documents.chunks(TOGETHER) {
                self.columns.count(documents, counts);
            }
        }
    }

    /// The score that a document of this piece needs to be among the first, when what each counts for may still rise. It is
    /// anything where that cannot be told: what comes after another one may fall behind it or not.
    pub(super) fn enough_among(&self, documents: &[DocId], relevances: &[Score]) -> f64 {
        if self.source.is_some() || self.after.is_some() || self.most == 0 {
            return f64::NEG_INFINITY;
        }
        let prominences = &self.columns.prominences;
        let mut enough = self.enough;
        let mut first = BinaryHeap::with_capacity(self.most.min(1024) + 1);
        for (document, relevance) in documents.iter().zip(relevances) {
            let relevance = f64::from(*relevance);
            if relevance * prominences.at_most(*document) >= enough {
                first.push(Reverse(Key { score: relevance * prominences.of(*document), id: 0 }));
                if first.len() > self.most {
                    first.pop();
                }
                if first.len() == self.most {
                    enough = first.peek().map_or(enough, |Reverse(last)| enough.max(last.score));
                }
            }
        }
        enough
    }

    /// Whether a document may have a score, if it counts for so much at most.
    pub(super) fn may_reach(&self, score: f64, document: DocId, relevance: f64) -> bool {
        relevance * self.columns.prominences.at_most(document) >= score
    }

    /// Ranks what was found, with as many relevances.
    pub(super) fn rank(&mut self, documents: &[DocId], relevances: &[Score]) {
        for (documents, relevances) in documents.chunks(TOGETHER).zip(relevances.chunks(TOGETHER)) {
            match &self.source {
                Some(source) => {
                    for (document, score) in documents.iter().zip(source.scores(documents)) {
                        self.rank_one(*document, score);
                    }
                }
                None => self.rank_by_relevance(documents, relevances),
            }
            self.enough = self.least.raise(self.enough);
        }
    }

    /// Ranks by relevance times prominence, which is read of those only that may be among the first.
    fn rank_by_relevance(&mut self, documents: &[DocId], relevances: &[Score]) {
        for (document, relevance) in documents.iter().zip(relevances) {
            let relevance = f64::from(*relevance);
            if relevance * self.columns.prominences.at_most(*document) >= self.enough {
                self.rank_one(*document, relevance * self.columns.prominences.of(*document));
            }
        }
    }

    fn look_at_collected(&mut self) {
        let (mut documents, mut relevances) =
            (std::mem::take(&mut self.documents), std::mem::take(&mut self.relevances));
        self.count(&documents);
        self.rank(&documents, &relevances);
        documents.clear();
        relevances.clear();
        (self.documents, self.relevances) = (documents, relevances);
    }

    fn rank_one(&mut self, document: DocId, score: f64) {
        let too_early = self.after.is_some_and(|after| score > after.score);
        if self.most == 0 || too_early || score < self.enough {
            return;
        }
        let key = Key { score, id: self.columns.id(document) };
        if self.after.is_some_and(|after| key >= after) {
            return;
        }
        self.top.push(Reverse((key, DocAddress::new(self.segment, document))));
        if self.top.len() > self.most {
            self.top.pop();
        }
        if self.top.len() == self.most {
            let last = self.top.peek().map_or(self.enough, |Reverse((last, _))| last.score);
            self.enough = self.enough.max(last);
        }
    }

    /// What was found.
    pub(super) fn ranked(self) -> SegmentRanked {
        let top = self.top.into_iter().map(|Reverse(entry)| entry).collect();
        let counts = self.counts.map(|numbers| Counts { columns: self.columns, numbers });
        SegmentRanked { top, total: self.total, counts }
    }
}

impl SegmentCollector for SegmentRanking {
    type Fruit = SegmentRanked;

    fn collect(&mut self, document: DocId, relevance: Score) {
        self.documents.push(document);
        self.relevances.push(relevance);
        if self.documents.len() == TOGETHER {
            self.look_at_collected();
        }
    }

    fn harvest(mut self) -> SegmentRanked {
        self.look_at_collected();
        self.ranked()
    }
}

//! What is read of every LoRA that is found, in memory: a search for common words finds so many that it would spend a third
//! of its time on looking it up.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tantivy::{DocId, Searcher, SegmentReader, columnar::ColumnValues, index::SegmentId};

use super::{
    prominences::Prominences,
    rows::{NumberCounts, Rows},
    schema::column,
};

/// Columns whose values are counted: tags, licences, base models.
const COUNTED: [&str; 3] = [column::TAG, column::LICENSE, column::BASE_MODEL];

/// The columns of all segments that are searched.
#[derive(Default)]
pub(super) struct Columns {
    segments: Mutex<HashMap<SegmentId, Arc<SegmentColumns>>>,
}

/// The columns of a segment.
pub(super) struct SegmentColumns {
    /// Each value that is counted has a number.
    rows: Rows,
    /// The values in order of their numbers, column by column.
    values: [Vec<String>; 3],
    /// How prominent the documents are.
    pub(super) prominences: Prominences,
    /// The halves of the keys. They are read of few LoRAs and stay on the disk.
    ids: [Arc<dyn ColumnValues<u64>>; 2],
}

impl Columns {
    /// Reads what new segments hold, and forgets the others, so that no search has to wait for it.
    pub(super) fn prepare(&self, searcher: &Searcher) -> tantivy::Result<()> {
        for segment in searcher.segment_readers() {
            self.of(segment)?;
        }
        let searched: HashSet<SegmentId> = searcher.segment_readers().iter().map(SegmentReader::segment_id).collect();
        self.segments().retain(|id, _| searched.contains(id));
        Ok(())
    }

    /// The columns of a segment.
    pub(super) fn of(&self, segment: &SegmentReader) -> tantivy::Result<Arc<SegmentColumns>> {
        let id = segment.segment_id();
        let known = self.segments().get(&id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let columns = Arc::new(SegmentColumns::read(segment)?);
        self.segments().insert(id, columns.clone());
        Ok(columns)
    }

    fn segments(&self) -> MutexGuard<'_, HashMap<SegmentId, Arc<SegmentColumns>>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SegmentColumns {
    fn read(segment: &SegmentReader) -> tantivy::Result<Self> {
        let (rows, values) = read_counted(segment)?;
        let columns = segment.fast_fields();
        let prominence = columns.column_first_or_default(column::PROMINENCE)?;
        let prominences = Prominences::read(prominence, segment.max_doc());
        let id = |half| columns.column_first_or_default(half);
        let ids = [id(column::ID_HIGH)?, id(column::ID_LOW)?];
        Ok(Self { rows, values, prominences, ids })
    }

    /// The key of a document.
    pub(super) fn id(&self, document: DocId) -> u128 {
        let [high, low] = self.ids.each_ref().map(|half| u128::from(half.get_val(document)));
        high << 64 | low
    }

    /// Counts that the values of documents can be added to.
    pub(super) fn counts(&self) -> NumberCounts {
        NumberCounts::new(self.values.iter().map(Vec::len).sum())
    }

    /// Counts the values of some documents.
    pub(super) fn count(&self, documents: &[DocId], counts: &mut NumberCounts) {
        self.rows.count(documents, counts);
    }

    /// Adds how often each value occurs to what is known of it, by column, from how often each number does.
    pub(super) fn add_counts(&self, counts: &NumberCounts, known: &mut [HashMap<String, u64>; 3]) {
        let mut counts = counts.by_number().iter();
        for (values, known) in self.values.iter().zip(known) {
            for (value, count) in values.iter().zip(counts.by_ref()).filter(|(_, count)| **count > 0) {
                match known.get_mut(value) {
                    Some(known) => *known += count,
                    None => {
                        known.insert(value.clone(), *count);
                    }
                }
            }
        }
    }
}

/// Reads the values that are counted: the numbers of each document, and the values in order of their numbers.
fn read_counted(segment: &SegmentReader) -> tantivy::Result<(Rows, [Vec<String>; 3])> {
    let mut values: [Vec<String>; 3] = Default::default();
    let mut columns = Vec::new();
    let mut first = 0;
    for (values, name) in values.iter_mut().zip(COUNTED) {
        let Some(column) = segment.fast_fields().str(name)? else { continue };
        let mut dictionary = column.dictionary().stream()?;
        while dictionary.advance() {
            values.push(String::from_utf8_lossy(dictionary.key()).into_owned());
        }
        columns.push((column, first));
        first += values.len() as u32;
    }
    let mut rows = Rows::with_capacity(segment.max_doc() as usize);
    let mut numbers = Vec::new();
    for document in 0..segment.max_doc() {
        numbers.clear();
        for (column, first) in &columns {
            numbers.extend(column.term_ords(document).map(|number| first + number as u32));
        }
        rows.push(&numbers);
    }
    rows.shrink_to_fit();
    Ok((rows, values))
}

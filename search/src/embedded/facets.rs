//! The values that are counted, in memory: a search for common words finds so many LoRAs that it would spend a quarter of
//! its time on looking them up.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tantivy::{DocId, Searcher, SegmentReader, index::SegmentId};

use super::schema::column;

/// Columns whose values are counted: tags, licences, base models.
const COUNTED: [&str; 3] = [column::TAG, column::LICENSE, column::BASE_MODEL];

/// The values of all segments that are searched.
#[derive(Default)]
pub(super) struct FacetValues {
    segments: Mutex<HashMap<SegmentId, Arc<SegmentValues>>>,
}

/// The values of the documents of a segment. Each value has a number.
pub(super) struct SegmentValues {
    /// Where the numbers of each document begin; at last, where they end.
    starts: Vec<u32>,
    numbers: Vec<u32>,
    /// The values in order of their numbers, column by column.
    values: [Vec<String>; 3],
}

impl FacetValues {
    /// Reads what new segments hold, and forgets the others, so that no search has to wait for it.
    pub(super) fn prepare(&self, searcher: &Searcher) -> tantivy::Result<()> {
        for segment in searcher.segment_readers() {
            self.of(segment)?;
        }
        let searched: HashSet<SegmentId> = searcher.segment_readers().iter().map(SegmentReader::segment_id).collect();
        self.segments().retain(|id, _| searched.contains(id));
        Ok(())
    }

    /// The values of a segment.
    pub(super) fn of(&self, segment: &SegmentReader) -> tantivy::Result<Arc<SegmentValues>> {
        let id = segment.segment_id();
        let known = self.segments().get(&id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let values = Arc::new(SegmentValues::read(segment)?);
        self.segments().insert(id, values.clone());
        Ok(values)
    }

    fn segments(&self) -> MutexGuard<'_, HashMap<SegmentId, Arc<SegmentValues>>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SegmentValues {
    fn read(segment: &SegmentReader) -> tantivy::Result<Self> {
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
        let (mut starts, mut numbers) = (Vec::with_capacity(segment.max_doc() as usize + 1), Vec::new());
        for document in 0..segment.max_doc() {
            starts.push(numbers.len() as u32);
            for (column, first) in &columns {
                numbers.extend(column.term_ords(document).map(|number| first + number as u32));
            }
        }
        starts.push(numbers.len() as u32);
        numbers.shrink_to_fit();
        Ok(Self { starts, numbers, values })
    }

    /// How many values there are.
    pub(super) fn count(&self) -> usize {
        self.values.iter().map(Vec::len).sum()
    }

    /// Numbers of the values of a document.
    pub(super) fn of(&self, document: DocId) -> &[u32] {
        let at = document as usize;
        &self.numbers[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    /// How often each value occurs that does, by column, from how often each number does.
    pub(super) fn by_value(&self, counts: &[u64]) -> [HashMap<String, u64>; 3] {
        let mut counts = counts.iter();
        self.values.each_ref().map(|values| {
            let counted = values.iter().zip(counts.by_ref()).filter(|(_, count)| **count > 0);
            counted.map(|(value, count)| (value.clone(), *count)).collect()
        })
    }
}

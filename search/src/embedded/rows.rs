//! Numbers of the values that documents have, a row for each document.
//!
//! A search for common words finds documents that lie far from each other in memory. What is counted of each lies in one row
//! therefore, and many rows are fetched before any is counted: none waits for another one to arrive.

use tantivy::DocId;

/// Numbers in a row. Documents with more have theirs elsewhere.
const WIDTH: usize = 8;

/// Stands at the beginning of a row whose numbers are elsewhere.
const ELSEWHERE: u16 = u16::MAX;

/// What a place in a row holds that a document does not need: its own number. If all held the same one, each count would have
/// to wait for the one before.
const EMPTY: [u16; WIDTH] = [0, 1, 2, 3, 4, 5, 6, 7];

/// The rows of all documents of a segment.
pub(super) struct Rows {
    /// Numbers of values come behind those of [`EMPTY`].
    rows: Vec<[u16; WIDTH]>,
    /// Numbers of documents that have too many for a row, or too large ones.
    elsewhere: Vec<u32>,
}

/// How often each number occurs.
#[derive(Clone, Debug)]
pub(super) struct NumberCounts {
    counts: Vec<u64>,
}

impl Rows {
    /// No rows yet, with room for some.
    pub(super) fn with_capacity(documents: usize) -> Self {
        Self { rows: Vec::with_capacity(documents), elsewhere: Vec::new() }
    }

    /// Adds the next document with the numbers of its values.
    pub(super) fn push(&mut self, numbers: &[u32]) {
        let mut row = EMPTY;
        let is_short = |number: u32| u16::try_from(number as usize + WIDTH).ok().filter(|number| *number != ELSEWHERE);
        let short: Option<Vec<u16>> = numbers.iter().map(|number| is_short(*number)).collect();
        match short.filter(|short| short.len() <= WIDTH) {
            Some(short) => row[..short.len()].copy_from_slice(&short),
            None => {
                let (start, count) = (halves(self.elsewhere.len()), halves(numbers.len()));
                row[..5].copy_from_slice(&[ELSEWHERE, start[0], start[1], count[0], count[1]]);
                self.elsewhere.extend(numbers);
            }
        }
        self.rows.push(row);
    }

    /// Frees the room that is not needed.
    pub(super) fn shrink_to_fit(&mut self) {
        self.rows.shrink_to_fit();
        self.elsewhere.shrink_to_fit();
    }

    /// Counts the numbers of some documents.
    pub(super) fn count(&self, documents: &[DocId], counts: &mut NumberCounts) {
        let rows: Vec<[u16; WIDTH]> = documents.iter().map(|document| self.rows[*document as usize]).collect();
        for row in &rows {
            if row[0] == ELSEWHERE {
                let (start, count) = (whole([row[1], row[2]]), whole([row[3], row[4]]));
                for number in &self.elsewhere[start..start + count] {
                    counts.counts[*number as usize + WIDTH] += 1;
                }
            } else {
                for number in row {
                    counts.counts[usize::from(*number)] += 1;
                }
            }
        }
    }
}

fn halves(number: usize) -> [u16; 2] {
    [(number >> 16) as u16, number as u16]
}

fn whole([high, low]: [u16; 2]) -> usize {
    usize::from(high) << 16 | usize::from(low)
}

impl NumberCounts {
    /// Nothing counted yet, of so many numbers.
    pub(super) fn new(numbers: usize) -> Self {
        Self { counts: vec![0; WIDTH + numbers] }
    }

    /// Adds what was counted of other documents of the segment.
    pub(super) fn add(&mut self, others: &Self) {
        for (count, others) in self.counts.iter_mut().zip(&others.counts) {
            *count += others;
        }
    }

    /// How often each number occurs, from the first.
    pub(super) fn by_number(&self) -> &[u64] {
        &self.counts[WIDTH..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_count_what_the_documents_have() {
        const NUMBERS: u32 = 70_000;
        // Few and many numbers, small and large ones, and those next to what has a meaning of its own.
        let mut documents: Vec<Vec<u32>> = vec![vec![], (0..8).collect(), (0..9).collect(), vec![65_526], vec![65_527]];
        let mut state = 1_u32;
        let mut next = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for _ in 0..500 {
            let (count, largest) = (next(12), [10, 300, NUMBERS][next(3) as usize]);
            documents.push((0..count).map(|_| next(largest)).collect());
        }
        let mut rows = Rows::with_capacity(0);
        documents.iter().for_each(|numbers| rows.push(numbers));
        rows.shrink_to_fit();
        let mut counts = NumberCounts::new(NUMBERS as usize);
        let mut expected = vec![0; NUMBERS as usize];
        for step in [3, 7] {
            let found: Vec<DocId> = (0..documents.len() as DocId).step_by(step).collect();
            let mut these = NumberCounts::new(NUMBERS as usize);
            rows.count(&found, &mut these);
            counts.add(&these);
            for number in found.iter().flat_map(|document| &documents[*document as usize]) {
                expected[*number as usize] += 1;
            }
        }
        assert_eq!(counts.by_number(), expected);
    }
}

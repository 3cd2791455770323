//! How prominent the documents of a segment are. Of most documents that a search finds it is enough to know how prominent they
//! are at most, and that takes a byte each: it lies near the processor, where the numbers themselves do not.

use std::sync::Arc;

use tantivy::{DocId, columnar::ColumnValues};

/// How prominent documents are.
pub(super) struct Prominences {
    /// The numbers, on the disk.
    exact: Arc<dyn ColumnValues<f64>>,
    steps: Steps,
}

/// Numbers, rounded up to one of a few.
struct Steps {
    of_documents: Vec<u8>,
    rising: [f64; STEPS],
}

const STEPS: usize = 1 << u8::BITS;

impl Prominences {
    /// Reads the numbers of all documents.
    pub(super) fn read(exact: Arc<dyn ColumnValues<f64>>, documents: DocId) -> Self {
        let numbers: Vec<f64> = (0..documents).map(|document| exact.get_val(document)).collect();
        Self { exact, steps: Steps::new(&numbers) }
    }

    /// How prominent a document is.
    pub(super) fn of(&self, document: DocId) -> f64 {
        self.exact.get_val(document)
    }

    /// How prominent a document is at most, and little more than it is.
    pub(super) fn at_most(&self, document: DocId) -> f64 {
        self.steps.at_most(document)
    }
}

impl Steps {
    fn new(numbers: &[f64]) -> Self {
        let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut rising = std::array::from_fn(|step| least + (greatest - least) * (step as f64 / (STEPS - 1) as f64));
        rising[STEPS - 1] = greatest;
        let step = |number: &f64| rising.partition_point(|step| step < number) as u8;
        Self { of_documents: numbers.iter().map(step).collect(), rising }
    }

    fn at_most(&self, document: DocId) -> f64 {
        self.rising[usize::from(self.of_documents[document as usize])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_more_than_it_is_at_most() {
        let alike = vec![1.05; 9];
        let spread: Vec<f64> = (0..5000).map(|number| 1.0 + f64::from(number * 7919 % 5000) / 70_001.0).collect();
        for numbers in [alike, spread, vec![0.0, 1.0], vec![1.1]] {
            let steps = Steps::new(&numbers);
            for (document, number) in numbers.iter().enumerate() {
                let at_most = steps.at_most(document as DocId);
                assert!((*number..=number + 0.004).contains(&at_most), "{number} {at_most}");
            }
        }
        assert!(Steps::new(&[]).of_documents.is_empty());
    }
}

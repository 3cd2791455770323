//! What it counts for that a word stands in a text (BM25; Robertson, Walker, Jones, Hancock-Beaulieu and Gatford, "Okapi at
//! TREC-3", 1994): the rarer the word, the more often it stands there and the shorter the text, the more.
//!
//! The numbers are those of tantivy's own, bit for bit. Here the lengths of texts are gone through once for a field instead of
//! once for a word, and many documents are scored in one loop.

use std::sync::Arc;

use tantivy::{DocId, Score, fieldnorm::FieldNormReader};

/// How soon it counts little that a word stands there once more.
const SATURATION: Score = 1.2;
/// How much the length of the text counts.
const LENGTH: Score = 0.75;

/// What the lengths of texts in a field count for, by the number that stands for the length.
#[derive(Clone, Debug)]
pub(super) struct Lengths(Arc<[Score; 256]>);

/// What having a word counts for.
#[derive(Clone, Debug)]
pub(super) struct Relevance {
    weight: Score,
    lengths: Lengths,
}

impl Lengths {
    /// Of texts that have so many words on average.
    pub(super) fn new(average: Score) -> Self {
        let of = |id: usize| {
            let words = FieldNormReader::id_to_fieldnorm(id as u8) as Score;
            SATURATION * (1.0 - LENGTH + LENGTH * words / average)
        };
        Self(Arc::new(std::array::from_fn(of)))
    }
}

impl Relevance {
    /// Of a word that so many of all documents have, and what its place counts for.
    pub(super) fn new(with_the_word: u64, documents: u64, lengths: Lengths, boost: Score) -> Self {
        let odds = ((documents - with_the_word) as Score + 0.5) / (with_the_word as Score + 0.5);
        Self { weight: (1.0 + odds).ln() * (1.0 + SATURATION) * boost, lengths }
    }

    /// What it counts for at most, however often the word stands in however short a text.
    pub(super) const fn at_most(&self) -> Score {
        self.weight
    }

    /// What the lengths of the texts of some documents count for.
    pub(super) fn lengths(&self, norms: &FieldNormReader, documents: &[DocId], lengths: &mut Vec<Score>) {
        lengths.clear();
        lengths.extend(documents.iter().map(|document| self.lengths.0[usize::from(norms.fieldnorm_id(*document))]));
    }

    /// What it counts for that the word stands so many times in texts of such [lengths](Self::lengths).
    pub(super) fn scores(&self, lengths: &[Score], times: &[u32], scores: &mut Vec<Score>) {
        scores.clear();
        // Of a loop that does nothing else, the processor does several rounds at a time.
        scores.extend(lengths.iter().zip(times).map(|(length, times)| {
            let times = *times as Score;
            self.weight * (times / (times + length))
        }));
    }
}

#[cfg(test)]
mod tests {
    use tantivy::query::Bm25Weight;

    use super::*;

    #[test]
    fn scores_are_those_of_tantivy() {
        let (documents, times): (Vec<DocId>, Vec<u32>) = (0..200).map(|number| (number, 1 + number % 7 * 3)).unzip();
        for (with_the_word, all, average, boost) in
            [(1, 1, 1.0, 1.0), (33_333, 1_000_000, 24.3, 0.7), (7, 90, 3.25, 3.0 * 0.4), (5, 5, 0.8, 0.5 * 2.0)]
        {
            let theirs = Bm25Weight::for_one_term_without_explain(with_the_word, all, average).boost_by(boost);
            let ours = Relevance::new(with_the_word, all, Lengths::new(average), boost);
            for words in [1, 3, 24, 1000] {
                let norms = FieldNormReader::constant(200, words);
                let expected = times.iter().map(|times| theirs.score(norms.fieldnorm_id(0), *times).to_bits());
                let (mut lengths, mut scores) = (Vec::new(), Vec::new());
                ours.lengths(&norms, &documents, &mut lengths);
                ours.scores(&lengths, &times, &mut scores);
                assert_eq!(
                    scores.iter().map(|score| score.to_bits()).collect::<Vec<_>>(),
                    expected.collect::<Vec<_>>()
                );
            }
        }
    }
}

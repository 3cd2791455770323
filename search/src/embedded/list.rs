//! A list of documents, and what being on it counts for.

use std::ops::Range;

use tantivy::{
    DocId, Score,
    fieldnorm::FieldNormReader,
    postings::{BlockSegmentPostings, TermInfo},
    query::Weight,
    schema::{Field, IndexRecordOption},
};

use super::{
    piece::{DocumentSet, Piece, alike, before},
    relevance::Relevance,
};

/// A list of documents.
pub(super) enum List {
    /// Those with a term in a field.
    Term { field: Field, postings: Box<BlockSegmentPostings>, norms: FieldNormReader, counting: Counting },
    /// Documents in order, with what each counts for.
    Scored(Vec<(DocId, Score)>),
}

/// What the lengths of the texts of some documents count for, field by field: words that stand in the same field share it.
#[derive(Default)]
pub(super) struct KnownLengths {
    of_fields: Vec<(Field, Vec<Score>)>,
}

impl KnownLengths {
    /// Forgets everything: the documents are others now.
    pub(super) fn clear(&mut self) {
        self.of_fields.clear();
    }

    fn of(&mut self, field: Field, read: impl FnOnce(&mut Vec<Score>)) -> &[Score] {
        let known = self.of_fields.iter().position(|(known, _)| *known == field);
        let at = known.unwrap_or_else(|| {
            let mut lengths = Vec::new();
            read(&mut lengths);
            self.of_fields.push((field, lengths));
            self.of_fields.len() - 1
        });
        &self.of_fields[at].1
    }
}

/// What having a term counts for.
#[derive(Clone)]
pub(super) enum Counting {
    /// The rarer it is, the more often the document has it, and the shorter the text, the more.
    Relevance(Relevance),
    Always(Score),
}

impl List {
    pub(super) fn of_term(
        piece: &Piece<'_>,
        field: Field,
        info: &TermInfo,
        counting: Counting,
    ) -> tantivy::Result<Self> {
        let index = piece.segment.inverted_index(field)?;
        let postings = Box::new(index.read_block_postings_from_terminfo(info, IndexRecordOption::WithFreqs)?);
        let norms = piece.segment.fieldnorms_readers().get_field(field)?;
        let norms = norms.unwrap_or_else(|| FieldNormReader::constant(piece.segment.max_doc(), 1));
        Ok(Self::Term { field, postings, norms, counting })
    }

    /// Words that stand together.
    pub(super) fn of_phrase(piece: &Piece<'_>, phrase: &dyn Weight) -> tantivy::Result<Self> {
        let mut scorer = phrase.scorer(piece.segment, 1.0)?;
        let mut scored = Vec::new();
        piece.each_of(scorer.as_mut(), |scorer| scored.push((scorer.doc(), scorer.score())));
        Ok(Self::Scored(scored))
    }

    /// Words with a beginning, however many these are.
    pub(super) fn of_beginning(
        piece: &Piece<'_>,
        field: Field,
        beginning: &str,
        score: Score,
    ) -> tantivy::Result<Self> {
        let index = piece.segment.inverted_index(field)?;
        let mut words = index.terms().range().ge(beginning).into_stream()?;
        let mut set = DocumentSet::new(piece.documents.clone());
        while words.advance() && words.key().starts_with(beginning.as_bytes()) {
            let mut postings = index.read_block_postings_from_terminfo(words.value(), IndexRecordOption::Basic)?;
            while postings.block_len() > 0 {
                postings.docs().iter().for_each(|document| set.add(*document));
                postings.advance();
            }
        }
        Ok(Self::Scored(set.in_order().into_iter().map(|document| (document, score)).collect()))
    }

    /// About how long it is.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Term { postings, .. } => postings.doc_freq() as usize,
            Self::Scored(scored) => scored.len(),
        }
    }

    /// What being on it counts for at most.
    pub(super) fn at_most(&self) -> Score {
        match self {
            Self::Term { counting: Counting::Relevance(relevance), .. } => relevance.at_most(),
            Self::Term { counting: Counting::Always(score), .. } => *score,
            Self::Scored(scored) => scored.iter().map(|(_, score)| *score).fold(0.0, Score::max),
        }
    }

    /// Adds the documents of a piece that are on it.
    pub(super) fn add_to(&self, piece: &Piece<'_>, set: &mut DocumentSet) {
        match self {
            Self::Term { postings, .. } => {
                let mut postings = postings.clone();
                let mut first = postings.seek(piece.documents.start);
                while first < postings.block_len() && postings.doc(first) < piece.documents.end {
                    postings.docs()[first..].iter().for_each(|document| set.add(*document));
                    postings.advance();
                    first = 0;
                }
            }
            Self::Scored(scored) => scored.iter().for_each(|(document, _)| set.add(*document)),
        }
    }

    /// Hands over which of some documents, which are in order, are on it, and what that counts for: where some next to each
    /// other begin, and a number for each of these. The known lengths are those of the documents.
    pub(super) fn score(
        &mut self,
        documents: &[DocId],
        known: &mut KnownLengths,
        mut take: impl FnMut(usize, &[Score]),
    ) {
        let is_long = self.len() >= documents.len() / 2;
        let mut scores = Vec::new();
        match self {
            Self::Term { field, postings, norms, counting: Counting::Relevance(relevance) } if is_long => {
                let lengths = known.of(*field, |lengths| relevance.lengths(norms, documents, lengths));
                common_postings(postings, documents, |at, postings, places| {
                    relevance.scores(&lengths[at..at + places.len()], &postings.freqs()[places], &mut scores);
                    take(at, &scores);
                });
            }
            Self::Term { postings, norms, counting: Counting::Relevance(relevance), .. } => {
                let mut lengths = Vec::new();
                common_postings(postings, documents, |at, postings, places| {
                    relevance.lengths(norms, &documents[at..at + places.len()], &mut lengths);
                    relevance.scores(&lengths, &postings.freqs()[places], &mut scores);
                    take(at, &scores);
                });
            }
            Self::Term { postings, counting: Counting::Always(score), .. } => {
                common_postings(postings, documents, |at, _, places| {
                    scores.resize(places.len(), *score);
                    take(at, &scores);
                });
            }
            Self::Scored(scored) => {
                let mut at = 0;
                for (document, score) in scored {
                    at += before(&documents[at..], *document);
                    if documents.get(at) == Some(document) {
                        take(at, &[*score]);
                    }
                }
            }
        }
    }
}

/// Says which of some documents, which are in order, are on a list: where some next to each other begin, and their places in
/// the block of the list.
fn common_postings(
    postings: &mut BlockSegmentPostings,
    documents: &[DocId],
    mut take: impl FnMut(usize, &BlockSegmentPostings, Range<usize>),
) {
    let mut at = 0;
    while at < documents.len() {
        let mut place = postings.seek(documents[at]);
        let listed = postings.docs();
        if place >= listed.len() {
            return;
        }
        // What is left of the block, as long as anything is left of the documents.
        while place < listed.len() && at < documents.len() {
            // Words that stand in the same LoRAs have lists that are alike for long: nothing has to be looked for there.
            let alike = alike(&listed[place..], &documents[at..]);
            if alike > 0 {
                take(at, postings, place..place + alike);
                at += alike;
                place += alike;
            }
            let Some(next) = listed.get(place) else { break };
            at += before(&documents[at..], *next);
            let Some(next) = documents.get(at) else { break };
            place += before(&listed[place..], *next);
        }
    }
}

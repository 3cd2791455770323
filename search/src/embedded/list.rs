//! A list of documents, and what being on it counts for.

use tantivy::{
    DocId, Score,
    fieldnorm::FieldNormReader,
    postings::{BlockSegmentPostings, TermInfo},
    query::{Bm25Weight, Weight},
    schema::{Field, IndexRecordOption},
};

use super::piece::{DocumentSet, Piece, before};

/// A list of documents.
pub(super) enum List {
    /// Those with a term in a field.
    Term { postings: Box<BlockSegmentPostings>, norms: FieldNormReader, counting: Counting },
    /// Documents in order, with what each counts for.
    Scored(Vec<(DocId, Score)>),
}

/// What having a term counts for.
#[derive(Clone)]
pub(super) enum Counting {
    /// The rarer it is, the more often the document has it, and the shorter the text, the more.
    Relevance(Bm25Weight),
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
        Ok(Self::Term { postings, norms, counting })
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

    /// Hands over which of some documents, which are in order, are on it, and what that counts for.
    pub(super) fn score(&mut self, documents: &[DocId], mut take: impl FnMut(usize, Score)) {
        match self {
            Self::Term { postings, norms, counting: Counting::Relevance(relevance) } => {
                common_postings(postings, documents, |at, times| {
                    take(at, relevance.score(norms.fieldnorm_id(documents[at]), times));
                });
            }
            Self::Term { postings, counting: Counting::Always(score), .. } => {
                common_postings(postings, documents, |at, _| take(at, *score));
            }
            Self::Scored(scored) => {
                let mut at = 0;
                for (document, score) in scored {
                    at += before(&documents[at..], *document);
                    if documents.get(at) == Some(document) {
                        take(at, *score);
                    }
                }
            }
        }
    }
}

/// Says which of some documents, which are in order, are on a list, and how often each has the term.
fn common_postings(postings: &mut BlockSegmentPostings, documents: &[DocId], mut take: impl FnMut(usize, u32)) {
    let mut at = 0;
    while at < documents.len() {
        let mut place = postings.seek(documents[at]);
        let listed = postings.docs();
        if place >= listed.len() {
            return;
        }
        // Words that stand in the same LoRAs have lists that are alike for long: nothing has to be looked for there.
        while place < listed.len() && at < documents.len() && listed[place] == documents[at] {
            take(at, postings.freq(place));
            place += 1;
            at += 1;
        }
        if let Some(next) = listed.get(place) {
            at += before(&documents[at..], *next);
        }
    }
}

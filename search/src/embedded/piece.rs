//! Documents next to each other, sets of them, and such as are in order.

use std::ops::Range;

use tantivy::{DocId, DocSet, Searcher, SegmentOrdinal, SegmentReader};

/// Documents of a piece, at most: large segments come in pieces, so that of the threads that look through them none has much
/// more to do than the others. In tests they are tiny, so that there are several.
const LARGEST: DocId = if cfg!(test) { 3 } else { 1 << 17 };

/// Documents that are next to each other in a segment.
pub(super) struct Piece<'a> {
    pub(super) number: SegmentOrdinal,
    pub(super) segment: &'a SegmentReader,
    pub(super) documents: Range<DocId>,
}

impl<'a> Piece<'a> {
    /// Pieces that hold all documents together.
    pub(super) fn all_of(searcher: &'a Searcher) -> impl Iterator<Item = Self> {
        searcher.segment_readers().iter().enumerate().flat_map(|(number, segment)| {
            let end = segment.max_doc();
            // As many as it takes, of the same size.
            let size = end.div_ceil(end.div_ceil(LARGEST).max(1)).max(1);
            (0..end).step_by(size as usize).map(move |start| {
                let documents = start..end.min(start + size);
                Self { number: number as SegmentOrdinal, segment, documents }
            })
        })
    }

    /// Does something while a list stands at each of its documents that is within the piece.
    pub(super) fn each_of<D: DocSet + ?Sized>(&self, list: &mut D, mut work: impl FnMut(&mut D)) {
        let mut document = list.doc();
        if document < self.documents.start {
            document = list.seek(self.documents.start);
        }
        while document < self.documents.end {
            work(list);
            document = list.advance();
        }
    }
}

/// Some of the documents of a range: a bit for each.
pub(super) struct DocumentSet {
    range: Range<DocId>,
    bits: Vec<u64>,
}

impl DocumentSet {
    /// None of the documents of a range.
    pub(super) fn new(range: Range<DocId>) -> Self {
        Self { bits: vec![0; range.len().div_ceil(64)], range }
    }

    /// Adds a document, if it is within the range.
    pub(super) fn add(&mut self, document: DocId) {
        if self.range.contains(&document) {
            let at = document - self.range.start;
            self.bits[(at / 64) as usize] |= 1 << (at % 64);
        }
    }

    /// The documents, in order.
    pub(super) fn in_order(&self) -> Vec<DocId> {
        let mut documents = Vec::with_capacity(self.bits.iter().map(|bits| bits.count_ones() as usize).sum());
        for (start, bits) in (self.range.start..).step_by(64).zip(&self.bits) {
            let mut bits = *bits;
            while bits != 0 {
                documents.push(start + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        documents
    }
}

/// Says which of some documents, which are in order, are on a list, while the list stands at them.
pub(super) fn common<D: DocSet + ?Sized>(list: &mut D, documents: &[DocId], mut take: impl FnMut(&mut D, usize)) {
    let mut at = 0;
    while at < documents.len() {
        let mut document = list.doc();
        if document < documents[at] {
            document = list.seek(documents[at]);
        }
        if document == documents[at] {
            take(list, at);
            at += 1;
        } else {
            at += before(&documents[at..], document);
        }
    }
}

/// How many of some documents, which are in order, come before one. It is quick where these are few.
pub(super) fn before(documents: &[DocId], document: DocId) -> usize {
    let mut end = 1;
    while end < documents.len() && documents[end] < document {
        end *= 2;
    }
    let begin = end / 2;
    let end = documents.len().min(end);
    begin + documents[begin..end].partition_point(|other| *other < document)
}

/// How many documents are the same from the beginning of both.
pub(super) fn alike(some: &[DocId], others: &[DocId]) -> usize {
    let (some_together, _) = some.as_chunks::<8>();
    let (others_together, _) = others.as_chunks::<8>();
    let alike = 8 * some_together.iter().zip(others_together).take_while(|(some, others)| some == others).count();
    let rest = some[alike..].iter().zip(&others[alike..]);
    alike + rest.take_while(|(some, other)| some == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_is_within_its_range() {
        let mut set = DocumentSet::new(100..300);
        [299, 100, 164, 99, 300, 100].into_iter().for_each(|document| set.add(document));
        assert_eq!(set.in_order(), [100, 164, 299]);
    }

    #[test]
    fn documents_are_alike_up_to_the_first_other_one() {
        let documents: Vec<DocId> = (0..20).collect();
        for until in 0..20 {
            let mut others = documents.clone();
            others[until] += 100;
            assert_eq!(alike(&documents, &others), until);
            assert_eq!(alike(&documents[..until], &documents), until);
        }
    }

    #[test]
    fn as_many_come_before_as_are_smaller() {
        let documents: Vec<DocId> = (0..50).map(|number| number * 2).collect();
        for from in 0..documents.len() {
            for document in 0..102 {
                let smaller = documents[from..].iter().filter(|other| **other < document).count();
                assert_eq!(before(&documents[from..], document), smaller, "{document} from {from}");
            }
        }
        assert_eq!(before(&[], 7), 0);
    }
}

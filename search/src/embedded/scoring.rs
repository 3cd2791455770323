//! Which LoRAs have what was typed, and how well they fit it.
//!
//! A list is gone through from its beginning to its end for all LoRAs that may be found, and then the next one: a search
//! for common words finds so many that going from LoRA to LoRA, with a look at every list, takes several times as long.

use tantivy::{
    DocId, Score, Searcher,
    collector::{Collector, SegmentCollector},
    query::{AllScorer, Scorer, Weight},
};

use super::{
    list::List,
    lists::Lists,
    piece::{DocumentSet, Piece, common},
    ranking::{Ranked, Ranking},
    restrictions::Limit,
};

/// What every further place of a word adds, of what the best one counts.
const OTHER_PLACES: Score = 0.1;

/// What is looked for.
pub(super) struct Search<'a> {
    pub(super) lists: &'a Lists,
    /// How many parts of what was typed a LoRA must have.
    pub(super) least: usize,
    /// What else it must be like.
    pub(super) listed: &'a [Box<dyn Weight>],
    pub(super) limits: &'a [Limit],
}

/// Documents of a piece, in order, with what they count for.
struct Candidates {
    documents: Vec<DocId>,
    scores: Vec<Score>,
    /// How many parts each has.
    parts: Vec<u8>,
}

impl Search<'_> {
    /// Finds LoRAs.
    pub(super) fn run(&self, searcher: &Searcher, ranking: &Ranking<'_>) -> tantivy::Result<Ranked> {
        let pieces = searcher.index().search_executor().map(
            |piece| {
                let found = self.find(&piece)?;
                let mut collector = ranking.for_segment(piece.number, piece.segment)?;
                for (document, score) in found.documents.into_iter().zip(found.scores) {
                    collector.collect(document, score);
                }
                collector.harvest()
            },
            Piece::all_of(searcher),
        )?;
        ranking.merge_fruits(pieces.into_iter().map(Ok).collect())
    }

    fn find(&self, piece: &Piece<'_>) -> tantivy::Result<Candidates> {
        let mut parts = Vec::with_capacity(self.lists.parts.len());
        for part in &self.lists.parts {
            parts.push(part.within(piece)?);
        }
        // The rarest first: the others need to be looked at for those only that have it.
        parts.sort_by_key(|lists| lists.iter().map(List::len).sum::<usize>());
        let mut set = DocumentSet::new(piece.documents.clone());
        for list in parts[..=parts.len() - self.least].iter().flatten() {
            list.add_to(piece, &mut set);
        }
        let mut documents = set.in_order();
        if let Some(alive) = piece.segment.alive_bitset() {
            documents.retain(|document| alive.is_alive(*document));
        }
        for listed in self.listed {
            restrict(&mut documents, listed.scorer(piece.segment, 1.0)?);
        }
        for limit in self.limits {
            limit.keep(piece.segment, &mut documents)?;
        }
        let mut candidates = Candidates::new(documents);
        let mut left = parts.len();
        for lists in &mut parts {
            left -= 1;
            candidates.score_part(lists);
            candidates.keep_with(self.least.saturating_sub(left));
        }
        candidates.add_extras(&mut self.lists.extras.within(piece)?);
        Ok(candidates)
    }
}

fn restrict(documents: &mut Vec<DocId>, mut restriction: Box<dyn Scorer>) {
    if restriction.is::<AllScorer>() {
        return;
    }
    let mut passing = Vec::with_capacity(documents.len());
    common(restriction.as_mut(), documents, |restriction, _| passing.push(restriction.doc()));
    *documents = passing;
}

impl Candidates {
    fn new(documents: Vec<DocId>) -> Self {
        Self { scores: vec![0.0; documents.len()], parts: vec![0; documents.len()], documents }
    }

    /// Adds what a part counts for: the best of the places where it stands, and of every other one a little.
    fn score_part(&mut self, lists: &mut [List]) {
        let mut best = vec![0.0; self.documents.len()];
        let mut sums = vec![0.0; self.documents.len()];
        for list in lists {
            list.score(&self.documents, |at, score| {
                best[at] = Score::max(best[at], score);
                sums[at] += score;
            });
        }
        for (at, (best, sum)) in best.into_iter().zip(sums).enumerate() {
            // Every place counts for something.
            if best > 0.0 {
                self.parts[at] += 1;
                self.scores[at] += best + (sum - best) * OTHER_PLACES;
            }
        }
    }

    fn add_extras(&mut self, lists: &mut [List]) {
        for list in lists {
            list.score(&self.documents, |at, score| self.scores[at] += score);
        }
    }

    /// Keeps those with at least so many parts.
    fn keep_with(&mut self, least: usize) {
        let is_enough = |parts: u8| usize::from(parts) >= least;
        if self.parts.iter().all(|parts| is_enough(*parts)) {
            return;
        }
        let mut kept = 0;
        for at in 0..self.documents.len() {
            if is_enough(self.parts[at]) {
                self.documents[kept] = self.documents[at];
                self.scores[kept] = self.scores[at];
                self.parts[kept] = self.parts[at];
                kept += 1;
            }
        }
        self.documents.truncate(kept);
        self.scores.truncate(kept);
        self.parts.truncate(kept);
    }
}

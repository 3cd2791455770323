//! Which LoRAs have what was typed, and how well they fit it.
//!
//! A list is gone through from its beginning to its end for all LoRAs that may be found, and then the next one: a search
//! for common words finds so many that going from LoRA to LoRA, with a look at every list, takes several times as long.

use std::sync::Arc;

use tantivy::{
    DocId, Score, Searcher,
    query::{AllScorer, Scorer, Weight},
};

use super::{
    list::{KnownLengths, List},
    lists::Lists,
    piece::{DocumentSet, Piece, common},
    ranking::{Least, Ranked, Ranking, SegmentRanking},
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
    part: PartScores,
    lengths: KnownLengths,
}

/// What a part counts for in each of the documents.
#[derive(Default)]
struct PartScores {
    /// The best of its places.
    best: Vec<Score>,
    /// All of them together.
    sums: Vec<Score>,
}

impl Search<'_> {
    /// Finds LoRAs.
    pub(super) fn run(&self, searcher: &Searcher, ranking: &Ranking<'_>) -> tantivy::Result<Ranked> {
        let least = Arc::new(Least::default());
        let pieces = searcher.index().search_executor().map(
            |piece| {
                let mut found = self.find(&piece)?;
                let mut ranking = ranking.of_segment(piece.number, piece.segment, least.clone())?;
                ranking.count(&found.documents);
                self.add_extras(&piece, &ranking, &mut found)?;
                ranking.rank(&found.documents, &found.scores);
                Ok(ranking.ranked())
            },
            Piece::all_of(searcher),
        )?;
        Ok(ranking.together(pieces))
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
        Ok(candidates)
    }

    /// Adds what counts for the order only, and keeps those that may be among the first. Many words that say little stand in
    /// nearly all LoRAs, and to look at all of these takes longer than to find a common word.
    fn add_extras(
        &self,
        piece: &Piece<'_>,
        ranking: &SegmentRanking,
        candidates: &mut Candidates,
    ) -> tantivy::Result<()> {
        let mut extras = self.lists.extras.within(piece)?;
        if !extras.is_empty() {
            let rise: f64 = extras.iter().map(|list| f64::from(list.at_most())).sum();
            let enough = ranking.enough_among(&candidates.documents, &candidates.scores);
            candidates.keep(|candidates, at| {
                // What is added is rounded, up as well.
                let at_most = (f64::from(candidates.scores[at]) + rise) * (1.0 + 1e-5);
                ranking.may_reach(enough, candidates.documents[at], at_most)
            });
            candidates.add_extras(&mut extras);
        }
        Ok(())
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
        let (scores, parts) = (vec![0.0; documents.len()], vec![0; documents.len()]);
        Self { documents, scores, parts, part: PartScores::default(), lengths: KnownLengths::default() }
    }

    /// Adds what a part counts for: the best of the places where it stands, and of every other one a little.
    fn score_part(&mut self, lists: &mut [List]) {
        let part = &mut self.part;
        part.clear(self.documents.len());
        for list in lists {
            list.score(&self.documents, &mut self.lengths, |at, scores| part.add(at, scores));
        }
        let of_documents = self.scores.iter_mut().zip(&mut self.parts);
        for ((score, parts), (best, sum)) in of_documents.zip(part.best.iter().zip(&part.sums)) {
            // Every place counts for something. Where the part does not stand, nothing is added.
            *parts += u8::from(*best > 0.0);
            *score += best + (sum - best) * OTHER_PLACES;
        }
    }

    fn add_extras(&mut self, lists: &mut [List]) {
        for list in lists {
            list.score(&self.documents, &mut self.lengths, |at, scores| {
                self.scores[at..].iter_mut().zip(scores).for_each(|(all, score)| *all += score);
            });
        }
    }

    /// Keeps those with at least so many parts.
    fn keep_with(&mut self, least: usize) {
        let is_enough = |parts: u8| usize::from(parts) >= least;
        if !self.parts.iter().all(|parts| is_enough(*parts)) {
            self.keep(|candidates, at| is_enough(candidates.parts[at]));
        }
    }

    /// Keeps those that are wanted, by their places.
    fn keep(&mut self, is_wanted: impl Fn(&Self, usize) -> bool) {
        let mut kept = 0;
        for at in 0..self.documents.len() {
            if is_wanted(self, at) {
                self.documents[kept] = self.documents[at];
                self.scores[kept] = self.scores[at];
                self.parts[kept] = self.parts[at];
                kept += 1;
            }
        }
        self.lengths.clear();
        self.documents.truncate(kept);
        self.scores.truncate(kept);
        self.parts.truncate(kept);
    }
}

impl PartScores {
    fn clear(&mut self, documents: usize) {
        for numbers in [&mut self.best, &mut self.sums] {
            numbers.clear();
            numbers.resize(documents, 0.0);
        }
    }

    /// Adds what a place counts for in some documents next to each other.
    fn add(&mut self, at: usize, scores: &[Score]) {
        let of_documents = self.best[at..].iter_mut().zip(&mut self.sums[at..]);
        for ((best, sum), score) in of_documents.zip(scores) {
            *best = if *score > *best { *score } else { *best };
            *sum += score;
        }
    }
}

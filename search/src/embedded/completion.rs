//! Words of the index that a misspelt or unfinished word may stand for.

use std::{collections::HashMap, sync::LazyLock};

use levenshtein_automata::{DFA, Distance, LevenshteinAutomatonBuilder, SINK_STATE};
use tantivy::{Searcher, schema::Field};
use tantivy_fst::Automaton;

/// Letters from which one typing error is forgiven.
const ONE_ERROR_FROM: usize = 4;
/// Letters of the word that was meant from which two are.
const TWO_ERRORS_FROM: usize = 8;
/// Corrections that a word is looked for with.
const MOST_CORRECTIONS: usize = 48;
/// Completions that a word is looked for with.
const MOST_COMPLETIONS: usize = 96;
/// Completions that are looked through in one segment.
const MOST_SCANNED: usize = 20_000;

static NO_ERROR: LazyLock<LevenshteinAutomatonBuilder> = LazyLock::new(|| LevenshteinAutomatonBuilder::new(0, true));
// Swapped neighbours count as one error.
static ONE_ERROR: LazyLock<LevenshteinAutomatonBuilder> = LazyLock::new(|| LevenshteinAutomatonBuilder::new(1, true));
static TWO_ERRORS: LazyLock<LevenshteinAutomatonBuilder> = LazyLock::new(|| LevenshteinAutomatonBuilder::new(2, true));

/// A word of the index, and how far it is from what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) word: String,
    /// Typing errors between them; 0 for a completion.
    pub(super) errors: u8,
    /// Documents that hold it.
    pub(super) documents: u64,
}

/// What an unfinished word may become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Completions {
    pub(super) candidates: Vec<Candidate>,
    /// Whether there are more.
    pub(super) truncated: bool,
}

/// Accepts what is near a word. People seldom err in the first letter: with another one, an error less is forgiven,
/// which also spares the search most of the words of the index.
struct Near {
    first: Option<u8>,
    /// For words with the same first letter.
    same: DFA,
    /// For words with another one.
    other: DFA,
}

#[derive(Clone, Copy)]
enum NearState {
    Start,
    Same(u32),
    Other(u32),
}

impl Near {
    /// The typing errors between a word and what this accepts; none if it does not.
    fn errors(&self, word: &str) -> Option<u8> {
        let dfa = if word.as_bytes().first().copied() == self.first { &self.same } else { &self.other };
        match dfa.eval(word) {
            Distance::Exact(errors) => Some(errors),
            Distance::AtLeast(_) => None,
        }
    }
}

impl Automaton for Near {
    type State = NearState;

    fn start(&self) -> NearState {
        NearState::Start
    }

    fn is_match(&self, state: &NearState) -> bool {
        let distance = match state {
            NearState::Start => return false,
            NearState::Same(state) => self.same.distance(*state),
            NearState::Other(state) => self.other.distance(*state),
        };
        matches!(distance, Distance::Exact(_))
    }

    fn can_match(&self, state: &NearState) -> bool {
        match state {
            NearState::Start => true,
            NearState::Same(state) | NearState::Other(state) => *state != SINK_STATE,
        }
    }

    fn accept(&self, state: &NearState, byte: u8) -> NearState {
        match state {
            NearState::Start if Some(byte) == self.first => {
                NearState::Same(self.same.transition(self.same.initial_state(), byte))
            }
            NearState::Start => NearState::Other(self.other.transition(self.other.initial_state(), byte)),
            NearState::Same(state) => NearState::Same(self.same.transition(*state, byte)),
            NearState::Other(state) => NearState::Other(self.other.transition(*state, byte)),
        }
    }
}

/// Words that `word` may be a misspelling of, nearest first, then most frequent. One that the index knows is not taken
/// for two errors.
pub(super) fn corrections(
    searcher: &Searcher,
    field: Field,
    word: &str,
    known: bool,
) -> tantivy::Result<Vec<Candidate>> {
    let letters = word.chars().count();
    if letters < ONE_ERROR_FROM || word.chars().any(|c| c.is_ascii_digit()) && letters < TWO_ERRORS_FROM {
        return Ok(Vec::new());
    }
    // A word of eight letters that lost two has six.
    let two = !known && letters + 2 >= TWO_ERRORS_FROM;
    let same = if two { TWO_ERRORS.build_dfa(word) } else { ONE_ERROR.build_dfa(word) };
    let near = Near { first: word.as_bytes().first().copied(), same, other: ONE_ERROR.build_dfa(word) };
    let allowed = |candidate: &Candidate| {
        let longest = letters.max(candidate.word.chars().count());
        candidate.errors == 1 || candidate.errors == 2 && longest >= TWO_ERRORS_FROM
    };
    within(searcher, field, near, allowed)
}

/// Words whose beginning `word` may be a misspelling of, as [`corrections`].
pub(super) fn misspelt_beginnings(searcher: &Searcher, field: Field, word: &str) -> tantivy::Result<Vec<Candidate>> {
    if word.chars().count() < ONE_ERROR_FROM {
        return Ok(Vec::new());
    }
    let first = word.as_bytes().first().copied();
    let near = Near { first, same: ONE_ERROR.build_prefix_dfa(word), other: NO_ERROR.build_prefix_dfa(word) };
    within(searcher, field, near, |candidate| candidate.errors > 0)
}

fn within(
    searcher: &Searcher,
    field: Field,
    near: Near,
    allowed: impl Fn(&Candidate) -> bool,
) -> tantivy::Result<Vec<Candidate>> {
    let mut found: HashMap<String, Candidate> = HashMap::new();
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(field)?;
        let mut stream = index.terms().search(&near).into_stream()?;
        let mut scanned = 0;
        while scanned < MOST_SCANNED && stream.advance() {
            scanned += 1;
            let Ok(word) = std::str::from_utf8(stream.key()) else { continue };
            let documents = u64::from(stream.value().doc_freq);
            if let Some(known) = found.get_mut(word) {
                known.documents += documents;
                continue;
            }
            let Some(errors) = near.errors(word) else { continue };
            let candidate = Candidate { word: word.to_owned(), errors, documents };
            if allowed(&candidate) {
                found.insert(word.to_owned(), candidate);
            }
        }
    }
    let mut found: Vec<Candidate> = found.into_values().collect();
    found.sort_by(|a, b| a.errors.cmp(&b.errors).then(b.documents.cmp(&a.documents)).then_with(|| a.word.cmp(&b.word)));
    found.truncate(MOST_CORRECTIONS);
    Ok(found)
}

/// Words that begin with `beginning` and go on, shortest first, then most frequent.
pub(super) fn completions(searcher: &Searcher, field: Field, beginning: &str) -> tantivy::Result<Completions> {
    let mut found: HashMap<String, Candidate> = HashMap::new();
    let mut truncated = false;
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(field)?;
        let mut stream = index.terms().range().gt(beginning).into_stream()?;
        let mut scanned = 0;
        while stream.advance() {
            if !stream.key().starts_with(beginning.as_bytes()) {
                break;
            }
            scanned += 1;
            if scanned > MOST_SCANNED {
                truncated = true;
                break;
            }
            let Ok(word) = std::str::from_utf8(stream.key()) else { continue };
            let documents = u64::from(stream.value().doc_freq);
            match found.get_mut(word) {
                Some(known) => known.documents += documents,
                None => {
                    found.insert(word.to_owned(), Candidate { word: word.to_owned(), errors: 0, documents });
                }
            }
        }
    }
    let mut candidates: Vec<Candidate> = found.into_values().collect();
    candidates.sort_by(|a, b| {
        (a.word.len(), b.documents).cmp(&(b.word.len(), a.documents)).then_with(|| a.word.cmp(&b.word))
    });
    truncated |= candidates.len() > MOST_COMPLETIONS;
    candidates.truncate(MOST_COMPLETIONS);
    Ok(Completions { candidates, truncated })
}

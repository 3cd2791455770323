//! Words of the index that a misspelt or unfinished word may stand for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use levenshtein_automata::{DFA, Distance, LevenshteinAutomatonBuilder, SINK_STATE};
use tantivy::{Searcher, SegmentReader, schema::Field};
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
    letters: usize,
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
    /// What is near a word; nothing if it is too short to be misspelt.
    fn word(word: &str, known: bool) -> Option<Self> {
        let letters = word.chars().count();
        if letters < ONE_ERROR_FROM || word.chars().any(|c| c.is_ascii_digit()) && letters < TWO_ERRORS_FROM {
            return None;
        }
        // A word of eight letters that lost two has six.
        let two = !known && letters + 2 >= TWO_ERRORS_FROM;
        let same = if two { TWO_ERRORS.build_dfa(word) } else { ONE_ERROR.build_dfa(word) };
        Some(Self { letters, first: word.as_bytes().first().copied(), same, other: ONE_ERROR.build_dfa(word) })
    }

    /// What begins nearly like a word; nothing if it is too short to be misspelt.
    fn beginning(word: &str) -> Option<Self> {
        let letters = word.chars().count();
        let (same, other) = (ONE_ERROR.build_prefix_dfa(word), NO_ERROR.build_prefix_dfa(word));
        let near = Self { letters, first: word.as_bytes().first().copied(), same, other };
        (letters >= ONE_ERROR_FROM).then_some(near)
    }

    /// The words of a segment that are near, but not the word itself.
    fn within(&self, segment: &SegmentReader, field: Field) -> tantivy::Result<Vec<Candidate>> {
        let index = segment.inverted_index(field)?;
        let mut stream = index.terms().search(self).into_stream()?;
        let mut found = Vec::new();
        let mut scanned = 0;
        while scanned < MOST_SCANNED && stream.advance() {
            scanned += 1;
            let Ok(word) = std::str::from_utf8(stream.key()) else { continue };
            let errors = self.errors(word).unwrap_or_default();
            let longest = self.letters.max(word.chars().count());
            if errors == 1 || errors == 2 && longest >= TWO_ERRORS_FROM {
                let documents = u64::from(stream.value().doc_freq);
                found.push(Candidate { word: word.to_owned(), errors, documents });
            }
        }
        Ok(found)
    }

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

/// Words that each of some words may be a misspelling of, nearest first, then most frequent. A word that the index knows
/// is not taken for two errors.
pub(super) fn corrections(
    searcher: &Searcher,
    field: Field,
    words: &[(&str, bool)],
) -> tantivy::Result<Vec<Vec<Candidate>>> {
    let near: Vec<Option<Near>> = words.iter().map(|(word, known)| Near::word(word, *known)).collect();
    within(searcher, field, &near)
}

/// Words whose beginning `word` may be a misspelling of, as [`corrections`].
pub(super) fn misspelt_beginnings(searcher: &Searcher, field: Field, word: &str) -> tantivy::Result<Vec<Candidate>> {
    Ok(within(searcher, field, &[Near::beginning(word)])?.remove(0))
}

fn within(searcher: &Searcher, field: Field, near: &[Option<Near>]) -> tantivy::Result<Vec<Vec<Candidate>>> {
    let numbered = near.iter().enumerate().filter_map(|(number, near)| Some((number, near.as_ref()?)));
    let lookups = numbered.flat_map(|lookup| searcher.segment_readers().iter().map(move |segment| (lookup, segment)));
    let looked_up = searcher
        .index()
        .search_executor()
        .map(|((number, near), segment)| Ok((number, near.within(segment, field)?)), lookups)?;
    let mut found = vec![Vec::new(); near.len()];
    for (number, candidates) in looked_up {
        found[number].extend(candidates);
    }
    let in_order = |candidates| {
        let mut found = together(candidates);
        found.sort_by(|a, b| {
            a.errors.cmp(&b.errors).then(b.documents.cmp(&a.documents)).then_with(|| a.word.cmp(&b.word))
        });
        found.truncate(MOST_CORRECTIONS);
        found
    };
    Ok(found.into_iter().map(in_order).collect())
}

/// Words that begin with `beginning` and go on, shortest first, then most frequent.
pub(super) fn completions(searcher: &Searcher, field: Field, beginning: &str) -> tantivy::Result<Completions> {
    let segments = searcher
        .index()
        .search_executor()
        .map(|segment| completions_in(segment, field, beginning), searcher.segment_readers().iter())?;
    let mut truncated = segments.iter().any(|segment| segment.truncated);
    let mut candidates = together(segments.into_iter().flat_map(|segment| segment.candidates));
    candidates.sort_by(|a, b| {
        (a.word.len(), b.documents).cmp(&(b.word.len(), a.documents)).then_with(|| a.word.cmp(&b.word))
    });
    truncated |= candidates.len() > MOST_COMPLETIONS;
    candidates.truncate(MOST_COMPLETIONS);
    Ok(Completions { candidates, truncated })
}

/// The completions of a segment, without those that are longer than enough others.
fn completions_in(segment: &SegmentReader, field: Field, beginning: &str) -> tantivy::Result<Completions> {
    let index = segment.inverted_index(field)?;
    let mut stream = index.terms().range().gt(beginning).into_stream()?;
    let mut found = Completions::default();
    let mut of_length: BTreeMap<usize, usize> = BTreeMap::new();
    let mut longest = usize::MAX;
    let mut scanned = 0;
    while stream.advance() && stream.key().starts_with(beginning.as_bytes()) {
        scanned += 1;
        if scanned > MOST_SCANNED {
            found.truncated = true;
            break;
        }
        let length = stream.key().len();
        if length > longest {
            found.truncated = true;
            continue;
        }
        let Ok(word) = std::str::from_utf8(stream.key()) else { continue };
        let documents = u64::from(stream.value().doc_freq);
        found.candidates.push(Candidate { word: word.to_owned(), errors: 0, documents });
        *of_length.entry(length).or_default() += 1;
        let mut shorter = 0;
        let enough = of_length.iter().find(|(_, count)| {
            shorter += **count;
            shorter >= MOST_COMPLETIONS
        });
        longest = enough.map_or(longest, |(length, _)| *length);
    }
    Ok(found)
}

/// The candidates of all segments, each word once.
fn together(candidates: impl IntoIterator<Item = Candidate>) -> Vec<Candidate> {
    let mut found: HashMap<String, Candidate> = HashMap::new();
    for candidate in candidates {
        match found.get_mut(&candidate.word) {
            Some(known) => known.documents += candidate.documents,
            None => {
                found.insert(candidate.word.clone(), candidate);
            }
        }
    }
    found.into_values().collect()
}

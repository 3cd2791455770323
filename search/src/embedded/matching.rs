//! From what was typed to what is looked for.

use std::collections::BTreeMap;

use tantivy::{Searcher, Term};

use super::{
    completion::{self, Candidate},
    schema::Fields,
};
use crate::words::{
    analysis,
    highlight::Marks,
    reading::{self, Reading},
    synonyms::{self, Meanings},
};

/// What a word counts for that was typed as it stands, relative to 1.
const SYNONYM: f32 = 0.6;
const COMPLETION: f32 = 0.6;
const ONE_ERROR: f32 = 0.4;
const TWO_ERRORS: f32 = 0.2;

/// How much of what was typed a LoRA must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// All of it.
    All,
    /// More than half of it.
    Most,
    /// Something of it.
    Any,
}

impl Strictness {
    pub(super) const FALLING: [Self; 3] = [Self::All, Self::Most, Self::Any];

    const fn of(self, parts: usize) -> usize {
        match self {
            Self::All => parts,
            Self::Most => parts / 2 + 1,
            Self::Any => 1,
        }
    }
}

/// What was typed, and what it may stand as in a LoRA.
pub(super) struct Matching {
    pub(super) parts: Vec<Part>,
    /// Words that say little. They count for the order only.
    pub(super) little: Vec<String>,
    /// Whole names and trigger words, which are ahead of everything else.
    pub(super) wholes: Vec<String>,
    pub(super) marks: Marks,
}

/// What a part of what was typed may stand as. Each counts for so much, relative to 1 for a word as it was typed.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Words: as typed, corrected, completed, or another word for it. In order, so that scores add up alike every time.
    pub(super) words: BTreeMap<String, f32>,
    pub(super) stem: Option<String>,
    /// Words that stand together.
    pub(super) phrases: Vec<(Vec<String>, f32)>,
    /// The beginning of more words than are named.
    pub(super) beginning: Option<(String, f32)>,
}

impl Matching {
    /// Looks the words up in the index: what they may be corrected and completed to.
    pub(super) fn new(
        searcher: &Searcher,
        fields: &Fields,
        meanings: &Meanings,
        reading: &Reading,
    ) -> tantivy::Result<Self> {
        let parts = parts(searcher, fields, meanings, reading)?;
        let marks = marks(&parts);
        let wholes = if parts.is_empty() { Vec::new() } else { reading.wholes.clone() };
        Ok(Self { parts, little: reading.little.clone(), wholes, marks })
    }

    /// Whether anything is asked for.
    pub(super) const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether asking less strictly asks for anything else.
    pub(super) fn differs(&self, strictness: Strictness, stricter: Strictness) -> bool {
        self.least(strictness) < self.least(stricter)
    }

    /// How many of the parts a LoRA must have.
    pub(super) const fn least(&self, strictness: Strictness) -> usize {
        strictness.of(self.parts.len())
    }
}

fn parts(searcher: &Searcher, fields: &Fields, meanings: &Meanings, reading: &Reading) -> tantivy::Result<Vec<Part>> {
    let mut words = Vec::new();
    for part in &reading.parts {
        if let reading::Part::Word { text, .. } = part {
            let known = searcher.doc_freq(&Term::from_field_text(fields.every, text))? > 0;
            words.push((text.as_str(), known));
        }
    }
    let together = synonyms::of_several(&reading.words, meanings);
    let mut corrections = words.iter().zip(completion::corrections(searcher, fields.every, &words)?);
    let mut parts = Vec::new();
    for part in &reading.parts {
        match part {
            reading::Part::Phrase(words) => parts.push(Part { phrases: vec![(words.clone(), 1.0)], ..Part::default() }),
            reading::Part::Word { unfinished, .. } => {
                let Some(((word, known), corrections)) = corrections.next() else { continue };
                let mut part = Part::new(word, meanings, corrections);
                // What stands for several words stands for each of them: whoever has it has them all.
                let of_word = together.iter().filter(|(of, _)| of == word);
                of_word.for_each(|(_, others)| part.add_meanings(others));
                if *unfinished {
                    part.complete(searcher, fields, word, *known)?;
                }
                parts.push(part);
            }
        }
    }
    Ok(parts)
}

impl Part {
    /// A word as typed, corrected, or by another word for it.
    fn new(word: &str, meanings: &Meanings, corrections: Vec<Candidate>) -> Self {
        let mut part = Self { stem: Some(analysis::stem(word)), ..Self::default() };
        part.add(word, 1.0);
        part.add_meanings(meanings.get(word).map(Vec::as_slice).unwrap_or_default());
        for candidate in corrections {
            part.add(&candidate.word, if candidate.errors == 1 { ONE_ERROR } else { TWO_ERRORS });
        }
        part
    }

    /// Adds other words for it.
    fn add_meanings(&mut self, meanings: &[Vec<String>]) {
        for meaning in meanings {
            match meaning.as_slice() {
                [other] => self.add(other, SYNONYM),
                others => self.phrases.push((others.to_vec(), SYNONYM)),
            }
        }
    }

    /// Adds the words that one may become.
    fn complete(&mut self, searcher: &Searcher, fields: &Fields, word: &str, known: bool) -> tantivy::Result<()> {
        let completions = completion::completions(searcher, fields.every, word)?;
        self.beginning = completions.truncated.then(|| (word.to_owned(), COMPLETION));
        let known = known || !completions.candidates.is_empty();
        for candidate in completions.candidates {
            let typed = word.len() as f32 / candidate.word.len() as f32;
            self.add(&candidate.word, COMPLETION * typed.sqrt());
        }
        if !known {
            for candidate in completion::misspelt_beginnings(searcher, fields.every, word)? {
                let typed = (word.len() as f32 / candidate.word.len() as f32).min(1.0);
                self.add(&candidate.word, COMPLETION * ONE_ERROR * typed.sqrt());
            }
        }
        Ok(())
    }

    fn add(&mut self, word: &str, weight: f32) {
        let known = self.words.entry(word.to_owned()).or_insert(weight);
        *known = known.max(weight);
    }
}

/// What is marked in what was found.
fn marks(parts: &[Part]) -> Marks {
    let mut marks = Marks::default();
    for part in parts {
        marks.words.extend(part.words.keys().cloned());
        marks.words.extend(part.phrases.iter().flat_map(|(words, _)| words.iter().cloned()));
        marks.stems.extend(part.stem.iter().cloned());
    }
    marks
}

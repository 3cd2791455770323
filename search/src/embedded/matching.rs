//! From what was typed to the query that the index runs.

use std::{collections::HashMap, ops::Bound};

use tantivy::{
    Searcher, Term,
    query::{
        AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, FuzzyTermQuery, Occur,
        PhraseQuery, Query, RangeQuery, TermQuery,
    },
    schema::{Field, IndexRecordOption},
};

use super::{completion, schema::Fields};
use crate::{
    LoraFilter, Viewer,
    words::{
        self, analysis,
        highlight::Marks,
        reading::{Part, Reading},
        synonyms::Meanings,
    },
};

/// What a word counts for that was typed as it stands, relative to 1.
const SYNONYM: f32 = 0.6;
const COMPLETION: f32 = 0.6;
const ONE_ERROR: f32 = 0.4;
const TWO_ERRORS: f32 = 0.2;
/// What every further field that holds the word adds, of what the best one counts.
const OTHER_FIELDS: f32 = 0.1;
/// A whole name or trigger word is ahead of everything else.
const WHOLE: f32 = 1000.0;

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

    fn of(self, parts: usize) -> usize {
        match self {
            Self::All => parts,
            Self::Most => parts / 2 + 1,
            Self::Any => 1,
        }
    }
}

/// What was typed, as queries.
pub(super) struct Matching {
    parts: Vec<Box<dyn Query>>,
    extras: Vec<Box<dyn Query>>,
    pub(super) marks: Marks,
}

/// Makes queries from what was typed.
struct Builder<'a> {
    searcher: &'a Searcher,
    fields: &'a Fields,
    meanings: &'a Meanings,
    marks: Marks,
}

impl Matching {
    /// Looks the words up in the index: what they may be corrected and completed to.
    pub(super) fn new(
        searcher: &Searcher,
        fields: &Fields,
        meanings: &Meanings,
        reading: &Reading,
    ) -> tantivy::Result<Self> {
        let mut builder = Builder { searcher, fields, meanings, marks: Marks::default() };
        let mut parts = Vec::new();
        for part in &reading.parts {
            parts.push(match part {
                Part::Word { text, unfinished } => builder.word(text, *unfinished)?,
                Part::Phrase(words) => {
                    builder.marks.words.extend(words.iter().cloned());
                    union(builder.phrase(words, 1.0))
                }
            });
        }
        let mut extras = Vec::new();
        for word in &reading.little {
            extras.extend(builder.terms(word, 0.5)?);
        }
        for whole in reading.wholes.iter().filter(|_| !parts.is_empty()) {
            for field in [fields.name_whole, fields.trigger_whole] {
                let term = Term::from_field_text(field, words::cut(whole));
                extras.push(Box::new(ConstScoreQuery::new(term_query(term), WHOLE)) as Box<dyn Query>);
            }
        }
        Ok(Self { parts, extras, marks: builder.marks })
    }

    /// Whether anything is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether asking less strictly asks for anything else.
    pub(super) fn differs(&self, strictness: Strictness, stricter: Strictness) -> bool {
        strictness.of(self.parts.len()) < stricter.of(self.parts.len())
    }

    /// The query for LoRAs that hold enough of it, pass the filter, and that the viewer may see.
    pub(super) fn query(
        &self,
        fields: &Fields,
        filter: &LoraFilter,
        viewer: &Viewer,
        strictness: Strictness,
    ) -> BooleanQuery {
        let mut clauses: Vec<(Occur, Box<dyn Query>)> =
            restrictions(fields, filter, viewer).into_iter().map(|query| (Occur::Must, query)).collect();
        let least = strictness.of(self.parts.len());
        let parts = self.parts.iter().map(|part| part.box_clone());
        if least == self.parts.len() {
            clauses.extend(parts.map(|part| (Occur::Must, part)));
        } else {
            let parts = BooleanQuery::union_with_minimum_required_clauses(parts.collect(), least);
            clauses.push((Occur::Must, Box::new(parts)));
        }
        clauses.extend(self.extras.iter().map(|extra| (Occur::Should, extra.box_clone())));
        BooleanQuery::new(clauses)
    }
}

impl Builder<'_> {
    /// A word in any field, as typed, corrected, completed, or by another word for it.
    fn word(&mut self, word: &str, unfinished: bool) -> tantivy::Result<Box<dyn Query>> {
        let mut weights: HashMap<String, f32> = HashMap::new();
        let mut phrases = Vec::new();
        let mut prefix = None;
        let mut add = |word: &str, weight: f32| {
            let known = weights.entry(word.to_owned()).or_insert(weight);
            *known = known.max(weight);
        };
        add(word, 1.0);
        for meaning in self.meanings.get(word).into_iter().flatten() {
            match meaning.as_slice() {
                [other] => add(other, SYNONYM),
                others => phrases.push(others.to_vec()),
            }
        }
        let every = self.fields.every;
        let known = self.searcher.doc_freq(&Term::from_field_text(every, word))? > 0;
        for candidate in completion::corrections(self.searcher, every, word, known)? {
            add(&candidate.word, if candidate.errors == 1 { ONE_ERROR } else { TWO_ERRORS });
        }
        if unfinished {
            let completions = completion::completions(self.searcher, every, word)?;
            prefix = completions.truncated.then(|| word.to_owned());
            let known = known || !completions.candidates.is_empty();
            for candidate in completions.candidates {
                let typed = word.len() as f32 / candidate.word.len() as f32;
                add(&candidate.word, COMPLETION * typed.sqrt());
            }
            if !known {
                for candidate in completion::misspelt_beginnings(self.searcher, every, word)? {
                    let typed = (word.len() as f32 / candidate.word.len() as f32).min(1.0);
                    add(&candidate.word, COMPLETION * ONE_ERROR * typed.sqrt());
                }
            }
        }
        let mut queries = self.stems(word)?;
        for (word, weight) in weights {
            queries.extend(self.terms(&word, weight)?);
            self.marks.words.insert(word);
        }
        for phrase in phrases {
            queries.extend(self.phrase(&phrase, SYNONYM));
            self.marks.words.extend(phrase);
        }
        queries.extend(prefix.into_iter().flat_map(|word| self.prefix(&word)));
        Ok(union(queries))
    }

    /// Where words stand, and what each place counts for.
    fn places(&self) -> [(Field, f32); 6] {
        let f = self.fields;
        [(f.name, 3.0), (f.trigger, 3.0), (f.tags, 2.0), (f.creator, 2.0), (f.description, 1.0), (f.prompts, 0.8)]
    }

    fn terms(&self, word: &str, weight: f32) -> tantivy::Result<Vec<Box<dyn Query>>> {
        self.present(self.places().map(|(field, boost)| (Term::from_field_text(field, word), boost * weight)))
    }

    fn stems(&mut self, word: &str) -> tantivy::Result<Vec<Box<dyn Query>>> {
        let stem = analysis::stem(word);
        let places = [(self.fields.name_stems, 2.0), (self.fields.text_stems, 0.7)];
        let queries = self.present(places.map(|(field, boost)| (Term::from_field_text(field, &stem), boost)))?;
        self.marks.stems.insert(stem);
        Ok(queries)
    }

    fn present<const N: usize>(&self, terms: [(Term, f32); N]) -> tantivy::Result<Vec<Box<dyn Query>>> {
        let mut queries: Vec<Box<dyn Query>> = Vec::new();
        for (term, boost) in terms {
            if self.searcher.doc_freq(&term)? > 0 {
                let query = TermQuery::new(term, IndexRecordOption::WithFreqs);
                queries.push(Box::new(BoostQuery::new(Box::new(query), boost)));
            }
        }
        Ok(queries)
    }

    fn phrase(&self, words: &[String], weight: f32) -> Vec<Box<dyn Query>> {
        let queries = self.places().map(|(field, boost)| {
            let terms = words.iter().map(|word| Term::from_field_text(field, word)).collect();
            Box::new(BoostQuery::new(Box::new(PhraseQuery::new(terms)), boost * weight)) as Box<dyn Query>
        });
        queries.into()
    }

    /// Every word with that beginning, without regard to how rare it is.
    fn prefix(&self, beginning: &str) -> Vec<Box<dyn Query>> {
        let queries = self.places().map(|(field, boost)| {
            let query = FuzzyTermQuery::new_prefix(Term::from_field_text(field, beginning), 0, false);
            Box::new(BoostQuery::new(Box::new(query), boost * COMPLETION)) as Box<dyn Query>
        });
        queries.into()
    }
}

fn union(mut queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    match queries.len() {
        0 => Box::new(EmptyQuery),
        1 => queries.remove(0),
        _ => Box::new(DisjunctionMaxQuery::with_tie_breaker(queries, OTHER_FIELDS)),
    }
}

fn term_query(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

/// What the filter and the viewer's rights ask for. It does not count for the order.
pub(super) fn restrictions(fields: &Fields, filter: &LoraFilter, viewer: &Viewer) -> Vec<Box<dyn Query>> {
    let any = |terms: Vec<Term>| -> Box<dyn Query> {
        Box::new(BooleanQuery::union(terms.into_iter().map(term_query).collect()))
    };
    let text = Term::from_field_text;
    let mut queries = vec![any(fields.audience_terms(viewer))];
    queries.extend(filter.tags.iter().map(|tag| term_query(text(fields.tag, &words::whole_value(tag)))));
    if !filter.licenses.is_empty() {
        queries.push(any(filter.licenses.iter().map(|l| text(fields.license, &words::whole_value(l))).collect()));
    }
    if !filter.base_models.is_empty() {
        let terms = filter.base_models.iter().map(|id| text(fields.base_model, &id.to_string()));
        queries.push(any(terms.collect()));
    }
    queries.extend(filter.creator_id.map(|id| term_query(text(fields.creator_id, &id.to_string()))));
    queries.extend(filter.team_id.map(|id| term_query(text(fields.team, &id.to_string()))));
    if let Some(least) = filter.rating_at_least {
        queries.push(if least.is_nan() {
            Box::new(EmptyQuery)
        } else {
            Box::new(RangeQuery::new(Bound::Included(Term::from_field_f64(fields.rating, least)), Bound::Unbounded))
        });
    }
    if let Some(time) = filter.published_after_millis {
        let term = Term::from_field_i64(fields.published, time);
        queries.push(Box::new(RangeQuery::new(Bound::Excluded(term), Bound::Unbounded)));
    }
    if filter.safe_at.is_some_and(f64::is_nan) {
        queries.push(Box::new(EmptyQuery));
    } else if let Some(strength) = filter.safe_at {
        let term = |field| Term::from_field_f64(field, strength);
        let (from, to) = (Bound::Included(term(fields.safe_high)), Bound::Included(term(fields.safe_low)));
        queries.push(Box::new(RangeQuery::new(Bound::Unbounded, to)));
        queries.push(Box::new(RangeQuery::new(from, Bound::Unbounded)));
    }
    queries.extend(exclusion(fields, filter));
    queries.into_iter().map(|query| Box::new(ConstScoreQuery::new(query, 0.0)) as Box<dyn Query>).collect()
}

/// Everything but what the filter does not want.
fn exclusion(fields: &Fields, filter: &LoraFilter) -> Option<Box<dyn Query>> {
    let text = Term::from_field_text;
    let tags = filter.without_tags.iter().map(|tag| text(fields.tag, &words::whole_value(tag)));
    let creators = filter.without_creators.iter().map(|id| text(fields.creator_id, &id.to_string()));
    let unwanted: Vec<(Occur, Box<dyn Query>)> =
        tags.chain(creators).map(|term| (Occur::MustNot, term_query(term))).collect();
    if unwanted.is_empty() {
        return None;
    }
    let everything: (Occur, Box<dyn Query>) = (Occur::Must, Box::new(AllQuery));
    Some(Box::new(BooleanQuery::new(std::iter::once(everything).chain(unwanted).collect())))
}

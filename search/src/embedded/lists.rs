//! Looks up the lists of the LoRAs in which words stand.

use tantivy::{
    Score, Searcher, SegmentReader, Term,
    postings::TermInfo,
    query::{Bm25StatisticsProvider, BoostQuery, EnableScoring, PhraseQuery, Query, Weight},
    schema::Field,
};

use super::{
    list::{Counting, List},
    matching::{Matching, Part},
    piece::Piece,
    relevance::{Lengths, Relevance},
    schema::Fields,
};
use crate::words;

/// A whole name or trigger word is ahead of everything else.
const WHOLE: Score = 1000.0;
/// What words that say little count for, relative to 1 for others.
const LITTLE: Score = 0.5;

/// A word that is looked for.
struct Wanted {
    word: String,
    /// A field that holds it if any of the places does.
    within: Option<Field>,
    places: Vec<(Field, Worth)>,
}

/// What it counts for that a word stands in a place.
#[derive(Clone, Copy)]
enum Worth {
    /// So much, times how rare the word is, how often it stands there and how much of the text it is.
    Relevance(Score),
    Always(Score),
}

/// The lists of a part of what was typed, in every segment.
#[derive(Default)]
pub(super) struct PartLists {
    terms: Vec<TermLists>,
    phrases: Vec<Box<dyn Weight>>,
    beginnings: Vec<Beginning>,
}

/// Words with a beginning in a place. How rare they are does not count.
struct Beginning {
    field: Field,
    beginning: String,
    score: Score,
}

/// The list of a word in a place, in every segment.
struct TermLists {
    field: Field,
    counting: Counting,
    segments: Vec<Option<TermInfo>>,
}

/// The lists of everything that was typed.
pub(super) struct Lists {
    /// Of each part.
    pub(super) parts: Vec<PartLists>,
    /// Of what counts for the order only.
    pub(super) extras: PartLists,
}

impl Lists {
    /// Looks up where the words stand.
    pub(super) fn new(searcher: &Searcher, fields: &Fields, matching: &Matching) -> tantivy::Result<Self> {
        let statistics = Statistics::new(searcher, fields)?;
        let mut wanted: Vec<Vec<Wanted>> = matching.parts.iter().map(|part| wanted(fields, part)).collect();
        wanted.push(wanted_extras(fields, matching));
        let found = searcher.index().search_executor().map(
            |segment| wanted.iter().flatten().map(|wanted| wanted.look_up(segment)).collect::<Result<Vec<_>, _>>(),
            searcher.segment_readers().iter(),
        )?;
        let mut segments: Vec<_> = found.into_iter().map(Vec::into_iter).collect();
        let mut terms = Vec::with_capacity(wanted.len());
        for part in wanted {
            let mut lists = Vec::new();
            for wanted in part {
                let found: Vec<_> = segments.iter_mut().filter_map(Iterator::next).collect();
                lists.extend(wanted.lists(&found, &statistics));
            }
            terms.push(lists);
        }
        let extras = PartLists { terms: terms.pop().unwrap_or_default(), ..PartLists::default() };
        let mut parts = Vec::with_capacity(terms.len());
        for (part, terms) in matching.parts.iter().zip(terms) {
            let phrases = phrases(searcher, fields, part)?;
            parts.push(PartLists { terms, phrases, beginnings: beginnings(fields, part) });
        }
        Ok(Self { parts, extras })
    }
}

/// What the relevance of a word depends on beside the word.
struct Statistics {
    documents: u64,
    lengths: Vec<(Field, Lengths)>,
}

impl Statistics {
    fn new(searcher: &Searcher, fields: &Fields) -> tantivy::Result<Self> {
        let documents = searcher.total_num_docs()?;
        let scored = places(fields).into_iter().chain(stem_places(fields));
        let lengths = |(field, _)| {
            let average = searcher.total_num_tokens(field)? as Score / documents as Score;
            Ok((field, Lengths::new(average)))
        };
        Ok(Self { documents, lengths: scored.map(lengths).collect::<tantivy::Result<_>>()? })
    }

    fn relevance(&self, field: Field, with_the_word: u64, boost: Score) -> Relevance {
        let known = self.lengths.iter().find(|(known, _)| *known == field);
        let lengths = known.map_or_else(|| Lengths::new(1.0), |(_, lengths)| lengths.clone());
        Relevance::new(with_the_word, self.documents, lengths, boost)
    }
}

/// Where words stand, and what each place counts for.
fn places(fields: &Fields) -> [(Field, Score); 6] {
    [
        (fields.name, 3.0),
        (fields.trigger, 3.0),
        (fields.tags, 2.0),
        (fields.creator, 2.0),
        (fields.description, 1.0),
        (fields.prompts, 0.8),
    ]
}

/// The same of the stems of words.
fn stem_places(fields: &Fields) -> [(Field, Score); 2] {
    [(fields.name_stems, 2.0), (fields.text_stems, 0.7)]
}

fn wanted(fields: &Fields, part: &Part) -> Vec<Wanted> {
    let words = part.words.iter().map(|(word, weight)| Wanted::anywhere(fields, word, *weight));
    let stem = part.stem.iter().map(|stem| {
        let places = stem_places(fields).map(|(field, boost)| (field, Worth::Relevance(boost)));
        Wanted { word: stem.clone(), within: None, places: places.to_vec() }
    });
    words.chain(stem).collect()
}

fn wanted_extras(fields: &Fields, matching: &Matching) -> Vec<Wanted> {
    let little = matching.little.iter().map(|word| Wanted::anywhere(fields, word, LITTLE));
    let wholes = matching.wholes.iter().map(|whole| {
        let places = [fields.name_whole, fields.trigger_whole].map(|field| (field, Worth::Always(WHOLE)));
        Wanted { word: words::cut(whole).to_owned(), within: None, places: places.to_vec() }
    });
    little.chain(wholes).collect()
}

impl Wanted {
    fn anywhere(fields: &Fields, word: &str, weight: Score) -> Self {
        let places = places(fields).map(|(field, boost)| (field, Worth::Relevance(boost * weight)));
        Self { word: word.to_owned(), within: Some(fields.every), places: places.to_vec() }
    }

    /// The lists of a segment, one a place.
    fn look_up(&self, segment: &SegmentReader) -> tantivy::Result<Vec<Option<TermInfo>>> {
        let info = |field| segment.inverted_index(field)?.terms().get(&self.word).map_err(tantivy::TantivyError::from);
        if let Some(field) = self.within
            && info(field)?.is_none()
        {
            return Ok(vec![None; self.places.len()]);
        }
        self.places.iter().map(|(field, _)| info(*field)).collect()
    }

    /// The lists of all segments, of those places where the word stands anywhere.
    fn lists(self, segments: &[Vec<Option<TermInfo>>], statistics: &Statistics) -> Vec<TermLists> {
        let mut lists = Vec::new();
        for (number, (field, worth)) in self.places.into_iter().enumerate() {
            let segments: Vec<Option<TermInfo>> = segments.iter().map(|places| places[number].clone()).collect();
            let documents: u64 = segments.iter().flatten().map(|info| u64::from(info.doc_freq)).sum();
            if documents > 0 {
                let counting = match worth {
                    Worth::Relevance(boost) => Counting::Relevance(statistics.relevance(field, documents, boost)),
                    Worth::Always(score) => Counting::Always(score),
                };
                lists.push(TermLists { field, counting, segments });
            }
        }
        lists
    }
}

fn phrases(searcher: &Searcher, fields: &Fields, part: &Part) -> tantivy::Result<Vec<Box<dyn Weight>>> {
    let mut weights = Vec::new();
    for (words, weight) in &part.phrases {
        for (field, boost) in places(fields) {
            let terms = words.iter().map(|word| Term::from_field_text(field, word)).collect();
            let query = BoostQuery::new(Box::new(PhraseQuery::new(terms)), boost * weight);
            weights.push(query.weight(EnableScoring::enabled_from_searcher(searcher))?);
        }
    }
    Ok(weights)
}

fn beginnings(fields: &Fields, part: &Part) -> Vec<Beginning> {
    let Some((beginning, weight)) = &part.beginning else { return Vec::new() };
    let one = |(field, boost)| Beginning { field, beginning: beginning.clone(), score: boost * weight };
    places(fields).map(one).into()
}

impl PartLists {
    /// The lists of some documents.
    pub(super) fn within(&self, piece: &Piece<'_>) -> tantivy::Result<Vec<List>> {
        let mut lists = Vec::new();
        for term in &self.terms {
            if let Some(info) = &term.segments[piece.number as usize] {
                lists.push(List::of_term(piece, term.field, info, term.counting.clone())?);
            }
        }
        for phrase in &self.phrases {
            lists.push(List::of_phrase(piece, phrase.as_ref())?);
        }
        for Beginning { field, beginning, score } in &self.beginnings {
            lists.push(List::of_beginning(piece, *field, beginning, *score)?);
        }
        Ok(lists)
    }
}

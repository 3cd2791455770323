//! A LoRA as Meilisearch keeps it.

use meilisearch_sdk::search::MatchRange;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{vectors::Lengths, wording::plain as plain_word};
use crate::{
    HighlightField, LoraDocument, Viewer,
    likeness::Space,
    words::{
        self, analysis,
        highlight::{self, Texts},
    },
};

/// Fractions are kept as whole millionths, so that what is compared is exactly what was written.
const MILLION: f64 = 1e6;

/// Words of a LoRA of which stems are kept.
const MOST_WORDS: usize = 2000;

/// What is written of a LoRA.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    id: String,
    sequence: u64,
    /// Whether it stands for a LoRA, and not for a removal.
    live: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    audience: Vec<String>,
    #[serde(flatten)]
    lora: Option<Content>,
    #[serde(rename = "_vectors")]
    vectors: RecordVectors,
}

#[derive(Debug, Serialize)]
struct Content {
    name: String,
    description: String,
    trigger_words: Vec<String>,
    tags: Vec<String>,
    prompts: Vec<String>,
    creator_name: String,
    creator_handle: String,
    /// Its words without accents, and their stems; see [`plain_word`].
    plain: Vec<String>,
    creator_id: Uuid,
    team: Uuid,
    tag_values: Vec<String>,
    license: String,
    base_models: Vec<Uuid>,
    rating: i64,
    downloads: u64,
    published: i64,
    trending: i64,
    prominence: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    safe_low: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safe_high: Option<i64>,
}

/// The vectors of a LoRA, by the names of their spaces. Where it has none, it says so: the engine asks.
#[derive(Debug, Default, Serialize)]
struct RecordVectors {
    looks: Option<Vec<Vec<f32>>>,
    meanings: Option<Vec<Vec<f32>>>,
}

impl Record {
    /// `lengths` says how long the vectors of each space are; others are left out.
    pub(super) fn of(mut lora: LoraDocument, lengths: Lengths) -> Self {
        let vectors = RecordVectors {
            looks: lengths.fitting(Space::Looks, std::mem::take(&mut lora.looks)),
            meanings: lengths.fitting(Space::Meanings, lora.meaning.take().into_iter().collect()),
        };
        let rating = if lora.rating_score.is_finite() { lora.rating_score } else { 0.0 };
        let lora = LoraDocument { rating_score: rating, ..lora };
        let audience = lora.public.then(|| "public".to_owned()).into_iter().chain([team_audience(lora.team_id)]);
        let (audience, sequence, id) = (audience.collect(), lora.sequence, lora.id.to_string());
        Self { id, sequence, live: true, audience, lora: Some(Content::of(lora)), vectors }
    }

    pub(super) fn removal(id: Uuid, sequence: u64) -> Self {
        let vectors = RecordVectors::default();
        Self { id: id.to_string(), sequence, live: false, audience: Vec::new(), lora: None, vectors }
    }
}

impl Content {
    fn of(lora: LoraDocument) -> Self {
        Self {
            plain: plain(&lora),
            rating: millionths(lora.rating_score),
            trending: millionths(lora.trending()),
            prominence: millionths(lora.prominence()),
            safe_low: lora.safe_strengths.map(|(low, _)| millionths(low)),
            safe_high: lora.safe_strengths.map(|(_, high)| millionths(high)),
            tag_values: lora.tags.iter().map(|tag| encoded(&words::whole_value(tag))).collect(),
            license: encoded(&words::whole_value(&lora.license)),
            name: lora.name,
            description: lora.description,
            trigger_words: lora.trigger_words,
            tags: lora.tags,
            prompts: lora.prompts,
            creator_name: lora.creator_name,
            creator_handle: lora.creator_handle,
            creator_id: lora.creator_id,
            team: lora.team_id,
            base_models: lora.base_models,
            downloads: lora.downloads,
            published: lora.published_at_millis,
        }
    }
}

fn plain(lora: &LoraDocument) -> Vec<String> {
    let texts = [&lora.name, &lora.description].into_iter().chain(&lora.trigger_words).chain(&lora.tags);
    let texts = texts.chain(&lora.prompts).chain([&lora.creator_name, &lora.creator_handle]);
    let mut left = MOST_WORDS;
    let mut plain = Vec::new();
    for text in texts {
        let words: Vec<String> = analysis::words(text, left).into_iter().map(|word| word.text).collect();
        left -= words.len();
        let stems: Vec<String> = words.iter().map(|word| analysis::stem(word)).collect();
        let written = |words: &[String]| words.iter().map(|word| plain_word(word)).collect::<Vec<_>>().join(" ");
        let (words, stems) = (written(&words), written(&stems));
        if stems != words {
            plain.push(stems);
        }
        if words != *text {
            plain.push(words);
        }
    }
    plain
}

/// What a search gives back of a LoRA.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Found {
    pub(super) id: Uuid,
    pub(super) name: String,
    description: String,
    trigger_words: Vec<String>,
    pub(super) tags: Vec<String>,
    prompts: Vec<String>,
    creator_name: String,
    creator_handle: String,
    pub(super) rating: i64,
    pub(super) downloads: i64,
    pub(super) published: i64,
    pub(super) trending: i64,
    pub(super) prominence: i64,
}

impl Found {
    /// What is asked for of a LoRA whose words are to be marked.
    pub(super) const ALL: &[&str] = &[
        "id",
        "name",
        "description",
        "trigger_words",
        "tags",
        "prompts",
        "creator_name",
        "creator_handle",
        "rating",
        "downloads",
        "published",
        "trending",
        "prominence",
    ];

    pub(super) fn texts(&self) -> Texts<'_> {
        Texts {
            name: &self.name,
            description: &self.description,
            trigger_words: &self.trigger_words,
            tags: &self.tags,
            prompts: &self.prompts,
            creator_name: &self.creator_name,
            creator_handle: &self.creator_handle,
        }
    }
}

/// The attribute of a text, and which of the field's texts of this attribute it is.
pub(super) fn attribute(field: HighlightField, index: usize) -> (&'static str, usize) {
    match field {
        HighlightField::Name => ("name", index),
        HighlightField::Description => ("description", index),
        HighlightField::Tags => ("tags", index),
        HighlightField::TriggerWords => ("trigger_words", index),
        HighlightField::Prompts => ("prompts", index),
        HighlightField::Creator if index == 0 => ("creator_name", 0),
        HighlightField::Creator => ("creator_handle", 0),
    }
}

/// The bytes of a text that the engine says were matched, in order and apart.
pub(super) fn matched(ranges: &[MatchRange], index: usize, text: &str) -> Vec<std::ops::Range<usize>> {
    let of_text = |range: &&MatchRange| range.indices.as_ref().and_then(|i| i.first()).is_none_or(|i| *i == index);
    let mut bytes: Vec<_> =
        ranges.iter().filter(of_text).map(|range| range.start..range.start + range.length).collect();
    bytes.retain(|range| !range.is_empty() && text.get(range.clone()).is_some());
    bytes.sort_by_key(|range| (range.start, range.end));
    highlight::apart(bytes)
}

pub(super) fn millionths(value: f64) -> i64 {
    (value * MILLION).round() as i64
}

pub(super) fn from_millionths(value: i64) -> f64 {
    value as f64 / MILLION
}

/// What a LoRA must have one of for the viewer to see it; none for who may see everything.
pub(super) fn audience(viewer: &Viewer) -> Option<Vec<String>> {
    match viewer {
        Viewer::Everything => None,
        Viewer::Teams(teams) => {
            Some(std::iter::once("public".to_owned()).chain(teams.iter().map(|team| team_audience(*team))).collect())
        }
    }
}

fn team_audience(team: Uuid) -> String {
    format!("team:{team}")
}

/// A value without what has a meaning inside the quotation marks of a filter.
pub(super) fn encoded(value: &str) -> String {
    let mut safe = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '%' | '"' | '\'' | '\\' | '\0'..='\u{1F}' | '\u{7F}' => {
                safe.push_str(&format!("%{:02X}", u32::from(character)));
            }
            other => safe.push(other),
        }
    }
    safe
}

/// What [`encoded`] made a value of.
pub(super) fn decoded(value: &str) -> String {
    let mut pieces = value.split('%');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(code) => {
                text.push(char::from(code));
                text.push_str(&piece[2..]);
            }
            None => {
                text.push('%');
                text.push_str(piece);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        for value in ["ink wash", "100 % \"wool\"", "a\\'b\u{0}", "浮世絵", "%", "%25", ""] {
            let safe = encoded(value);
            assert!(!safe.contains(['"', '\'', '\\', '\0']), "{safe}");
            assert_eq!(decoded(&safe), value);
        }
    }
}

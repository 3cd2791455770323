//! What somebody who has begun to type may mean.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    analysis,
    reading::{Part, Reading},
};
use crate::{Suggestion, SuggestionKind};

/// Suggestions at most.
pub(crate) const MOST: usize = 50;

/// Of what was found for a text, the tags that begin that way, most frequent first, and the LoRAs (id and name), best
/// first; tags take half of the room at most, unless there are too few LoRAs.
pub(crate) fn suggestions(
    reading: &Reading,
    tags: &HashMap<String, u64>,
    loras: Vec<(Uuid, String)>,
    most: usize,
) -> Vec<Suggestion> {
    let mut tags: Vec<(&String, u64)> =
        tags.iter().filter(|(tag, _)| begins(tag, reading)).map(|(tag, count)| (tag, *count)).collect();
    tags.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let room = most.saturating_sub(loras.len()).max(most.div_ceil(2));
    let tags = tags.into_iter().take(room).map(|(tag, _)| Suggestion {
        text: tag.clone(),
        kind: SuggestionKind::Tag,
        id: None,
    });
    let loras = loras.into_iter().map(|(id, name)| Suggestion { text: name, kind: SuggestionKind::Lora, id: Some(id) });
    tags.chain(loras).take(most).collect()
}

/// Whether a tag has every word that was typed, the last one perhaps unfinished.
fn begins(tag: &str, reading: &Reading) -> bool {
    let words = analysis::words(tag, 16);
    reading.parts.iter().all(|part| match part {
        Part::Word { text, unfinished: true } => words.iter().any(|word| word.text.starts_with(text)),
        Part::Word { text, unfinished: false } => words.iter().any(|word| word.text == *text),
        Part::Phrase(phrase) => {
            words.windows(phrase.len()).any(|run| run.iter().zip(phrase).all(|(word, text)| word.text == *text))
        }
    })
}

//! What somebody who has begun to type may mean.

use super::{
    analysis,
    ranking::Ranking,
    reading::{Part, Reading},
    search::Engine,
};
use crate::{LoraQuery, LoraSort, SearchError, Suggestion, SuggestionKind, Viewer};

/// Suggestions at most.
const MOST: usize = 50;

/// Tags that begin that way, most frequent first, and LoRAs that fit best; tags take half of the room at most, unless
/// there are too few LoRAs.
pub(super) fn suggest(
    engine: &Engine,
    prefix: &str,
    viewer: &Viewer,
    most: usize,
) -> Result<Vec<Suggestion>, SearchError> {
    let most = most.min(MOST);
    let reading = Reading::new(prefix.trim_end());
    if most == 0 || reading.parts.is_empty() {
        return Ok(Vec::new());
    }
    let query = LoraQuery { viewer: viewer.clone(), first: most, ..LoraQuery::default() };
    let ranking = Ranking { sort: LoraSort::Relevance, most, after: None, facets: true };
    let found = engine.find(&query, &reading, &ranking, None)?;
    let mut tags: Vec<(&String, u64)> =
        found.tags().iter().filter(|(tag, _)| begins(tag, &reading)).map(|(tag, count)| (tag, *count)).collect();
    tags.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let loras = found.loras(engine)?;
    let room = most.saturating_sub(loras.len()).max(most.div_ceil(2));
    let tags = tags.into_iter().take(room).map(|(tag, _)| Suggestion {
        text: tag.clone(),
        kind: SuggestionKind::Tag,
        id: None,
    });
    let loras =
        loras.iter().map(|lora| Suggestion { text: lora.name.clone(), kind: SuggestionKind::Lora, id: Some(lora.id) });
    Ok(tags.chain(loras).take(most).collect())
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

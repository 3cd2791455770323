//! What somebody may mean who has begun to type.

use std::collections::HashMap;

use atelier_entities::lora;
use atelier_search::SuggestionKind;

use super::search::{LONGEST_TEXT, confirm, refuse, viewer};
use crate::{actor::Actor, context::Context, error::ReadError, social::block, text};

/// What to look for, of what was typed.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there are at most fifty")]
pub enum Suggestion {
    /// A tag.
    Tag(String),
    /// A LoRA, for its name.
    Lora(lora::Model),
}

/// Tags and LoRAs with words that begin with what was typed, without what the actor does not want to see: tags, the most
/// frequent first, then LoRAs, the best first. There may be fewer than were asked for, and there are never more than 50. What
/// is not published is suggested to its team alone.
///
/// # Errors
/// [`Invalid`](crate::error::Invalid) for a text that is too long.
pub async fn suggest(ctx: &Context, actor: &Actor, typed: &str, first: u32) -> Result<Vec<Suggestion>, ReadError> {
    let typed = text::check("prefix", typed, 0, LONGEST_TEXT)?;
    let blocked = block::of(ctx, actor).await?;
    let viewer = viewer(actor);
    let found = ctx.search.suggest(&typed, &viewer, first as usize).await.map_err(refuse)?;
    let confirmed = confirm(ctx, actor, &viewer, found.iter().filter_map(|suggestion| suggestion.id)).await?;
    let mut shown: HashMap<_, _> = confirmed.into_iter().filter(|(_, lora)| !blocked.covers(lora)).collect();
    let suggestions = found.into_iter().filter_map(|suggestion| match suggestion.kind {
        SuggestionKind::Tag => {
            let is_shown = !blocked.tags.contains(&suggestion.text.to_lowercase());
            is_shown.then_some(Suggestion::Tag(suggestion.text))
        }
        SuggestionKind::Lora => shown.remove(&suggestion.id?).map(Suggestion::Lora),
    });
    Ok(suggestions.collect())
}

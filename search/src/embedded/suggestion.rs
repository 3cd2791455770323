//! What somebody who has begun to type may mean.

use super::{ranking::Ranking, search::Engine};
use crate::{
    LoraQuery, LoraSort, SearchError, Suggestion, Viewer,
    words::{reading::Reading, suggestion},
};

/// Finds what begins that way, and makes suggestions of it.
pub(super) fn suggest(
    engine: &Engine,
    prefix: &str,
    viewer: &Viewer,
    most: usize,
) -> Result<Vec<Suggestion>, SearchError> {
    let most = most.min(suggestion::MOST);
    let reading = Reading::new(prefix.trim_end());
    if most == 0 || reading.parts.is_empty() {
        return Ok(Vec::new());
    }
    let query = LoraQuery { viewer: viewer.clone(), first: most, ..LoraQuery::default() };
    let ranking = Ranking { sort: LoraSort::Relevance, most, after: None, columns: &engine.columns, facets: true };
    let found = engine.find(engine.reader.searcher(), &query, &reading, &ranking, None)?;
    let loras = found.loras(engine)?.into_iter().map(|lora| (lora.id, lora.name)).collect();
    Ok(suggestion::suggestions(&reading, found.tags(), loras, most))
}

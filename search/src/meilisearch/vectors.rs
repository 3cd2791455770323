//! Vectors of LoRAs on the server, and LoRAs whose vectors lie near another one.

use std::collections::HashMap;

use meilisearch_sdk::{
    indexes::Index,
    search::{SearchQuery, Selectors},
    settings::{Embedder, EmbedderSource},
};

use super::{failed, http::Http, record::Found};
use crate::{LoraDocument, SearchError, likeness::Space};

/// The name of a space on the server.
pub(super) const fn name(space: Space) -> &'static str {
    match space {
        Space::Looks => "looks",
        Space::Meanings => "meanings",
    }
}

/// How long the vectors of each space are; none where there was none yet. The first one decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lengths {
    looks: Option<usize>,
    meanings: Option<usize>,
}

impl Lengths {
    /// What the server has been told of an index.
    pub(super) async fn told(index: &Index<Http>) -> Result<Self, SearchError> {
        let told = match index.get_embedders().await {
            Ok(told) => told,
            Err(error) if super::changes::is(&error, meilisearch_sdk::errors::ErrorCode::IndexNotFound) => {
                HashMap::new()
            }
            Err(error) => return Err(failed(error)),
        };
        let of = |space: Space| told.get(name(space)).and_then(|embedder| embedder.dimensions);
        Ok(Self { looks: of(Space::Looks), meanings: of(Space::Meanings) })
    }

    pub(super) const fn of(self, space: Space) -> Option<usize> {
        match space {
            Space::Looks => self.looks,
            Space::Meanings => self.meanings,
        }
    }

    /// With what these documents are the first of.
    pub(super) fn with(self, documents: &[LoraDocument]) -> Self {
        let look = || documents.iter().find_map(|lora| lora.looks.first().map(Vec::len));
        let meaning = || documents.iter().find_map(|lora| lora.meaning.as_ref().map(Vec::len));
        Self { looks: self.looks.or_else(look), meanings: self.meanings.or_else(meaning) }
    }

    pub(super) fn embedders(self) -> HashMap<String, Embedder> {
        let spaces = Space::ALL.into_iter().filter_map(|space| {
            let given =
                Embedder { source: EmbedderSource::UserProvided, dimensions: self.of(space), ..Embedder::default() };
            self.of(space).map(|_| (name(space).to_owned(), given))
        });
        spaces.collect()
    }

    /// Those vectors that are as long as the others of the space; none where there is none.
    pub(super) fn fitting(self, space: Space, vectors: Vec<Vec<f32>>) -> Option<Vec<Vec<f32>>> {
        let fits = |vector: &Vec<f32>| Some(vector.len()) == self.of(space) && vector.iter().all(|v| v.is_finite());
        let count = vectors.len();
        let fitting: Vec<Vec<f32>> = vectors.into_iter().filter(fits).collect();
        if fitting.len() < count {
            // Another describer made them: they say nothing beside the others until the index is built anew.
            tracing::warn!(space = name(space), "vectors are left out of the search index");
        }
        Some(fitting).filter(|fitting| !fitting.is_empty())
    }
}

/// LoRAs that pass a filter and whose vectors lie nearest, with their cosines, nearest first.
pub(super) async fn nearest(
    index: &Index<Http>,
    lengths: Lengths,
    (space, vector): (Space, &[f32]),
    filter: &str,
    most: usize,
) -> Result<Vec<(Found, f64)>, SearchError> {
    if lengths.of(space) != Some(vector.len()) {
        return Ok(Vec::new());
    }
    let mut query = SearchQuery::new(index);
    query
        .with_vector(vector)
        .with_hybrid(name(space), 1.0)
        .with_filter(filter)
        .with_limit(most.max(1))
        .with_attributes_to_retrieve(Selectors::Some(Found::ALL))
        .with_show_ranking_score(true);
    let answer = query.execute::<Found>().await.map_err(failed)?;
    // The server's score is the cosine, brought from -1 to 1 into 0 to 1.
    let cosine = |score: Option<f64>| 2.0 * score.unwrap_or_default() - 1.0;
    // At the end of the list it puts those that have no vector, with a score of nothing.
    let near = answer.hits.into_iter().filter(|hit| hit.ranking_score.is_some_and(|score| score > 0.0));
    let mut found: Vec<(Found, f64)> = near.map(|hit| (hit.result, cosine(hit.ranking_score))).take(most).collect();
    let place = |found: &(Found, f64)| (found.1, found.0.id);
    found.sort_by(|a, b| place(b).0.total_cmp(&place(a).0).then_with(|| place(b).1.cmp(&place(a).1)));
    Ok(found)
}

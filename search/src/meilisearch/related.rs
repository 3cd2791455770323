//! LoRAs that are like another one.

use std::collections::HashMap;

use futures::future::try_join_all;
use meilisearch_sdk::{
    indexes::Index,
    search::{MatchingStrategies, SearchQuery, Selectors},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    failed,
    filter::filter,
    http::Http,
    record::{Found, encoded},
    vectors::{Lengths, name, nearest},
};
use crate::{
    LoraFilter, SearchError, Viewer,
    likeness::{LOOKED_AT, Space, most_alike, of_looks, tag_weights},
    words::whole_value,
};

#[derive(Deserialize)]
struct Source {
    tags: Vec<String>,
    #[serde(default, rename = "_vectors")]
    vectors: HashMap<String, SourceVectors>,
}

#[derive(Deserialize)]
struct SourceVectors {
    #[serde(default)]
    embeddings: Vec<Vec<f32>>,
}

pub(super) async fn related(
    index: &Index<Http>,
    lengths: Lengths,
    (id, viewer): (Uuid, &Viewer),
    most: usize,
) -> Result<Vec<Uuid>, SearchError> {
    let visible = filter(&LoraFilter::default(), viewer);
    let Some(source) = source(index, id, &visible).await? else { return Ok(Vec::new()) };
    let others = format!("{visible} AND id != \"{id}\"");
    let weights = weights(index, &source.tags, &visible).await?;
    let share = |found: &Found| -> f64 {
        let tags = found.tags.iter().map(|tag| whole_value(tag));
        tags.filter_map(|tag| weights.get(&tag)).sum()
    };
    let mut scores: HashMap<Uuid, f64> = HashMap::new();
    for found in tagged(index, &weights, &others).await? {
        scores.insert(found.id, share(&found));
    }
    let looks = source.vectors.get(name(Space::Looks)).map(|vectors| vectors.embeddings.as_slice()).unwrap_or_default();
    let mut nearest_cosine: HashMap<Uuid, f64> = HashMap::new();
    for look in looks {
        for (found, cosine) in nearest(index, lengths, (Space::Looks, look), &others, LOOKED_AT).await? {
            scores.entry(found.id).or_insert_with(|| share(&found));
            let known = nearest_cosine.entry(found.id).or_insert(cosine);
            *known = known.max(cosine);
        }
    }
    for (id, cosine) in nearest_cosine {
        *scores.entry(id).or_default() += of_looks(cosine);
    }
    Ok(most_alike(scores, most))
}

async fn source(index: &Index<Http>, id: Uuid, visible: &str) -> Result<Option<Source>, SearchError> {
    let condition = format!("{visible} AND id = \"{id}\"");
    let mut query = SearchQuery::new(index);
    query.with_filter(&condition).with_limit(1).with_retrieve_vectors(true);
    let answer = query.execute::<Source>().await.map_err(failed)?;
    Ok(answer.hits.into_iter().next().map(|hit| hit.result))
}

/// What each tag counts: the rarer, the more, and 1 together.
async fn weights(index: &Index<Http>, tags: &[String], visible: &str) -> Result<HashMap<String, f64>, SearchError> {
    let count = |condition: String| async move {
        let mut query = SearchQuery::new(index);
        query.with_filter(&condition).with_limit(1).with_attributes_to_retrieve(Selectors::Some(&["id"]));
        let answer = query.execute::<serde_json::Value>().await.map_err(failed)?;
        Ok::<_, SearchError>(answer.estimated_total_hits.unwrap_or_default() as f64)
    };
    let tags: Vec<String> = tags.iter().map(|tag| whole_value(tag)).collect();
    let all = count(visible.to_owned()).await?;
    let with = tags.iter().map(|tag| count(format!("{visible} AND tag_values = \"{}\"", encoded(tag))));
    let with = try_join_all(with).await?;
    Ok(tags.into_iter().zip(tag_weights(all, &with)).collect())
}

/// LoRAs with some of the tags: those with the most of them, the rarest tags first.
async fn tagged(index: &Index<Http>, weights: &HashMap<String, f64>, others: &str) -> Result<Vec<Found>, SearchError> {
    if weights.is_empty() {
        return Ok(Vec::new());
    }
    let mut rarest: Vec<(&String, &f64)> = weights.iter().collect();
    rarest.sort_by(|a, b| b.1.total_cmp(a.1).then_with(|| a.0.cmp(b.0)));
    let words: Vec<&str> = rarest.iter().map(|(tag, _)| tag.as_str()).collect();
    let words = words.join(" ");
    let any: Vec<String> = weights.keys().map(|tag| format!("\"{}\"", encoded(tag))).collect();
    let condition = format!("{others} AND tag_values IN [{}]", any.join(", "));
    let mut query = SearchQuery::new(index);
    query
        .with_query(&words)
        .with_filter(&condition)
        .with_limit(LOOKED_AT)
        .with_matching_strategy(MatchingStrategies::LAST)
        .with_attributes_to_search_on(&["tags"])
        .with_attributes_to_retrieve(Selectors::Some(Found::ALL));
    let answer = query.execute::<Found>().await.map_err(failed)?;
    Ok(answer.hits.into_iter().map(|hit| hit.result).collect())
}

//! One suite that every engine passes: `conformance::run(&index).await` in the engine's tests.
//!
//! It panics at the first thing that is not as the [trait](crate::LoraIndex) says, and clears the index between cases.

use std::time::Duration;

use uuid::Uuid;

use crate::{Hits, LoraDocument, LoraIndex, LoraQuery, Viewer};

mod changes;
mod filters;
mod input;
mod order;
mod vectors;
mod words;

/// How soon a change is found, by the quickest of several: another program on the machine may hold the others up.
const VISIBLE_WITHIN: Duration = Duration::from_millis(500);

/// Runs every case.
///
/// # Panics
/// At the first thing that is not as it should be.
pub async fn run(index: &dyn LoraIndex) {
    words::run(index).await;
    filters::run(index).await;
    order::run(index).await;
    changes::run(index).await;
    input::run(index).await;
    vectors::run(index).await;
}

/// An id that says its number.
fn id(number: u128) -> Uuid {
    Uuid::from_u128(number << 64 | 7)
}

/// A public LoRA by a number, without a word but its name.
pub(crate) fn lora(number: u128, name: &str) -> LoraDocument {
    LoraDocument {
        id: id(number),
        sequence: 1,
        name: name.to_owned(),
        description: String::new(),
        trigger_words: Vec::new(),
        tags: Vec::new(),
        prompts: Vec::new(),
        creator_name: "Someone".to_owned(),
        creator_handle: "someone".to_owned(),
        creator_id: id(900),
        team_id: id(800),
        public: true,
        license: "openrail++".to_owned(),
        base_models: vec![id(700)],
        rating_score: 3.0,
        rating_count: 1,
        downloads: 10,
        published_at_millis: 1_700_000_000_000,
        safe_strengths: None,
        looks: Vec::new(),
        meaning: None,
        trend: None,
    }
}

/// Fills an empty index.
async fn fill(index: &dyn LoraIndex, documents: Vec<LoraDocument>) {
    index.clear().await.expect("it clears");
    index.upsert(documents).await.expect("it takes documents");
}

/// What is asked in words, by somebody without a team.
fn asking(text: &str) -> LoraQuery {
    LoraQuery { text: Some(text.to_owned()), first: 20, facets: true, ..LoraQuery::default() }
}

async fn ask(index: &dyn LoraIndex, query: &LoraQuery) -> Hits {
    let mut asked = format!("{query:?}");
    asked.truncate(asked.floor_char_boundary(500));
    let hits = index.search(query).await.unwrap_or_else(|error| panic!("{error} for {asked}"));
    assert!(hits.hits.len() <= query.first, "{} hits for {asked}", hits.hits.len());
    assert!(hits.total >= hits.hits.len() as u64, "{} in total for {asked}", hits.total);
    assert_eq!(hits.facets.is_some(), query.facets, "{asked}");
    assert!(hits.last.is_some() || !hits.has_next || query.first == 0, "more follow, and nobody says where: {asked}");
    hits
}

/// Numbers of what is found, in order.
async fn found(index: &dyn LoraIndex, query: &LoraQuery) -> Vec<u128> {
    ask(index, query).await.hits.iter().map(|hit| hit.id.as_u128() >> 64).collect()
}

/// Numbers of what is found for words, in order.
async fn found_for(index: &dyn LoraIndex, text: &str) -> Vec<u128> {
    found(index, &asking(text)).await
}

/// Numbers of what is found for words, smallest first.
async fn set_for(index: &dyn LoraIndex, text: &str) -> Vec<u128> {
    let mut numbers = found_for(index, text).await;
    numbers.sort_unstable();
    numbers
}

/// Somebody of one team.
fn member(team: Uuid) -> Viewer {
    Viewer::Teams(vec![team])
}

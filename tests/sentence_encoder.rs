//! Search with a sentence encoder: LoRAs are found by what words mean, also where none of the words stands in them.

use std::path::Path;

use atelier_worker::inference::SentenceEncoder;
use serde_json::json;

use crate::{
    files,
    house::{Engine, House, eventually, nodes, on_each_engine, text},
};

on_each_engine!(words_find_what_means_the_same);

/// Cosine from which on a meaning counts as the same, as the engines have it.
const SAME: f32 = 0.3;

const NAMES: [&str; 10] = [
    "Copperplate etching",
    "Ink wash",
    "Red fox at dusk",
    "Three kettles",
    "Photography of the seventies",
    "Moody nineteen",
    "Brick",
    "Underwater garden with corals and weeds",
    "Old maps",
    "Enamel",
];

/// Nowhere in the names, nor anything like them.
const WORDS: [&str; 4] = ["violin", "zeppelin", "orchestra", "yacht"];

async fn found(house: &House, words: &str) -> Vec<String> {
    let query = "query ($words: String) { loras(search: $words, first: 10) { edges { node { name } } } }";
    let data = house.data_of(None, query, json!({ "words": words })).await;
    nodes(&data["loras"]).iter().map(|lora| text(&lora["name"])).collect()
}

/// The names that mean the same as words, the nearest first.
fn meant(encoder: &SentenceEncoder, words: &str) -> Vec<String> {
    let documents = NAMES.map(|name| format!("{name}.  "));
    let texts: Vec<&str> = documents.iter().map(String::as_str).chain([words]).collect();
    let mut vectors = encoder.encode(&texts).unwrap();
    let words = vectors.pop().unwrap();
    let cosine = |vector: &Vec<f32>| vector.iter().zip(&words).map(|(one, other)| one * other).sum::<f32>();
    let mut near: Vec<(f32, &str)> = vectors.iter().map(cosine).zip(NAMES).collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    near.into_iter().filter(|(cosine, _)| *cosine >= SAME).map(|(_, name)| name.to_owned()).collect()
}

async fn words_find_what_means_the_same(engine: Engine) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inference/tests/fixtures/sentence");
    let house = House::open_with(engine, &["--sentence-encoder", folder.to_str().unwrap()]).await;
    let ada = house.person("ada").await;
    for (seed, name) in (1..).zip(NAMES) {
        house.published_lora(&ada, name, &files::lora(house.starter_widths(), seed)).await;
    }

    let encoder = SentenceEncoder::load(&folder).unwrap();
    let expected = WORDS.map(|words| meant(&encoder, words));
    let all: usize = expected.iter().map(Vec::len).sum();
    assert!(all > 0 && all < WORDS.len() * NAMES.len(), "some mean the same, and some do not: {expected:?}");
    for (words, expected) in WORDS.iter().zip(&expected) {
        eventually(words, async || (found(&house, words).await == *expected).then_some(())).await;
    }
    // What has the word itself and means the same stands above what only does the one.
    assert_eq!(found(&house, "kettles").await[0], "Three kettles");

    let house = house.restarted(&[]).await;
    assert_eq!(found(&house, "kettles").await, ["Three kettles"]);
    for words in WORDS {
        assert!(found(&house, words).await.is_empty(), "{words} stands nowhere");
    }
    house.close().await;
}

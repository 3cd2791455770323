//! Against a server whose address is in `ATELIER_TEST_MEILISEARCH` (and its key in `ATELIER_TEST_MEILISEARCH_KEY`).

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::{env, fs};

use super::{MeilisearchIndex, MeilisearchSettings};
use crate::{LoraIndex as _, LoraQuery, SearchError, Viewer, conformance};

/// Settings for an index of a test's own, if there is a server.
#[allow(clippy::disallowed_methods, reason = "tests are told by the environment where Meilisearch is")]
fn settings(name: &str) -> Option<MeilisearchSettings> {
    let Ok(url) = env::var("ATELIER_TEST_MEILISEARCH") else {
        eprintln!("skipped: ATELIER_TEST_MEILISEARCH does not say where a Meilisearch is");
        return None;
    };
    let key = env::var("ATELIER_TEST_MEILISEARCH_KEY").ok();
    Some(MeilisearchSettings { url, key, name: format!("test_{name}_{}", std::process::id()) })
}

fn http() -> reqwest::Client {
    // Another test may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn open(settings: &MeilisearchSettings, folder: &tempfile::TempDir) -> MeilisearchIndex {
    MeilisearchIndex::open(settings, folder.path(), http()).await.expect("an index")
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_conformance_suite() {
    let Some(settings) = settings("conformance") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(&settings, &folder).await;
    conformance::run(&index).await;
    index.delete().await.expect("deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_survives_a_restart() {
    let Some(settings) = settings("restart") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(&settings, &folder).await;
    assert!(index.needs_rebuild(), "a new index has to be filled");
    index.upsert(vec![conformance::lora(1, "Fox")]).await.expect("it takes a document");
    index.rebuilt().await.expect("it notes that");
    index.begin_rebuild().await.expect("it begins");
    drop(index);
    let index = open(&settings, &folder).await;
    assert!(!index.needs_rebuild(), "what there was is whole");
    assert_eq!(index.count().await.expect("a count"), 1);
    index.delete().await.expect("deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn edited_synonyms_are_used() {
    let Some(settings) = settings("synonyms") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(&settings, &folder).await;
    index.upsert(vec![conformance::lora(1, "Fox")]).await.expect("it takes a document");
    let total = async || {
        let text = Some("reynard ".to_owned());
        let query = LoraQuery { text, viewer: Viewer::Everything, first: 1, ..LoraQuery::default() };
        index.search(&query).await.expect("hits").total
    };
    assert_eq!(total().await, 0);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    fs::write(folder.path().join("synonyms.txt"), "reynard => fox\n").expect("written");
    assert_eq!(total().await, 1);
    index.delete().await.expect("deleted");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said() {
    let settings = MeilisearchSettings { url: "http://127.0.0.1:9".to_owned(), key: None, name: "loras".to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    let opened = MeilisearchIndex::open(&settings, folder.path(), http()).await;
    assert!(matches!(opened, Err(SearchError::Unavailable(_))));
}

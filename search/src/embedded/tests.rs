//! What is particular to an index on disk; what every engine does is in [`crate::conformance`].

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::EmbeddedIndex;
use crate::{LoraDocument, LoraIndex, LoraQuery, SearchError, Viewer, conformance};

fn document(name: &str) -> LoraDocument {
    let id = uuid::Uuid::from_u128(1);
    let json = serde_json::json!({
        "id": id, "sequence": 3, "name": name, "description": "", "trigger_words": [], "tags": [], "prompts": [],
        "creator_name": "", "creator_handle": "", "creator_id": id, "team_id": id, "public": true, "license": "",
        "base_models": [], "rating_score": 0.0, "rating_count": 0, "downloads": 0, "published_at_millis": 0,
    });
    serde_json::from_value(json).expect("a document")
}

async fn total(index: &EmbeddedIndex, text: &str) -> u64 {
    let query = LoraQuery { text: Some(text.to_owned()), viewer: Viewer::Everything, first: 1, ..LoraQuery::default() };
    index.search(&query).await.expect("hits").total
}

async fn filled(folder: &Path) {
    let index = EmbeddedIndex::open(folder).expect("an index");
    assert!(index.needs_rebuild(), "a new index has to be filled");
    index.upsert(vec![document("Fox")]).await.expect("it takes a document");
    index.rebuilt().await.expect("it notes that");
}

#[tokio::test]
async fn passes_the_conformance_suite() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = EmbeddedIndex::open(folder.path()).expect("an index");
    conformance::run(&index).await;
}

#[tokio::test]
async fn stays_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    filled(folder.path()).await;
    let index = EmbeddedIndex::open(folder.path()).expect("the index");
    assert!(!index.needs_rebuild());
    assert_eq!(total(&index, "fox").await, 1);
    let older = LoraDocument { sequence: 2, ..document("Hound") };
    index.upsert(vec![older]).await.expect("it takes a document");
    assert_eq!(total(&index, "fox").await, 1, "sequences stay too");
}

#[tokio::test]
async fn an_unfinished_rebuild_is_noted_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    filled(folder.path()).await;
    let index = EmbeddedIndex::open(folder.path()).expect("the index");
    index.clear().await.expect("it clears");
    drop(index);
    assert!(EmbeddedIndex::open(folder.path()).expect("the index").needs_rebuild());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_interrupts_no_search_and_stays_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    filled(folder.path()).await;
    let index = Arc::new(EmbeddedIndex::open(folder.path()).expect("the index"));
    let ended = Arc::new(AtomicBool::new(false));
    let searching = tokio::spawn({
        let (index, ended) = (index.clone(), ended.clone());
        async move {
            let mut searches = 0;
            while !ended.load(Ordering::Acquire) {
                assert_eq!(total(&index, "fox").await, 1, "search {searches}");
                searches += 1;
            }
            searches
        }
    });
    for _ in 0..5 {
        index.begin_rebuild().await.expect("it begins");
        index.upsert(vec![document("Fox")]).await.expect("it takes a document");
        index.rebuilt().await.expect("it ends");
    }
    ended.store(true, Ordering::Release);
    assert!(searching.await.expect("no search fails") > 5);
    let numbers = |folder: &Path| {
        let names = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        names.filter_map(|name| Some(name.to_str()?.strip_prefix("index-")?.to_owned())).collect::<Vec<_>>()
    };
    for _ in 0..100 {
        if numbers(folder.path()) == ["6"] {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(numbers(folder.path()), ["6"], "what was replaced is deleted");
    index.begin_rebuild().await.expect("it begins");
    drop(index);
    let index = EmbeddedIndex::open(folder.path()).expect("the index");
    assert_eq!(numbers(folder.path()), ["6"], "a rebuild that was not finished is given up");
    assert!(!index.needs_rebuild());
    assert_eq!(total(&index, "fox").await, 1);
}

#[tokio::test]
async fn a_damaged_index_is_moved_aside() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("meta.json is cut", |index| fs::write(index.join("meta.json"), "{\"segm").expect("written")),
        ("another format", |index| fs::write(index.join("format"), "0").expect("written")),
        ("a segment's bytes are others", |index| {
            let file = segment_file(index, "store");
            let mut bytes = fs::read(&file).expect("read");
            bytes[0] ^= 0x55;
            fs::write(&file, bytes).expect("written");
        }),
        ("a segment's file is gone", |index| fs::remove_file(segment_file(index, "idx")).expect("removed")),
    ];
    for (name, damage) in damages {
        let folder = tempfile::tempdir().expect("a folder");
        filled(folder.path()).await;
        damage(&folder.path().join("index-1"));
        let index = EmbeddedIndex::open(folder.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(index.needs_rebuild(), "{name}");
        assert_eq!(index.count().await.expect("a count"), 0, "{name}");
        assert!(folder.path().join("aside-1").is_dir(), "{name}");
        index.upsert(vec![document("Fox")]).await.expect("it takes a document");
        assert_eq!(total(&index, "fox").await, 1, "{name}");
    }
}

fn segment_file(index: &Path, extension: &str) -> std::path::PathBuf {
    let mut files = fs::read_dir(index).expect("a folder").map(|entry| entry.expect("an entry").path());
    files.find(|file| file.extension().is_some_and(|e| e == extension)).expect("a segment")
}

#[tokio::test]
async fn short_pages_begin_as_long_ones_do() {
    const WORDS: [&str; 6] = ["fox", "ink", "wash", "paper", "with", "the"];
    let folder = tempfile::tempdir().expect("a folder");
    let index = EmbeddedIndex::open(folder.path()).expect("an index");
    let mut state = 7_u32;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for segment in 0..4 {
        let documents = (0..60).map(|number| {
            let mut words = |most| (0..next(most)).map(|_| WORDS[next(WORDS.len())]).collect::<Vec<_>>().join(" ");
            let (name, description, tags) = (words(4), words(20), vec![words(2), words(3)]);
            let id = uuid::Uuid::from_u128(1 + segment * 60 + number);
            let downloads = 10_u64.pow(next(6) as u32);
            LoraDocument { id, description, tags, downloads, ..document(&name) }
        });
        index.upsert(documents.collect()).await.expect("it takes documents");
    }
    for text in ["fox ", "fox with the ", "ink the wash", "the with ", "paper fox ink with"] {
        let page = async |first| {
            let text = Some(text.to_owned());
            let query = LoraQuery { text, viewer: Viewer::Everything, first, facets: true, ..LoraQuery::default() };
            index.search(&query).await.expect("hits")
        };
        // So many hits that none is left out for what others count for.
        let all = page(1000).await;
        assert!(all.hits.len() > 30, "{text}");
        for first in [1, 2, 5, 30] {
            let some = page(first).await;
            assert_eq!(some.hits, all.hits[..first], "{first} for {text}");
            assert_eq!((some.total, &some.facets), (all.total, &all.facets), "{first} for {text}");
        }
    }
}

/// LoRAs whose looks and meanings lie a degree from each other; a word stands in every third.
fn fan(numbers: std::ops::Range<u128>, from: f32) -> Vec<LoraDocument> {
    let one = |number: u128| {
        let angle = (from + (number % 1000) as f32 / 10.0).to_radians();
        let direction = vec![angle.cos(), angle.sin()];
        let name = if number.is_multiple_of(3) { "Fox" } else { "Hare" };
        LoraDocument { looks: vec![direction.clone()], meaning: Some(direction), ..conformance::lora(number, name) }
    };
    numbers.map(one).collect()
}

#[tokio::test]
async fn what_was_near_when_a_list_began_is_gone_through_once() {
    let by_meaning = LoraQuery { text: Some("fox".to_owned()), meaning: Some(vec![1.0, 0.0]), ..LoraQuery::default() };
    let by_look = LoraQuery { look: Some(vec![1.0, 0.0]), ..LoraQuery::default() };
    for query in [by_meaning, by_look] {
        let folder = tempfile::tempdir().expect("a folder");
        let index = EmbeddedIndex::open(folder.path()).expect("an index");
        index.upsert(fan(1000..1400, 20.0)).await.expect("it takes documents");
        let all = index.search(&LoraQuery { first: 1000, ..query.clone() }).await.expect("hits").hits;
        assert!(all.len() >= 200, "{}", all.len());
        let mut query = LoraQuery { first: 30, ..query };
        let (mut seen, mut gone) = (Vec::new(), Vec::new());
        for round in 0_u128.. {
            let page = index.search(&query).await.expect("hits");
            seen.extend(page.hits.iter().map(|hit| hit.id));
            query.after = page.last.filter(|_| page.has_next);
            if query.after.is_none() {
                break;
            }
            // Nearer ones come, and of those that were shown and those that follow some go.
            let begin = 2000 + round * 1000;
            index.upsert(fan(begin..begin + 20, 0.0)).await.expect("it takes documents");
            let going = [all[round as usize].id, all[all.len() - 1 - round as usize].id];
            index.remove(going.map(|id| (id, 9)).to_vec()).await.expect("it removes");
            gone.extend(going);
        }
        let once: std::collections::HashSet<_> = seen.iter().collect();
        assert_eq!(once.len(), seen.len(), "something came twice");
        for hit in all.iter().filter(|hit| !gone.contains(&hit.id)) {
            assert!(once.contains(&hit.id), "{} was missed", hit.id);
        }
    }
}

#[tokio::test]
async fn a_list_whose_beginning_is_gone_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let by_words = LoraQuery { text: Some("fox".to_owned()), first: 5, ..LoraQuery::default() };
    let queries = [
        by_words.clone(),
        LoraQuery { meaning: Some(vec![1.0, 0.0]), ..by_words },
        LoraQuery { look: Some(vec![1.0, 0.0]), first: 5, ..LoraQuery::default() },
    ];
    let index = EmbeddedIndex::open(folder.path()).expect("an index");
    index.upsert(fan(1000..1060, 20.0)).await.expect("it takes documents");
    let mut going_on = Vec::new();
    for query in queries {
        let after = index.search(&query).await.expect("hits").last;
        assert!(after.is_some(), "{query:?}");
        going_on.push(LoraQuery { after, ..query });
    }
    drop(index);
    let index = EmbeddedIndex::open(folder.path()).expect("the index");
    for query in &going_on {
        assert_eq!(index.search(query).await.expect("nothing has changed").hits.len(), 5, "{query:?}");
    }
    drop(index);
    let index = EmbeddedIndex::open(folder.path()).expect("the index");
    index.upsert(fan(1100..1101, 20.0)).await.expect("it takes a document");
    for query in &going_on {
        assert!(matches!(index.search(query).await, Err(SearchError::TooOld)), "{query:?}");
    }
}

#[tokio::test]
async fn is_opened_once_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = EmbeddedIndex::open(folder.path()).expect("an index");
    let second = EmbeddedIndex::open(folder.path());
    assert!(matches!(second, Err(SearchError::Unavailable(reason)) if reason.contains("another process")));
    assert!(!folder.path().join("aside-1").exists(), "an index in use is not damaged");
    drop(first);
    EmbeddedIndex::open(folder.path()).expect("free again");
}

#[tokio::test]
async fn a_file_in_the_way_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    assert!(matches!(EmbeddedIndex::open(&file), Err(SearchError::Unavailable(_))));
}

#[tokio::test]
async fn edited_synonyms_are_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = EmbeddedIndex::open(folder.path()).expect("an index");
    index.upsert(vec![document("Fox")]).await.expect("it takes a document");
    assert_eq!(total(&index, "reynard ").await, 0);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    fs::write(folder.path().join("synonyms.txt"), "reynard => fox\n").expect("written");
    assert_eq!(total(&index, "reynard ").await, 1);
}

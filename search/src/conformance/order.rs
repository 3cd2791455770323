//! What comes first, and pages.

use std::collections::BTreeSet;

use super::{ask, asking, fill, found, id, lora};
use crate::{LoraDocument, LoraIndex, LoraQuery, LoraSort, SearchError};

const SORTS: [LoraSort; 5] =
    [LoraSort::Relevance, LoraSort::Trending, LoraSort::Rating, LoraSort::Downloads, LoraSort::Newest];
const WEEK: i64 = 7 * 24 * 3600 * 1000;

pub(super) async fn run(index: &dyn LoraIndex) {
    sorts(index).await;
    pages(index).await;
    pages_while_changing(index).await;
    a_slow_reader(index).await;
    behind_the_end(index).await;
}

async fn sorts(index: &dyn LoraIndex) {
    let now = 1_750_000_000_000;
    let at = |weeks: i64| now - weeks * WEEK;
    // As much attention as downloads, all of it at its publication.
    let trend = |downloads: f64, weeks: i64| Some(downloads.log2() + at(weeks) as f64 / WEEK as f64);
    let old_hit = LoraDocument {
        downloads: 5000,
        rating_count: 0,
        published_at_millis: at(20),
        trend: trend(5000.0, 20),
        ..lora(1, "Fox")
    };
    let new_hit = LoraDocument {
        downloads: 900,
        rating_count: 0,
        published_at_millis: at(1),
        trend: trend(900.0, 1),
        ..lora(2, "Fox fox")
    };
    let new_quiet = LoraDocument { downloads: 1, rating_score: 4.9, published_at_millis: at(0), ..lora(3, "Red fox") };
    fill(index, vec![old_hit, new_hit, new_quiet]).await;
    let sorted = |sort| async move { found(index, &LoraQuery { sort, ..asking("fox") }).await };
    assert_eq!(sorted(LoraSort::Relevance).await[0], 1, "the whole name");
    assert_eq!(sorted(LoraSort::Trending).await, [2, 3, 1], "attention, newer ones ahead");
    assert_eq!(sorted(LoraSort::Rating).await, [3, 2, 1], "ties by falling id");
    assert_eq!(sorted(LoraSort::Downloads).await, [1, 2, 3]);
    assert_eq!(sorted(LoraSort::Newest).await, [3, 2, 1]);
    let without = LoraQuery { text: None, ..asking("") };
    assert_eq!(found(index, &without).await, [2, 3, 1], "without words, what trends");
}

/// LoRAs that tie a lot.
fn many(count: u128) -> Vec<LoraDocument> {
    let one = |number: u128| LoraDocument {
        downloads: (number % 5) as u64,
        rating_score: (number % 3) as f64,
        rating_count: 0,
        published_at_millis: 1_700_000_000_000 + (number % 4) as i64,
        ..lora(number, if number.is_multiple_of(2) { "Fox" } else { "Fox in ink" })
    };
    (1..=count).map(one).collect()
}

async fn pages(index: &dyn LoraIndex) {
    fill(index, many(53)).await;
    for sort in SORTS {
        for text in [None, Some("fox".to_owned()), Some("fxo quetzalcoatlus ".replace("fxo", "foxes"))] {
            let mut query = LoraQuery { text, sort, first: 10, facets: false, ..asking("") };
            let mut seen = Vec::new();
            loop {
                let page = ask(index, &query).await;
                assert_eq!(page.total, 53, "{query:?}");
                seen.extend(page.hits.iter().map(|hit| (hit.score, hit.id)));
                if !page.has_next {
                    break;
                }
                assert_eq!(page.hits.len(), 10, "{query:?}");
                query.after = page.hits.last().map(|hit| hit.position.clone());
            }
            let once: BTreeSet<_> = seen.iter().map(|(_, id)| *id).collect();
            assert_eq!((seen.len(), once.len()), (53, 53), "{query:?}");
            assert!(seen.is_sorted_by(|a, b| a > b), "{query:?} is not in order: {seen:?}");
        }
    }
    let position = ask(index, &asking("fox")).await.hits[0].position.clone();
    for (after, sort) in [(position, LoraSort::Newest), ("nonsense".to_owned(), LoraSort::Relevance)] {
        let query = LoraQuery { after: Some(after), sort, ..asking("fox") };
        assert!(matches!(index.search(&query).await, Err(SearchError::BadPosition)), "{query:?}");
    }
}

/// Everything that was there from beginning to end comes exactly once, whatever else comes and goes meanwhile.
async fn pages_while_changing(index: &dyn LoraIndex) {
    for sort in SORTS {
        fill(index, many(40)).await;
        let mut query = LoraQuery { sort, first: 7, ..asking("fox ink") };
        let mut seen = Vec::new();
        let mut round = 0;
        loop {
            let page = ask(index, &query).await;
            seen.extend(page.hits.iter().map(|hit| hit.id));
            if !page.has_next {
                break;
            }
            query.after = page.hits.last().map(|hit| hit.position.clone());
            round += 1;
            let coming = (0..15).map(|number| lora(1000 + round * 100 + number, "Ink fox ink"));
            index.upsert(coming.collect()).await.expect("it takes documents");
            index.remove(vec![(id(round), 2)]).await.expect("it removes");
            let secret = LoraDocument { public: false, sequence: 2, ..lora(41 - round * 2, "Fox in ink") };
            index.upsert(vec![secret]).await.expect("it takes documents");
        }
        assert!(round >= 2, "{sort:?} changed nothing");
        let steady = (1..=40).filter(|&n| n % 2 == 1 && n > round && n + round * 2 < 41);
        for number in steady {
            let times = seen.iter().filter(|seen| **seen == id(number)).count();
            assert_eq!(times, 1, "{sort:?}: {number} came {times} times");
        }
        let once: BTreeSet<_> = seen.iter().collect();
        assert_eq!(once.len(), seen.len(), "{sort:?} gave something twice");
        query.after = None;
        query.first = 100;
        let now = found(index, &query).await;
        assert!(!now.contains(&1) && !now.contains(&39), "{sort:?} still gives what is gone");
    }
    hidden_on_a_later_page(index).await;
}

/// However much changes between two pages, and whoever begins to look meanwhile.
async fn a_slow_reader(index: &dyn LoraIndex) {
    let named = |number: u128| lora(number, if number <= 20 { "Fox" } else { "Ink" });
    fill(index, (1..=30).map(named).collect()).await;
    let mut query = LoraQuery { first: 7, ..asking("fox ink") };
    let steady = found(index, &LoraQuery { first: 100, ..query.clone() }).await;
    let page = ask(index, &query).await;
    let mut seen: Vec<_> = page.hits.iter().map(|hit| hit.id).collect();
    query.after = page.last;
    // The rarer of the words becomes the common one.
    for round in 0..50 {
        let coming = (0..5).map(|number| lora(1000 + round * 10 + number, "Ink"));
        index.upsert(coming.collect()).await.expect("it takes documents");
        assert!(ask(index, &LoraQuery { first: 7, ..asking("fox ink") }).await.has_next);
    }
    while query.after.is_some() {
        let page = ask(index, &query).await;
        seen.extend(page.hits.iter().map(|hit| hit.id));
        query.after = page.last.filter(|_| page.has_next);
    }
    for number in steady {
        let times = seen.iter().filter(|seen| **seen == id(number)).count();
        assert_eq!(times, 1, "{number} came {times} times");
    }
    let once: BTreeSet<_> = seen.iter().collect();
    assert_eq!(once.len(), seen.len(), "something came twice");
}

/// Who asks again behind the last page, to see whether something has come, is not told that the list is too old.
async fn behind_the_end(index: &dyn LoraIndex) {
    for sort in SORTS {
        fill(index, many(5)).await;
        let mut query = LoraQuery { sort, ..asking("fox") };
        let page = ask(index, &query).await;
        assert!(!page.has_next && page.hits.len() == 5, "{sort:?}");
        query.after = page.last;
        index.upsert(vec![lora(6, "Fox")]).await.expect("it takes documents");
        let behind = ask(index, &query).await;
        assert!(!behind.has_next && behind.hits.iter().all(|hit| hit.id == id(6)), "{sort:?}: {:?}", behind.hits);
    }
}

/// Who may see what is decided when a page is asked for, not when its list began.
async fn hidden_on_a_later_page(index: &dyn LoraIndex) {
    for sort in SORTS {
        fill(index, many(10)).await;
        let mut query = LoraQuery { sort, first: 3, ..asking("fox") };
        let page = ask(index, &query).await;
        query.after = page.hits.last().map(|hit| hit.position.clone());
        let shown: BTreeSet<_> = page.hits.iter().map(|hit| hit.id).collect();
        let all = ask(index, &LoraQuery { first: 100, after: None, ..query.clone() }).await;
        let steady = all.hits.last().map(|hit| hit.id).expect("ten LoRAs");
        let hide = |lora: LoraDocument| LoraDocument { public: false, sequence: 2, ..lora };
        let hidden = many(10).into_iter().filter(|lora| lora.id != steady).map(hide);
        index.upsert(hidden.collect()).await.expect("it takes documents");
        // All but the last of the list are hidden by now: it is found behind pages on which nothing is left.
        let mut rest = Vec::new();
        for pages in 0.. {
            assert!(pages < 10, "{sort:?} has no end");
            let page = ask(index, &query).await;
            rest.extend(page.hits.iter().map(|hit| hit.id));
            query.after = page.last;
            if !page.has_next {
                break;
            }
        }
        assert_eq!(rest, [steady], "{sort:?} after {shown:?}");
    }
}

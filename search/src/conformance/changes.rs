//! Documents that come, change and go.

use std::time::Instant;

use super::{VISIBLE_WITHIN, ask, asking, fill, found, found_for, id, lora};
use crate::{LoraDocument, LoraIndex, LoraQuery};

pub(super) async fn run(index: &dyn LoraIndex) {
    replaced(index).await;
    late(index).await;
    removed(index).await;
    soon(index).await;
    cleared(index).await;
    built_anew(index).await;
}

async fn replaced(index: &dyn LoraIndex) {
    fill(index, vec![lora(1, "Fox")]).await;
    index.upsert(vec![LoraDocument { sequence: 2, ..lora(1, "Hound") }]).await.expect("it takes a document");
    assert_eq!(found_for(index, "fox").await, Vec::<u128>::new());
    assert_eq!(found_for(index, "hound").await, [1]);
    assert_eq!(index.count().await.expect("a count"), 1);
    index.upsert(vec![LoraDocument { sequence: 2, ..lora(1, "Badger") }]).await.expect("it takes a document");
    assert_eq!(found_for(index, "badger").await, [1], "the same sequence again replaces");
}

async fn late(index: &dyn LoraIndex) {
    fill(index, vec![LoraDocument { sequence: 5, ..lora(1, "Fox") }]).await;
    index.upsert(vec![LoraDocument { sequence: 4, ..lora(1, "Hound") }]).await.expect("it takes a document");
    index.remove(vec![(id(1), 4)]).await.expect("it removes");
    assert_eq!(found_for(index, "fox").await, [1], "what is older changes nothing");
    let newer = LoraDocument { sequence: 7, ..lora(1, "Otter") };
    let older = LoraDocument { sequence: 6, ..lora(1, "Hound") };
    index.upsert(vec![newer, older]).await.expect("it takes documents");
    assert_eq!(found_for(index, "otter").await, [1], "within one call too");
}

async fn removed(index: &dyn LoraIndex) {
    fill(index, vec![lora(1, "Fox"), lora(2, "Red fox")]).await;
    index.remove(vec![(id(1), 3), (id(77), 3)]).await.expect("it removes");
    assert_eq!(found_for(index, "fox").await, [2]);
    assert_eq!(index.count().await.expect("a count"), 1);
    let everything = LoraQuery { viewer: crate::Viewer::Everything, text: None, ..asking("") };
    assert_eq!(found(index, &everything).await, [2], "nothing is left of it");
    index.upsert(vec![LoraDocument { sequence: 2, ..lora(1, "Fox") }]).await.expect("it takes a document");
    assert_eq!(found_for(index, "fox").await, [2], "what is older than its removal does not bring it back");
    index.upsert(vec![LoraDocument { sequence: 4, ..lora(1, "Fox") }]).await.expect("it takes a document");
    assert_eq!(found_for(index, "fox").await, [1, 2], "what is newer does");
    index.upsert(Vec::new()).await.expect("nothing");
    index.remove(Vec::new()).await.expect("nothing");
}

async fn soon(index: &dyn LoraIndex) {
    fill(index, (1..=300).map(|number| lora(number, "Hound")).collect()).await;
    let mut times = Vec::new();
    for number in 1000..1010 {
        let started = Instant::now();
        index.upsert(vec![lora(number, &format!("Fox{number}"))]).await.expect("it takes a document");
        // Behind it may come those whose number is a typing error away.
        assert_eq!(found_for(index, &format!("fox{number} ")).await.first(), Some(&number));
        times.push(started.elapsed());
    }
    // The machine may do other things as well: the quickest says what the engine needs.
    assert!(times.iter().min().is_some_and(|least| *least < VISIBLE_WITHIN), "found after {times:?}");
}

async fn cleared(index: &dyn LoraIndex) {
    fill(index, vec![LoraDocument { sequence: 9, ..lora(1, "Fox") }, lora(2, "Fox")]).await;
    index.remove(vec![(id(2), 9)]).await.expect("it removes");
    index.rebuilt().await.expect("it notes that");
    assert!(!index.needs_rebuild());
    index.clear().await.expect("it clears");
    assert!(index.needs_rebuild());
    assert_eq!(index.count().await.expect("a count"), 0);
    index.upsert(vec![lora(1, "Fox"), lora(2, "Fox")]).await.expect("it takes documents");
    assert_eq!(found_for(index, "fox").await.len(), 2, "sequences begin anew");
    index.rebuilt().await.expect("it notes that");
    assert!(!index.needs_rebuild());
    index.check().await.expect("it works");
}

async fn built_anew(index: &dyn LoraIndex) {
    let all = |sequence| (1..=30).map(move |number| LoraDocument { sequence, ..lora(number, "Fox") });
    fill(index, all(9).collect()).await;
    index.rebuilt().await.expect("it notes that");
    let first_page = LoraQuery { first: 10, ..asking("fox") };
    let page = ask(index, &first_page).await;
    index.begin_rebuild().await.expect("it begins");
    index.upsert(vec![lora(77, "Badger")]).await.expect("it takes a document");
    index.begin_rebuild().await.expect("it begins again");
    assert!(!index.needs_rebuild(), "what there is is whole");
    assert_eq!(found_for(index, "badger").await, [77], "changes reach what is searched");
    index.upsert(all(2).take(20).collect()).await.expect("it takes documents");
    index.remove(vec![(id(3), 10)]).await.expect("it removes");
    assert_eq!(ask(index, &asking("fox")).await.total, 29, "searches go on in what there is");
    index.upsert(vec![LoraDocument { sequence: 10, ..lora(4, "Otter") }]).await.expect("it takes a document");
    index.rebuilt().await.expect("it ends");
    let mut rest = found(index, &LoraQuery { first: 100, ..asking("fox") }).await;
    rest.sort_unstable();
    let expected: Vec<u128> = (1..=20).filter(|number| ![3, 4].contains(number)).collect();
    assert_eq!(rest, expected, "what was handed over since, however low its sequence");
    assert_eq!(found_for(index, "otter").await, [4], "changes meanwhile are kept");
    assert_eq!(found_for(index, "badger").await, Vec::<u128>::new(), "what was not handed over is gone");
    index.upsert(vec![LoraDocument { sequence: 9, ..lora(3, "Fox") }]).await.expect("it takes a document");
    assert_eq!(index.count().await.expect("a count"), 19, "removals are kept too");
    let after = page.hits.last().map(|hit| hit.position.clone());
    let next_page = ask(index, &LoraQuery { first: 100, after, ..first_page }).await;
    let shown: Vec<_> = page.hits.iter().map(|hit| hit.id).collect();
    assert!(next_page.hits.iter().all(|hit| !shown.contains(&hit.id)), "a list goes on as it began");
    assert!(!next_page.hits.iter().any(|hit| hit.id == id(25)), "without what is gone");
}

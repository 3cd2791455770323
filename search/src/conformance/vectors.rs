//! Finding by how pictures look and by what words mean.

use super::{ask, asking, fill, found, id, lora, member};
use crate::{LoraDocument, LoraFilter, LoraIndex, LoraQuery, Viewer};

pub(super) async fn run(index: &dyn LoraIndex) {
    without_any(index).await;
    fill(index, catalogue()).await;
    alike(index).await;
    meant(index).await;
    related(index).await;
    changed(index).await;
}

/// A direction in the plane, in degrees, in four numbers.
fn direction(degrees: f32) -> Vec<f32> {
    vec![degrees.to_radians().cos(), degrees.to_radians().sin(), 0.0, 0.0]
}

fn catalogue() -> Vec<LoraDocument> {
    let tags = |list: &[&str]| list.iter().map(|&tag| tag.to_owned()).collect();
    let mut loras = vec![
        LoraDocument { looks: vec![direction(0.0), direction(80.0)], ..lora(1, "Fox one") },
        LoraDocument { looks: vec![direction(20.0)], license: "cc0-1.0".to_owned(), ..lora(2, "Fox two") },
        LoraDocument { looks: vec![direction(50.0)], tags: tags(&["ink wash", "moody"]), ..lora(3, "Hare three") },
        LoraDocument { looks: vec![direction(5.0)], public: false, team_id: id(801), ..lora(4, "Fox four") },
        LoraDocument { tags: tags(&["ink wash", "moody"]), meaning: Some(direction(90.0)), ..lora(5, "Five foxes") },
        LoraDocument { tags: tags(&["moody"]), meaning: Some(direction(12.0)), ..lora(6, "Vulpine six") },
    ];
    // Nothing that anybody looks for, so that there is something to find among.
    let others = (100..160).map(|number| LoraDocument {
        looks: vec![direction(180.0 + number as f32 / 10.0)],
        meaning: Some(direction(120.0 + 2.0 * (number - 100) as f32)),
        tags: tags(&["plain", "moody"]),
        ..lora(number, &format!("Other {number}"))
    });
    loras.extend(others);
    loras
}

fn looking(degrees: f32) -> LoraQuery {
    LoraQuery { look: Some(direction(degrees)), first: 3, facets: true, ..LoraQuery::default() }
}

async fn without_any(index: &dyn LoraIndex) {
    fill(index, vec![lora(1, "Fox one")]).await;
    assert_eq!(found(index, &looking(0.0)).await, Vec::<u128>::new(), "nothing has a look");
    let meant = LoraQuery { meaning: Some(direction(0.0)), ..asking("fox") };
    assert_eq!(found(index, &meant).await, [1], "words find it still");
    assert!(index.related(id(1), &Viewer::default(), 5).await.expect("related ones").is_empty());
}

async fn alike(index: &dyn LoraIndex) {
    assert_eq!(found(index, &looking(0.0)).await, [1, 2, 3]);
    assert_eq!(found(index, &looking(70.0)).await, [1, 3, 2], "the nearest of its previews counts");
    assert_eq!(found(index, &LoraQuery { viewer: member(id(801)), ..looking(8.0) }).await, [4, 1, 2]);
    assert_eq!(found(index, &LoraQuery { viewer: member(id(802)), ..looking(5.0) }).await, [1, 2, 3], "not of others");
    let filter = LoraFilter { licenses: vec!["CC0-1.0".to_owned()], ..LoraFilter::default() };
    let narrowed = ask(index, &LoraQuery { filter, ..looking(0.0) }).await;
    assert_eq!((narrowed.hits.len(), narrowed.total, narrowed.has_next), (1, 1, false));
    let page = ask(index, &looking(0.0)).await;
    assert!(page.has_next && page.total == 63, "{} of {}", page.has_next, page.total);
    assert!((page.hits[0].score - 1.0).abs() < 1e-3 && (page.hits[1].score - 0.9397).abs() < 1e-3, "{:?}", page.hits);
    let licenses = page.facets.expect("they were asked for").licenses;
    assert_eq!(licenses, [("openrail++".to_owned(), 62), ("cc0-1.0".to_owned(), 1)]);
    let mut seen: Vec<u128> = page.hits.iter().map(|hit| hit.id.as_u128() >> 64).collect();
    let mut after = page.hits.last().map(|hit| hit.position.clone());
    while after.is_some() {
        let page = ask(index, &LoraQuery { after, first: 7, ..looking(0.0) }).await;
        seen.extend(page.hits.iter().map(|hit| hit.id.as_u128() >> 64));
        after = page.hits.last().map(|hit| hit.position.clone()).filter(|_| page.has_next);
    }
    assert_eq!(seen.len(), 63);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 63, "each once");
    let other_length = LoraQuery { look: Some(vec![1.0; 7]), ..looking(0.0) };
    assert_eq!(found(index, &other_length).await, Vec::<u128>::new(), "another describer's look is like nothing");
}

async fn meant(index: &dyn LoraIndex) {
    let words_alone = found(index, &asking("foxes ")).await;
    assert!(!words_alone.contains(&6) && words_alone[0] == 5, "{words_alone:?}");
    let meant = LoraQuery { meaning: Some(direction(10.0)), ..asking("foxes ") };
    let both = found(index, &meant).await;
    let place = |number: u128| both.iter().position(|found| *found == number);
    assert!(place(6).is_some_and(|place| place <= 2), "what means the same is found: {both:?}");
    assert!(place(5).is_some_and(|place| place <= 1), "and so is what has the words: {both:?}");
    assert!(
        !both[..4.min(both.len())].iter().any(|number| *number >= 100),
        "what means something else is not near: {both:?}"
    );
    let newest = LoraQuery { sort: crate::LoraSort::Newest, ..meant.clone() };
    assert_eq!(found(index, &newest).await, found(index, &LoraQuery { meaning: None, ..newest.clone() }).await);
    let hidden =
        LoraQuery { filter: LoraFilter { tags: vec!["ink wash".to_owned()], ..LoraFilter::default() }, ..meant };
    assert!(!found(index, &hidden).await.contains(&6), "a filter leaves out what is meant, too");
}

async fn related(index: &dyn LoraIndex) {
    let of = |number: u128, viewer: Viewer| async move {
        let ids = index.related(id(number), &viewer, 3).await.expect("related ones");
        ids.into_iter().map(|id| id.as_u128() >> 64).collect::<Vec<_>>()
    };
    let by_tags = of(5, Viewer::default()).await;
    assert_eq!(by_tags[0], 3, "both tags, one of them rare: {by_tags:?}");
    assert!(!by_tags.contains(&5), "not itself");
    assert_eq!(of(2, Viewer::default()).await[..2], [1, 3], "by looks");
    assert_eq!(of(2, member(id(801))).await[..2], [4, 1], "with what is theirs");
    assert_eq!(of(4, Viewer::default()).await, Vec::<u128>::new(), "of what one does not see nothing is said");
    assert_eq!(of(999, Viewer::Everything).await, Vec::<u128>::new());
}

async fn changed(index: &dyn LoraIndex) {
    let newer = LoraDocument { sequence: 2, looks: vec![direction(120.0)], ..lora(1, "Fox one") };
    index.upsert(vec![newer]).await.expect("it takes a document");
    assert_eq!(found(index, &looking(0.0)).await, [2, 3, 1]);
    let late = LoraDocument { looks: vec![direction(0.0)], ..lora(1, "Fox one") };
    index.upsert(vec![late]).await.expect("it takes a document");
    assert_eq!(found(index, &looking(0.0)).await, [2, 3, 1], "what comes late changes nothing");
    index.remove(vec![(id(2), 5)]).await.expect("it takes a removal");
    assert_eq!(found(index, &looking(0.0)).await[..2], [3, 1]);
    index.begin_rebuild().await.expect("it begins");
    index
        .upsert(vec![LoraDocument { sequence: 9, looks: vec![direction(1.0)], ..lora(7, "Seven") }])
        .await
        .expect("taken");
    index.rebuilt().await.expect("it ends");
    assert_eq!(found(index, &looking(0.0)).await, [7], "a rebuild leaves nothing of before");
    index.clear().await.expect("it clears");
    assert_eq!(found(index, &looking(0.0)).await, Vec::<u128>::new());
}

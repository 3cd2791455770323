//! What is left out, and who sees what.

use super::{ask, asking, fill, found, id, lora, member};
use crate::{LoraDocument, LoraFilter, LoraIndex, LoraQuery, Viewer};

pub(super) async fn run(index: &dyn LoraIndex) {
    fill(index, catalogue()).await;
    filters(index).await;
    facets(index).await;
    visibility(index).await;
}

fn catalogue() -> Vec<LoraDocument> {
    let tags = |list: &[&str]| list.iter().map(|&tag| tag.to_owned()).collect();
    vec![
        LoraDocument { tags: tags(&["ink wash", "moody"]), rating_score: 4.5, ..lora(1, "Fox one") },
        LoraDocument { tags: tags(&["Ink Wash"]), license: "cc0-1.0".to_owned(), ..lora(2, "Fox two") },
        LoraDocument { base_models: vec![id(701), id(702)], creator_id: id(901), ..lora(3, "Fox three") },
        LoraDocument {
            published_at_millis: 1_800_000_000_000,
            team_id: id(801),
            safe_strengths: Some((0.5, 1.25)),
            ..lora(4, "Fox four")
        },
        LoraDocument { public: false, team_id: id(801), tags: tags(&["secret"]), ..lora(5, "Fox five") },
        LoraDocument { public: false, team_id: id(802), ..lora(6, "Foxglove six") },
    ]
}

async fn passing(index: &dyn LoraIndex, filter: LoraFilter) -> Vec<u128> {
    let in_words = LoraQuery { filter, ..asking("fox") };
    let mut with = found(index, &in_words).await;
    with.sort_unstable();
    let mut without = found(index, &LoraQuery { text: None, ..in_words }).await;
    without.sort_unstable();
    assert_eq!(with, without, "a filter does the same with words and without");
    with
}

async fn filters(index: &dyn LoraIndex) {
    let tags = |list: &[&str]| list.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>();
    let none = LoraFilter::default;
    assert_eq!(passing(index, none()).await, [1, 2, 3, 4]);
    assert_eq!(passing(index, LoraFilter { tags: tags(&["INK WASH"]), ..none() }).await, [1, 2]);
    assert_eq!(passing(index, LoraFilter { tags: tags(&["ink wash", "moody"]), ..none() }).await, [1]);
    assert_eq!(passing(index, LoraFilter { tags: tags(&["ink"]), ..none() }).await, Vec::<u128>::new());
    let licenses = tags(&["cc0-1.0", "unheard-of"]);
    assert_eq!(passing(index, LoraFilter { licenses, ..none() }).await, [2]);
    assert_eq!(passing(index, LoraFilter { base_models: vec![id(702)], ..none() }).await, [3]);
    assert_eq!(passing(index, LoraFilter { base_models: vec![id(702), id(700)], ..none() }).await, [1, 2, 3, 4]);
    assert_eq!(passing(index, LoraFilter { creator_id: Some(id(901)), ..none() }).await, [3]);
    assert_eq!(passing(index, LoraFilter { team_id: Some(id(801)), ..none() }).await, [4], "a filter opens no door");
    assert_eq!(passing(index, LoraFilter { rating_at_least: Some(4.5), ..none() }).await, [1]);
    assert_eq!(passing(index, LoraFilter { rating_at_least: Some(f64::NAN), ..none() }).await, Vec::<u128>::new());
    let published_after_millis = Some(1_700_000_000_000);
    assert_eq!(passing(index, LoraFilter { published_after_millis, ..none() }).await, [4]);
    for (strength, passes) in [(0.4, false), (0.5, true), (1.0, true), (1.25, true), (1.26, false), (f64::NAN, false)] {
        let expected: &[u128] = if passes { &[4] } else { &[] };
        assert_eq!(
            passing(index, LoraFilter { safe_at: Some(strength), ..none() }).await,
            expected,
            "safe at {strength}"
        );
    }
    assert_eq!(passing(index, LoraFilter { without_tags: tags(&["INK wash", "felt"]), ..none() }).await, [3, 4]);
    let without_creators = vec![id(901), id(999)];
    assert_eq!(passing(index, LoraFilter { without_creators: without_creators.clone(), ..none() }).await, [1, 2, 4]);
    let filter = LoraFilter { tags: tags(&["ink wash"]), without_tags: tags(&["moody"]), without_creators, ..none() };
    assert_eq!(passing(index, filter).await, [2], "what is wanted and what is not");
    let filter = LoraFilter { tags: tags(&["ink wash"]), rating_at_least: Some(4.0), ..none() };
    assert_eq!(passing(index, filter).await, [1], "all at once");
}

async fn facets(index: &dyn LoraIndex) {
    let hits = ask(index, &LoraQuery { first: 1, ..asking("fox") }).await;
    assert_eq!((hits.total, hits.has_next, hits.hits.len()), (4, true, 1));
    let facets = hits.facets.expect("they were asked for");
    assert_eq!(facets.tags, [("ink wash".to_owned(), 2), ("moody".to_owned(), 1)], "over all pages, not of secrets");
    assert_eq!(facets.licenses, [("openrail++".to_owned(), 3), ("cc0-1.0".to_owned(), 1)]);
    assert_eq!(facets.base_models, [(id(700), 3), (id(701), 1), (id(702), 1)]);
    let counted = ask(index, &LoraQuery { first: 0, ..asking("fox") }).await;
    assert_eq!((counted.total, counted.has_next), (4, true));
}

async fn visibility(index: &dyn LoraIndex) {
    let secrets =
        ["fox five", "fox five ", "five", "foxglove", "foxglove six", "\"fox five\"", "foxglov ", "secret", "fivs"];
    for text in secrets {
        for viewer in [Viewer::default(), member(id(899)), Viewer::Teams(vec![id(800), id(803)])] {
            let seen = found(index, &LoraQuery { viewer: viewer.clone(), ..asking(text) }).await;
            assert!(!seen.contains(&5) && !seen.contains(&6), "{viewer:?} found {seen:?} for {text}");
            let given = index.suggest(text, &viewer, 50).await.expect("suggestions");
            let leaks = |text: &str| text.contains("five") || text.contains("glove") || text.contains("secret");
            assert!(!given.iter().any(|one| leaks(&one.text)), "{viewer:?} was given {given:?} for {text}");
        }
    }
    let seen = |viewer: Viewer| async move {
        let mut seen = found(index, &LoraQuery { viewer, ..asking("fox") }).await;
        seen.sort_unstable();
        seen
    };
    assert_eq!(seen(member(id(801))).await, [1, 2, 3, 4, 5]);
    assert_eq!(seen(member(id(802))).await, [1, 2, 3, 4, 6]);
    assert_eq!(seen(Viewer::Everything).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(index.count().await.expect("a count"), 6);
}

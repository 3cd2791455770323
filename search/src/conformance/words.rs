//! What words find.

use super::{ask, asking, fill, found_for, lora, set_for};
use crate::{HighlightField, LoraDocument, LoraIndex, SuggestionKind, Viewer};

pub(super) async fn run(index: &dyn LoraIndex) {
    fill(index, catalogue()).await;
    exact(index).await;
    typing_errors(index).await;
    unfinished(index).await;
    meaning(index).await;
    phrases(index).await;
    marks(index).await;
    suggestions(index).await;
}

fn catalogue() -> Vec<LoraDocument> {
    let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    vec![
        LoraDocument {
            description: "Pigment blooms & wet edges on <cold-press> paper".to_owned(),
            trigger_words: words(&["kavimo_style"]),
            tags: words(&["watercolor", "landscapes"]),
            ..lora(1, "Kavimo watercolor landscapes")
        },
        LoraDocument {
            description: "In the manner of Kavimo, but in gouache".to_owned(),
            tags: words(&["gouache"]),
            prompts: words(&["a lighthouse in a storm", "an orchard at night"]),
            ..lora(2, "Torvel gouache")
        },
        LoraDocument { tags: words(&["advertising", "1950s"]), ..lora(3, "Mid-century posters") },
        LoraDocument {
            description: "white cups on a black and gold tray".to_owned(),
            creator_name: "Ágnes Ørsted".to_owned(),
            creator_handle: "agnes42".to_owned(),
            ..lora(4, "Ceramics")
        },
        LoraDocument { description: "Black and white photographs of kettles".to_owned(), ..lora(5, "Silver halide") },
        LoraDocument { trigger_words: words(&["torvel"]), ..lora(6, "Something else entirely") },
        LoraDocument { downloads: 1_000_000, ..lora(7, "Torvel gouache, second edition") },
        lora(8, "Monochrome harbours"),
    ]
}

async fn exact(index: &dyn LoraIndex) {
    assert_eq!(found_for(index, "kavimo").await, [1, 2], "a name is ahead of a description");
    assert_eq!(found_for(index, "KAVIMO_STYLE").await.first(), Some(&1), "a trigger word as it is");
    assert_eq!(found_for(index, "torvel").await.first(), Some(&6), "a whole trigger word is ahead of part of a name");
    assert_eq!(found_for(index, "torvel gouache").await.first(), Some(&2), "a whole name is ahead of a popular one");
    assert_eq!(found_for(index, "lighthouse").await, [2], "words of captions");
    assert_eq!(found_for(index, "agnes orsted").await, [4], "a creator without accents");
    assert_eq!(found_for(index, "agnes42").await, [4], "a creator's handle");
    assert_eq!(found_for(index, "mid century").await, [3]);
    assert_eq!(found_for(index, "kettle ").await, [5], "one for many");
    assert_eq!(found_for(index, "the kettles of a").await, [5], "little words are not asked for");
    assert_eq!(found_for(index, "quetzalcoatlus").await, Vec::<u128>::new(), "what is not there is not found");
    assert_eq!(found_for(index, "lighthouse quetzalcoatlus").await, [2], "where not all words are found, some are");
    assert_eq!(found_for(index, "gouache orchard").await, [2], "words of different texts");
}

async fn typing_errors(index: &dyn LoraIndex) {
    for typed in ["kavmio ", "kvimo ", "kavimmo ", "kavino "] {
        assert_eq!(found_for(index, typed).await, [1, 2], "{typed}");
    }
    assert_eq!(found_for(index, "lihgthuse ").await, [2], "two errors in a long word");
    assert_eq!(found_for(index, "kvaimoo ").await, Vec::<u128>::new(), "not two in a short one");
    assert_eq!(found_for(index, "cps ").await, Vec::<u128>::new(), "none in a very short one");
}

async fn unfinished(index: &dyn LoraIndex) {
    assert_eq!(found_for(index, "lighth").await, [2]);
    assert_eq!(found_for(index, "torvel gou").await.len(), 2);
    assert_eq!(found_for(index, "lighth ").await, Vec::<u128>::new(), "a space ends a word");
    assert_eq!(found_for(index, "kav wa").await, [1, 2][..1], "only the last word is unfinished, but some fit");
}

async fn meaning(index: &dyn LoraIndex) {
    assert_eq!(found_for(index, "ad ").await, [3], "another word for it");
    assert_eq!(found_for(index, "bw ").await, [5], "several words for it, and those together");
    assert_eq!(found_for(index, "black and white harbours ").await, [8], "one word for several");
    assert_eq!(found_for(index, "watercolour ").await.first(), Some(&1));
}

async fn phrases(index: &dyn LoraIndex) {
    assert_eq!(set_for(index, "black white ").await, [4, 5, 8], "what the two together mean as well");
    assert_eq!(found_for(index, "\"black and white\"").await, [5]);
    assert_eq!(found_for(index, "\"white and black\"").await, Vec::<u128>::new());
    assert_eq!(found_for(index, "\"storm an orchard\"").await, Vec::<u128>::new(), "captions are texts of their own");
}

async fn marks(index: &dyn LoraIndex) {
    let hits = ask(index, &asking("pigmant")).await;
    let marks = &hits.hits[0].highlights;
    assert_eq!(marks.len(), 1, "{marks:?}");
    assert_eq!(marks[0].field, HighlightField::Description);
    assert_eq!(marks[0].html, "<em>Pigment</em> blooms &amp; wet edges on &lt;cold-press&gt; paper");
    let hits = ask(index, &asking("landscape")).await;
    let fields: Vec<HighlightField> = hits.hits[0].highlights.iter().map(|mark| mark.field).collect();
    assert_eq!(fields, [HighlightField::Name, HighlightField::Tags]);
}

async fn suggestions(index: &dyn LoraIndex) {
    let viewer = Viewer::default();
    let given = index.suggest("gou", &viewer, 5).await.expect("suggestions");
    assert_eq!((given[0].text.as_str(), given[0].kind), ("gouache", SuggestionKind::Tag));
    assert!(given.iter().any(|one| one.text == "Torvel gouache" && one.id == Some(super::id(2))), "{given:?}");
    assert_eq!(index.suggest("o", &viewer, 1).await.expect("suggestions").len(), 1);
    assert_eq!(index.suggest("  ", &viewer, 5).await.expect("no words").len(), 0);
    assert_eq!(index.suggest("gou", &viewer, 0).await.expect("no room").len(), 0);
}

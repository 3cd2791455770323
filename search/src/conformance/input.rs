//! Text of every kind.

use super::{asking, fill, found, found_for, lora};
use crate::{LoraDocument, LoraIndex, LoraQuery, Viewer};

pub(super) async fn run(index: &dyn LoraIndex) {
    scripts(index).await;
    garbage(index).await;
}

async fn scripts(index: &dyn LoraIndex) {
    let documents = vec![
        lora(1, "霓虹城市夜景"),
        lora(2, "Crème brûlée"),
        LoraDocument { description: "for 🦊 lovers".to_owned(), ..lora(3, "Forest") },
        lora(4, "Акварель"),
        lora(5, "日本の浮世絵"),
        lora(6, "Straße nach Łódź"),
        lora(7, "城 no 市"),
    ];
    fill(index, documents).await;
    assert_eq!(found_for(index, "霓虹").await, [1], "words without spaces between them");
    assert_eq!(found_for(index, "城市").await.first(), Some(&1), "characters that stand together");
    assert_eq!(found_for(index, "浮世絵").await, [5]);
    assert_eq!(found_for(index, "creme brulee").await, [2]);
    assert_eq!(found_for(index, "cre\u{300}me").await, [2], "accents as characters of their own");
    assert_eq!(found_for(index, "🦊").await, [3], "pictures are words");
    assert_eq!(found_for(index, "АКВАРЕЛЬ").await, [4]);
    assert_eq!(found_for(index, "акварел").await, [4]);
    assert_eq!(found_for(index, "strasse lodz").await, [6]);
}

async fn garbage(index: &dyn LoraIndex) {
    let long = "x".repeat(100_000);
    let words = "fox ".repeat(20_000);
    let mut huge = LoraDocument { description: words.clone(), tags: vec![long.clone()], ..lora(1, &long) };
    huge.trigger_words = vec![long.clone(), String::new(), "\u{0}".to_owned()];
    huge.rating_score = f64::NAN;
    fill(index, vec![huge, lora(2, "Red fox"), lora(3, "")]).await;
    assert!(found_for(index, "red fox").await.contains(&2));
    let texts = [
        long.as_str(),
        &words,
        "",
        " ",
        "\"",
        "\"\"\"",
        "\"fox",
        "fox\"",
        "\u{0}\u{1}",
        "\u{202E}xof",
        "🦊🦊🦊🦊",
        "e\u{301}\u{301}\u{301}",
        "name:fox AND (",
        "fox*",
        "+-!(){}[]^~?:\\/",
        "' OR 1=1 --",
        "%_",
        "-fox",
        "\u{FEFF}",
        "\u{1F3FB}",
        "ﬀ",
        "İstanbul",
        "&&&&||||",
        "fox~2",
        "[a TO b]",
        "*",
        "..",
        "1e309",
        "NaN",
        "'''",
        "’’a’’",
        "\"“”\"",
    ];
    for text in texts {
        for viewer in [Viewer::default(), Viewer::Everything] {
            let query = LoraQuery { viewer: viewer.clone(), ..asking(text) };
            found(index, &query).await;
            index.suggest(text, &viewer, 10).await.expect("an answer");
        }
    }
    let nothing = found_for(index, " \u{0} ;").await;
    assert_eq!(nothing.len(), 3, "text without a word asks for nothing in particular");
    let query = LoraQuery { first: usize::MAX, ..asking("fox") };
    assert!(index.search(&query).await.expect("hits").hits.len() <= 1000);
    index.check().await.expect("it still works");
}

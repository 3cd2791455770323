//! How text becomes words: for the index, for what is looked for, and for marking what was found.

use std::{ops::Range, sync::LazyLock};

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer,
};

/// Name of the analyzer for words as they are written.
pub(crate) const WORDS: &str = "atelier_words";
/// Name of the analyzer for English word stems.
pub(crate) const STEMS: &str = "atelier_stems";

/// Bytes from which a word is ignored: nobody looks for it.
const LONGEST_WORD: usize = 64;

static WORD_ANALYZER: LazyLock<TextAnalyzer> = LazyLock::new(word_analyzer);
static STEM_ANALYZER: LazyLock<TextAnalyzer> = LazyLock::new(stem_analyzer);

/// Words in lower case without accents.
pub(crate) fn word_analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(WordTokenizer)
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(RemoveLongFilter::limit(LONGEST_WORD))
        .build()
}

/// The same, cut to their English stems.
pub(crate) fn stem_analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(WordTokenizer)
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(RemoveLongFilter::limit(LONGEST_WORD))
        .filter(Stemmer::new(Language::English))
        .build()
}

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// In lower case without accents.
    pub(crate) text: String,
    /// Its bytes in the text.
    pub(crate) bytes: Range<usize>,
}

/// The words of a text, at most `most`.
pub(crate) fn words(text: &str, most: usize) -> Vec<Word> {
    let mut analyzer = WORD_ANALYZER.clone();
    let mut stream = analyzer.token_stream(text);
    let mut found = Vec::new();
    while found.len() < most && stream.advance() {
        let token = stream.token();
        found.push(Word { text: token.text.clone(), bytes: token.offset_from..token.offset_to });
    }
    found
}

/// The English stem of a word.
pub(crate) fn stem(word: &str) -> String {
    let mut analyzer = STEM_ANALYZER.clone();
    let mut stream = analyzer.token_stream(word);
    if stream.advance() { stream.token().text.clone() } else { word.to_owned() }
}

/// A text as its words with single spaces: two texts that differ in case, accents and punctuation alone are equal.
pub(crate) fn normalized(text: &str) -> String {
    let words: Vec<String> = words(text, 32).into_iter().map(|word| word.text).collect();
    words.join(" ")
}

/// Whether a character is a word of its own: in scripts without spaces between words, and pictures.
pub(crate) fn stands_alone(character: char) -> bool {
    matches!(u32::from(character),
        0x0E00..=0x0E7F | 0x2600..=0x27BF | 0x3040..=0x30FF | 0x3400..=0x9FFF | 0xF900..=0xFAFF
        | 0x1F300..=0x1F3FA | 0x1F400..=0x1FAFF | 0x20000..=0x3FFFF)
}

fn is_combining(character: char) -> bool {
    matches!(u32::from(character), 0x0300..=0x036F)
}

fn is_apostrophe(character: char) -> bool {
    matches!(character, '\'' | '\u{2019}')
}

/// Splits text into words: runs of letters and digits (with apostrophes and combining accents inside them dropped), and
/// single characters of scripts that do not part words by spaces.
#[derive(Clone, Default)]
struct WordTokenizer;

struct WordStream<'a> {
    text: &'a str,
    at: usize,
    token: Token,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        WordStream { text, at: 0, token: Token::default() }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        self.token.text.clear();
        self.token.position = self.token.position.wrapping_add(1);
        let rest = &self.text[self.at..];
        let Some((start, first)) = rest.char_indices().find(|(_, c)| c.is_alphanumeric() || stands_alone(*c)) else {
            self.at = self.text.len();
            return false;
        };
        self.token.offset_from = self.at + start;
        let mut end = start + first.len_utf8();
        self.token.text.push(first);
        if !stands_alone(first) {
            let mut characters =
                rest[end..].char_indices().map(|(at, c)| (at + start + first.len_utf8(), c)).peekable();
            while let Some((at, character)) = characters.next() {
                let inside = character.is_alphanumeric() && !stands_alone(character);
                let next_inside = characters.peek().is_some_and(|(_, c)| c.is_alphanumeric() && !stands_alone(*c));
                if inside {
                    self.token.text.push(character);
                } else if !(is_combining(character) || is_apostrophe(character) && next_inside) {
                    break;
                }
                end = at + character.len_utf8();
            }
        }
        self.at += end;
        self.token.offset_to = self.at;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_case_and_accents_but_keep_their_place() {
        let text = "L’été à São-Paulo, cafe\u{301} 霓虹 🦊x";
        let found = words(text, 99);
        let texts: Vec<&str> = found.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, ["lete", "a", "sao", "paulo", "cafe", "霓", "虹", "🦊", "x"]);
        assert_eq!(&text[found[4].bytes.clone()], "cafe\u{301}");
        assert_eq!(&text[found[5].bytes.clone()], "霓");
        assert_eq!(stem("kettles"), "kettl");
    }
}

//! What somebody typed, taken apart.

use std::ops::Range;

use super::analysis::{self, Word};

/// Words of a query that are looked for; what comes after them is ignored.
const MOST_WORDS: usize = 16;
/// Bytes of a query that are read.
const LONGEST_TEXT: usize = 2048;

/// Words that say little: they count for the order, and are asked for only where there are no others.
const LITTLE_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "if", "in", "into", "is", "it", "no", "not",
    "of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "with",
];

/// Something that a LoRA must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A word; `unfinished` while it is being typed.
    Word { text: String, unfinished: bool },
    /// Words that stand together.
    Phrase(Vec<String>),
}

/// What somebody typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// What is asked for.
    pub(crate) parts: Vec<Part>,
    /// Words that say little, where there are others.
    pub(crate) little: Vec<String>,
    /// Every word in the order in which they were typed.
    pub(crate) words: Vec<String>,
    /// All of it, and each piece without spaces, as a whole name or trigger word is compared.
    pub(crate) wholes: Vec<String>,
}

impl Reading {
    /// Takes a text apart. Nothing is asked for by a text without words.
    pub(crate) fn new(text: &str) -> Self {
        let text = &text[..text.floor_char_boundary(LONGEST_TEXT)];
        let mut reading = Self { wholes: wholes(text), ..Self::default() };
        let pieces: Vec<&str> = text.split(['"', '\u{201C}', '\u{201D}']).collect();
        let last = pieces.len() - 1;
        let mut left = MOST_WORDS;
        for (number, piece) in pieces.iter().enumerate() {
            let words = analysis::words(piece, left);
            left -= words.len();
            reading.words.extend(words.iter().map(|word| word.text.clone()));
            // A quotation mark without its partner quotes nothing.
            if number % 2 == 1 && number < last {
                reading.add_phrase(words.into_iter().map(|word| word.text).collect());
            } else {
                let finished = number < last || piece.ends_with(char::is_whitespace);
                reading.add_words(piece, words, finished);
            }
        }
        reading.set_aside_little_words();
        reading
    }

    fn add_phrase(&mut self, mut words: Vec<String>) {
        match words.len() {
            0 => {}
            1 => self.parts.push(Part::Word { text: words.remove(0), unfinished: false }),
            _ => self.parts.push(Part::Phrase(words)),
        }
    }

    fn add_words(&mut self, piece: &str, words: Vec<Word>, finished: bool) {
        let last_end = words.last().map(|word| word.bytes.end);
        let mut run: Vec<String> = Vec::new();
        let mut run_end = 0;
        for word in words {
            let alone = piece[word.bytes.clone()].starts_with(analysis::stands_alone);
            // Neighbours in a script without spaces belong together.
            if !alone || word.bytes.start != run_end {
                self.add_phrase(std::mem::take(&mut run));
            }
            if alone {
                run_end = word.bytes.end;
                run.push(word.text);
            } else {
                let Range { end, .. } = word.bytes;
                let unfinished = !finished && last_end == Some(end) && end == piece.len();
                self.parts.push(Part::Word { text: word.text, unfinished });
            }
        }
        self.add_phrase(run);
    }

    fn set_aside_little_words(&mut self) {
        let is_little = |text: &String| LITTLE_WORDS.contains(&text.as_str());
        if self.parts.iter().all(|part| matches!(part, Part::Word { text, .. } if is_little(text))) {
            return;
        }
        // An unfinished one may become a longer word.
        let aside = |part: &mut Part| matches!(part, Part::Word { text, unfinished: false } if is_little(text));
        for part in self.parts.extract_if(.., aside) {
            if let Part::Word { text, .. } = part {
                self.little.push(text);
            }
        }
    }
}

/// Words without those that say little, unless all do: as they are asked for.
pub(crate) fn without_little_words(words: &[String]) -> Vec<String> {
    let asked = words.iter().filter(|word| !LITTLE_WORDS.contains(&word.as_str()));
    let asked: Vec<String> = asked.cloned().collect();
    if asked.is_empty() { words.to_vec() } else { asked }
}

fn wholes(text: &str) -> Vec<String> {
    let mut wholes = vec![analysis::normalized(text)];
    wholes.extend(text.split_whitespace().take(MOST_WORDS).map(analysis::normalized).filter(|w| w.contains(' ')));
    wholes.retain(|whole| !whole.is_empty());
    wholes.dedup();
    wholes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_apart() {
        let word = |text: &str, unfinished| Part::Word { text: text.to_owned(), unfinished };
        let phrase = |words: &[&str]| Part::Phrase(words.iter().map(|&word| word.to_owned()).collect());
        let reading = Reading::new("the \"ink wash\" of Fox");
        assert_eq!(reading.parts, [phrase(&["ink", "wash"]), word("fox", true)]);
        assert_eq!(reading.little, ["the", "of"]);
        assert_eq!(Reading::new("fox ").parts, [word("fox", false)]);
        assert_eq!(Reading::new("fox \"bo").parts, [word("fox", false), word("bo", true)]);
        assert_eq!(Reading::new("霓虹 \u{1F98A}").parts, [phrase(&["霓", "虹"]), word("\u{1F98A}", false)]);
        assert_eq!(Reading::new("the of").parts, [word("the", false), word("of", true)]);
        assert_eq!(Reading::new("ink fox_style").wholes, ["ink fox style", "fox style"]);
        assert_eq!(Reading::new("\"\" ,;!").parts, []);
    }
}

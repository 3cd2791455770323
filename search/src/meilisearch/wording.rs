//! From what was typed to what Meilisearch is asked for.

use crate::words::{
    analysis,
    reading::{Part, Reading},
};

/// How a part of what was typed is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it was typed.
    Typed,
    /// As it stands in the record without grammar: words by their stems, scripts without spaces character by character.
    Plain,
    /// Not at all: nothing has it.
    Left,
}

impl Form {
    const ALL: [Self; 3] = [Self::Typed, Self::Plain, Self::Left];
}

/// How what was typed is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wording {
    /// One for each part.
    pub(super) forms: Vec<Form>,
    /// Whether a LoRA must have all of it; otherwise the more of it the better.
    pub(super) all: bool,
}

impl Wording {
    /// All of it, as it was typed.
    pub(super) fn typed(reading: &Reading) -> Self {
        Self { forms: vec![Form::Typed; reading.parts.len()], all: true }
    }

    /// Whether nothing is asked for any more.
    pub(super) fn is_empty(&self) -> bool {
        self.forms.iter().all(|form| *form == Form::Left)
    }

    /// The text that asks for it. A space behind a word says that it is finished.
    pub(super) fn text(&self, reading: &Reading) -> String {
        let mut text = String::new();
        for (part, form) in reading.parts.iter().zip(&self.forms) {
            if *form != Form::Left {
                text.push_str(&written(part, *form));
            }
        }
        text
    }

    /// As part of a position.
    pub(super) fn write(&self) -> String {
        let digit = |form: &Form| Form::ALL.iter().position(|one| one == form).unwrap_or_default();
        let forms: String = self.forms.iter().map(|form| digit(form).to_string()).collect();
        format!("{}{forms}", if self.all { 'a' } else { 's' })
    }

    /// What [`Self::write`] wrote, if it fits what was typed.
    pub(super) fn read(text: &str, reading: &Reading) -> Option<Self> {
        let (all, forms) = text.split_at_checked(1)?;
        let form = |digit: char| Form::ALL.get(digit.to_digit(10)? as usize).copied();
        let forms: Vec<Form> = forms.chars().map(form).collect::<Option<_>>()?;
        (forms.len() == reading.parts.len()).then_some(Self { forms, all: all == "a" })
    }
}

/// The ways to ask for a part alone, with the text that does it.
pub(super) fn ways(part: &Part) -> Vec<(Form, String)> {
    let has_plain = match part {
        Part::Word { text, .. } => analysis::stem(text) != *text,
        Part::Phrase(words) => is_without_spaces(words),
    };
    let forms = if has_plain { &Form::ALL[..2] } else { &Form::ALL[..1] };
    forms.iter().map(|form| (*form, written(part, *form))).collect()
}

/// A word of a record without grammar. A character of a script without spaces stands there by its number: what the engine
/// makes of the character itself depends on the language that it takes a text for.
pub(super) fn plain(word: &str) -> String {
    if word.starts_with(analysis::stands_alone) {
        return word.chars().map(|character| format!("u{:x}", u32::from(character))).collect();
    }
    word.to_owned()
}

/// Whether each is a character of a script that puts no spaces between words.
fn is_without_spaces(words: &[String]) -> bool {
    words.iter().all(|word| word.starts_with(analysis::stands_alone))
}

fn written(part: &Part, form: Form) -> String {
    match part {
        Part::Word { text, .. } if form == Form::Plain => format!("{} ", analysis::stem(text)),
        Part::Word { text, unfinished: true } => text.clone(),
        Part::Word { text, unfinished: false } => format!("{text} "),
        // The engine parts such a script itself, if it has been built with a dictionary for it.
        Part::Phrase(words) if form == Form::Typed && is_without_spaces(words) => {
            format!("\"{}\" ", words.concat())
        }
        Part::Phrase(words) if form == Form::Plain => {
            let words: Vec<String> = words.iter().map(|word| plain(word)).collect();
            format!("\"{}\" ", words.join(" "))
        }
        Part::Phrase(words) => format!("\"{}\" ", words.join(" ")),
    }
}

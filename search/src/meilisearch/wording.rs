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
    /// By its stem: the engine knows no grammar.
    Stem,
    /// Not at all: nothing has it.
    Left,
}

impl Form {
    const ALL: [Self; 3] = [Self::Typed, Self::Stem, Self::Left];
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
    let stem = match part {
        Part::Word { text, .. } => analysis::stem(text) != *text,
        Part::Phrase(_) => false,
    };
    let forms = if stem { &Form::ALL[..2] } else { &Form::ALL[..1] };
    forms.iter().map(|form| (*form, written(part, *form))).collect()
}

fn written(part: &Part, form: Form) -> String {
    match part {
        Part::Word { text, .. } if form == Form::Stem => format!("{} ", analysis::stem(text)),
        Part::Word { text, unfinished: true } => text.clone(),
        Part::Word { text, unfinished: false } => format!("{text} "),
        // Characters of a script without spaces are parted by the engine itself.
        Part::Phrase(words) if words.iter().all(|word| word.starts_with(analysis::stands_alone)) => {
            format!("\"{}\" ", words.concat())
        }
        Part::Phrase(words) => format!("\"{}\" ", words.join(" ")),
    }
}

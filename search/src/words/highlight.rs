//! Marks what was looked for in what was found.

use std::{collections::HashSet, ops::Range};

use super::analysis;
use crate::{Highlight, HighlightField, LoraDocument};

/// Bytes of a long text that are shown, about.
const FRAGMENT: usize = 240;
/// Bytes that are shown before the first mark of a long text, about.
const LEAD: usize = 60;
/// Words of a text that are looked through.
const MOST_WORDS: usize = 4000;

/// Words that are marked in what was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) words: HashSet<String>,
    pub(crate) stems: HashSet<String>,
}

/// The texts of a LoRA in which words are marked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts<'a> {
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    pub(crate) trigger_words: &'a [String],
    pub(crate) tags: &'a [String],
    pub(crate) prompts: &'a [String],
    pub(crate) creator_name: &'a str,
    pub(crate) creator_handle: &'a str,
}

impl<'a> From<&'a LoraDocument> for Texts<'a> {
    fn from(lora: &'a LoraDocument) -> Self {
        Self {
            name: &lora.name,
            description: &lora.description,
            trigger_words: &lora.trigger_words,
            tags: &lora.tags,
            prompts: &lora.prompts,
            creator_name: &lora.creator_name,
            creator_handle: &lora.creator_handle,
        }
    }
}

/// Pieces of a LoRA's texts with the words marked; texts without any are left out.
pub(crate) fn highlights(lora: &LoraDocument, marks: &Marks) -> Vec<Highlight> {
    highlights_where(lora.into(), |_, _, text| marked(text, marks))
}

/// Pieces of a LoRA's texts with what `marked` says of each text: its field, which of the field's texts it is, and the
/// text. Texts of which it says nothing are left out.
pub(crate) fn highlights_where(
    texts: Texts<'_>,
    marked: impl Fn(HighlightField, usize, &str) -> Vec<Range<usize>>,
) -> Vec<Highlight> {
    let mut found = Vec::new();
    let mut add = |field, index, text: &str| {
        if let Some(html) = html(text, &marked(field, index, text)) {
            found.push(Highlight { field, html });
            return true;
        }
        false
    };
    add(HighlightField::Name, 0, texts.name);
    for (index, trigger) in texts.trigger_words.iter().enumerate() {
        add(HighlightField::TriggerWords, index, trigger);
    }
    for (index, tag) in texts.tags.iter().enumerate() {
        add(HighlightField::Tags, index, tag);
    }
    add(HighlightField::Description, 0, texts.description);
    add(HighlightField::Creator, 0, texts.creator_name);
    add(HighlightField::Creator, 1, texts.creator_handle);
    // One caption of a data set says it as well as twenty.
    for (index, prompt) in texts.prompts.iter().enumerate() {
        if add(HighlightField::Prompts, index, prompt) {
            break;
        }
    }
    found
}

/// Ranges in order of their beginnings, without those that begin within an earlier one.
pub(crate) fn apart(ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut end = 0;
    let mut begins_later = |range: &Range<usize>| {
        let later = range.start >= end;
        if later {
            end = range.end;
        }
        later
    };
    ranges.into_iter().filter(|range| begins_later(range)).collect()
}

/// The bytes of the marked words.
fn marked(text: &str, marks: &Marks) -> Vec<Range<usize>> {
    analysis::words(text, MOST_WORDS)
        .into_iter()
        .filter(|word| marks.words.contains(&word.text) || marks.stems.contains(&analysis::stem(&word.text)))
        .map(|word| word.bytes)
        .collect()
}

/// A text, or a piece of a long one, with what is marked in it; nothing where nothing is.
fn html(text: &str, marked: &[Range<usize>]) -> Option<String> {
    let shown = fragment(text, marked.first()?);
    let mut html = String::new();
    if shown.start > 0 {
        html.push('…');
    }
    let mut at = shown.start;
    for range in marked.iter().take_while(|range| range.end <= shown.end) {
        escape(&text[at..range.start], &mut html);
        html.push_str("<em>");
        escape(&text[range.clone()], &mut html);
        html.push_str("</em>");
        at = range.end;
    }
    escape(&text[at..shown.end], &mut html);
    if shown.end < text.len() {
        html.push('…');
    }
    Some(html)
}

/// The bytes around a mark, beginning and ending between words where there are spaces.
fn fragment(text: &str, mark: &Range<usize>) -> Range<usize> {
    if text.len() <= FRAGMENT {
        return 0..text.len();
    }
    let earliest = text.floor_char_boundary(mark.start.saturating_sub(LEAD));
    let start =
        if earliest == 0 { 0 } else { text[earliest..mark.start].find(' ').map_or(earliest, |s| earliest + s + 1) };
    let latest = text.floor_char_boundary((start + FRAGMENT).max(mark.end).min(text.len()));
    let end =
        if latest == text.len() { latest } else { text[mark.end..latest].rfind(' ').map_or(latest, |s| mark.end + s) };
    start..end
}

fn escape(text: &str, html: &mut String) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(word: &str) -> Marks {
        Marks { words: [word.to_owned()].into(), stems: [analysis::stem(word)].into() }
    }

    fn mark(text: &str, marks: &Marks) -> Option<String> {
        html(text, &marked(text, marks))
    }

    #[test]
    fn markup_in_a_text_stays_text() {
        let html = mark("<b>Fox</b> & \"foxes\"", &marks("fox"));
        assert_eq!(html.as_deref(), Some("&lt;b&gt;<em>Fox</em>&lt;/b&gt; &amp; &quot;<em>foxes</em>&quot;"));
        assert_eq!(mark("hound", &marks("fox")), None);
    }

    #[test]
    fn a_long_text_is_cut_around_the_first_mark() {
        let text = format!("{}fox {}", "été ".repeat(200), "überall ".repeat(200));
        let html = mark(&text, &marks("fox")).expect("a mark");
        assert!(html.starts_with("…été") && html.ends_with("überall…") && html.contains("<em>fox</em>"), "{html}");
        assert!(html.len() < 300);
    }
}

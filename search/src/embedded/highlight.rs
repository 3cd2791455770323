//! Marks what was looked for in what was found.

use std::ops::Range;

use super::{analysis, matching::Marks};
use crate::{Highlight, HighlightField, LoraDocument};

/// Bytes of a long text that are shown, about.
const FRAGMENT: usize = 240;
/// Bytes that are shown before the first mark of a long text, about.
const LEAD: usize = 60;
/// Words of a text that are looked through.
const MOST_WORDS: usize = 4000;

/// Pieces of a LoRA's texts with the words marked; texts without any are left out.
pub(super) fn highlights(lora: &LoraDocument, marks: &Marks) -> Vec<Highlight> {
    let mut found = Vec::new();
    let mut add = |field, text: &str| {
        if let Some(html) = mark(text, marks) {
            found.push(Highlight { field, html });
            return true;
        }
        false
    };
    add(HighlightField::Name, &lora.name);
    for trigger in &lora.trigger_words {
        add(HighlightField::TriggerWords, trigger);
    }
    for tag in &lora.tags {
        add(HighlightField::Tags, tag);
    }
    add(HighlightField::Description, &lora.description);
    add(HighlightField::Creator, &lora.creator_name);
    add(HighlightField::Creator, &lora.creator_handle);
    // One caption of a data set says it as well as twenty.
    for prompt in &lora.prompts {
        if add(HighlightField::Prompts, prompt) {
            break;
        }
    }
    found
}

fn mark(text: &str, marks: &Marks) -> Option<String> {
    let marked: Vec<Range<usize>> = analysis::words(text, MOST_WORDS)
        .into_iter()
        .filter(|word| marks.words.contains(&word.text) || marks.stems.contains(&analysis::stem(&word.text)))
        .map(|word| word.bytes)
        .collect();
    let shown = fragment(text, marked.first()?);
    let mut html = String::new();
    if shown.start > 0 {
        html.push('…');
    }
    let mut at = shown.start;
    for range in marked.into_iter().take_while(|range| range.end <= shown.end) {
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

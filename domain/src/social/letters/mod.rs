//! The mails that tell people of things, as text and as HTML. Whatever people wrote is escaped by the templates.

use std::sync::LazyLock;

use atelier_entities::kinds::NotificationKind;
use minijinja::{AutoEscape, Environment, context};
use serde::Serialize;

use crate::ports::mailer::Letter;

/// Characters of the longest subject line.
const LONGEST_SUBJECT: usize = 120;

/// Characters of a comment that are quoted; the comment itself holds all.
const LONGEST_QUOTE: usize = 1_000;

/// The templates. Those of HTML are named so, which makes minijinja escape what is put into them.
const TEMPLATES: [(&str, &str); 5] = [
    ("frame.html", include_str!("frame.html")),
    ("notification.txt", include_str!("notification.txt")),
    ("notification.html", include_str!("notification.html")),
    ("digest.txt", include_str!("digest.txt")),
    ("digest.html", include_str!("digest.html")),
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(
        |name| {
            if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
        },
    );
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_keep_trailing_newline(true);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).expect("invariant: the templates are read by a test");
    }
    environment
});

/// What mails about a kind of thing are about, as in "mails about …".
pub(super) fn subject_matter(kind: NotificationKind) -> &'static str {
    match kind {
        NotificationKind::LoraPublished => "new LoRAs of people you follow",
        NotificationKind::LoraVersionPublished => "new versions of people you follow",
        NotificationKind::LoraRated => "ratings of your LoRAs",
        NotificationKind::LoraCommented => "comments on your LoRAs",
        NotificationKind::CommentReplied => "answers to your comments",
        NotificationKind::Mentioned => "comments that mention you",
        NotificationKind::NewFollower => "people who follow you",
        NotificationKind::JobFinished => "the end of your jobs",
        NotificationKind::ReviewAsked => "reviews that you are asked for",
        NotificationKind::ContentHidden => "things of yours that the moderators hide",
        NotificationKind::ContentRestored => "things of yours that the moderators show again",
    }
}

/// Where the mails of a kind are ended, and all of them.
pub(super) struct Endings {
    /// Mails like this one.
    pub(super) this: String,
    /// All mails that tell of something.
    pub(super) all: String,
}

/// A mail that tells one person of one thing.
pub(super) struct NotificationLetter<'a> {
    pub(super) to: &'a str,
    pub(super) name: &'a str,
    pub(super) kind: NotificationKind,
    pub(super) message: &'a str,
    /// The comment that it is about.
    pub(super) quote: Option<&'a str>,
    pub(super) endings: Endings,
}

impl NotificationLetter<'_> {
    /// The letter.
    pub(super) fn write(self) -> anyhow::Result<Letter> {
        let subject = one_line(self.message);
        let values = context! {
            subject,
            name => self.name,
            message => one_line(self.message),
            quote => self.quote.map(|quote| lines(&shortened(quote, LONGEST_QUOTE))),
            about => subject_matter(self.kind),
            unsubscribe => self.endings.this,
            unsubscribe_all => self.endings.all,
        };
        letter("notification", self.to, shortened(&subject, LONGEST_SUBJECT), &values, self.endings.this)
    }
}

/// What a digest says of one kind of thing.
#[derive(Debug, Serialize)]
pub(super) struct DigestPart {
    /// What it is about.
    pub(super) about: &'static str,
    /// Sentences, oldest first.
    pub(super) messages: Vec<String>,
}

/// A mail with everything that happened on a day.
pub(super) struct DigestLetter<'a> {
    pub(super) to: &'a str,
    pub(super) name: &'a str,
    pub(super) parts: Vec<DigestPart>,
    /// How many things it tells of.
    pub(super) count: u64,
    /// How many more there are than it shows.
    pub(super) more: u64,
    pub(super) endings: Endings,
}

impl DigestLetter<'_> {
    /// The letter.
    pub(super) fn write(self) -> anyhow::Result<Letter> {
        let subject = match self.count {
            1 => "One thing happened on Atelier".to_owned(),
            count => format!("{count} things happened on Atelier"),
        };
        let values = context! {
            subject,
            name => self.name,
            parts => self.parts,
            more => self.more,
            unsubscribe => self.endings.this,
            unsubscribe_all => self.endings.all,
        };
        letter("digest", self.to, subject, &values, self.endings.this)
    }
}

fn letter(
    template: &str,
    to: &str,
    subject: String,
    values: &minijinja::Value,
    unsubscribe: String,
) -> anyhow::Result<Letter> {
    let text = ENVIRONMENT.get_template(&format!("{template}.txt"))?.render(values)?;
    let html = ENVIRONMENT.get_template(&format!("{template}.html"))?.render(values)?;
    Ok(Letter { recipient: to.to_owned(), subject, text, html, unsubscribe: Some(unsubscribe) })
}

/// A sentence without line breaks: names of LoRAs may hold some.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endings() -> Endings {
        let link = |from: &str| format!("http://atelier.test/unsubscribe?user=user_1&from={from}&signature=s");
        Endings { this: link("mentioned"), all: link("all") }
    }

    #[test]
    fn a_notification_reads_well_and_nothing_that_people_wrote_becomes_markup() {
        let letter = NotificationLetter {
            to: "ada@atelier.test",
            name: "Ada <b>",
            kind: NotificationKind::Mentioned,
            message: "Bob mentioned you in a comment on “Ink\n<wash>”.",
            quote: Some("@ada, see <script>alert(1)</script> & \"this\".\n\nIs 1 > 0?"),
            endings: endings(),
        };
        let letter = letter.write().expect("a letter");
        assert_eq!(letter.subject, "Bob mentioned you in a comment on “Ink <wash>”.");
        insta::assert_snapshot!("notification_text", letter.text);
        insta::assert_snapshot!("notification_html", letter.html);
    }

    #[test]
    fn a_digest_reads_well() {
        let part = |about, messages: &[&str]| DigestPart {
            about,
            messages: messages.iter().map(|message| (*message).to_owned()).collect(),
        };
        let letter = DigestLetter {
            to: "ada@atelier.test",
            name: "Ada",
            parts: vec![
                part("new LoRAs of people you follow", &["Bob published “Ink & wash”."]),
                part("ratings of your LoRAs", &["Cyd gave “<Etching>” 5 stars.", "Dan gave “<Etching>” 1 star."]),
            ],
            count: 5,
            more: 2,
            endings: endings(),
        };
        let letter = letter.write().expect("a letter");
        assert_eq!(letter.subject, "5 things happened on Atelier");
        insta::assert_snapshot!("digest_text", letter.text);
        insta::assert_snapshot!("digest_html", letter.html);
    }
}

//! The mails about accounts and teams, as text and as HTML.

use crate::ports::mailer::Letter;

/// A mail of a few sentences and perhaps a link.
pub(crate) struct Draft<'a> {
    /// Address.
    pub(crate) to: &'a str,
    /// Subject line.
    pub(crate) subject: String,
    /// Paragraphs before the link.
    pub(crate) paragraphs: Vec<String>,
    /// What the link does, and where it leads.
    pub(crate) link: Option<(&'static str, String)>,
    /// The last paragraph.
    pub(crate) closing: String,
}

impl Draft<'_> {
    /// The letter.
    pub(crate) fn write(self) -> Letter {
        let mut text = self.paragraphs.join("\n\n");
        let mut html: String =
            self.paragraphs.iter().map(|paragraph| format!("<p>{}</p>", escape(paragraph))).collect();
        if let Some((label, url)) = &self.link {
            text.push_str(&format!("\n\n{label}:\n{url}"));
            let url = escape(url);
            html.push_str(&format!("<p><a href=\"{url}\">{label}</a></p><p><small>{url}</small></p>"));
        }
        text.push_str(&format!("\n\n{}\n", self.closing));
        html.push_str(&format!("<p>{}</p>", escape(&self.closing)));
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title></head>\
             <body style=\"font-family: sans-serif; max-width: 36em\">{html}</body></html>",
            escape(&self.subject),
        );
        Letter { recipient: self.to.to_owned(), subject: self.subject, text, html, unsubscribe: None }
    }
}

/// The address of a page with a token. It stands after the `#`, which browsers send to no server.
pub(crate) fn link(public_url: &str, page: &str, token: &str) -> String {
    format!("{public_url}/{page}#token={token}")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

//! Mails that the service sent: files in its outbox.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail};
use mail_parser::MessageParser;
use tokio::time::{Instant, sleep};

/// How long a mail may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// What stands before the token in a mail's link.
const MARK: &str = "#token=";

/// Waits for the mail to an address, and gives the token of the link in it.
///
/// # Errors
/// When the outbox cannot be read, or no mail with a link comes.
pub async fn link_token(outbox: &Path, email: &str) -> anyhow::Result<String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(token) = look(outbox, email).await? {
            return Ok(token);
        }
        sleep(PAUSE).await;
    }
    bail!("No mail with a link came to {email} within {} seconds. Start the demo again.", PATIENCE.as_secs())
}

/// Looks through the mails that are there.
async fn look(outbox: &Path, email: &str) -> anyhow::Result<Option<String>> {
    let failed = || format!("The outbox `{}` cannot be read.", outbox.display());
    let mut files = tokio::fs::read_dir(outbox).await.with_context(failed)?;
    while let Some(file) = files.next_entry().await.with_context(failed)? {
        let path = file.path();
        if path.extension().is_some_and(|ending| ending == "eml") {
            let mail = tokio::fs::read(&path).await.with_context(failed)?;
            if let Some(token) = token_in(&mail, email) {
                return Ok(Some(token));
            }
        }
    }
    Ok(None)
}

/// The token in a mail to an address. Of a mail that is still being written nothing is taken: text follows the token.
fn token_in(mail: &[u8], email: &str) -> Option<String> {
    let mail = MessageParser::default().parse(mail)?;
    if !mail.to()?.contains(email) {
        return None;
    }
    let text = mail.body_text(0)?;
    let (_, rest) = text.split_once(MARK)?;
    let (token, _) = rest.split_once(char::is_whitespace)?;
    (!token.is_empty()).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(encoding: &str, text: &str) -> Vec<u8> {
        format!(
            "From: Atelier <atelier@localhost>\r\nTo: creator@example.org\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/alternative; boundary=\"b\"\r\n\r\n\
             --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{text}\r\n\
             --b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>no</p>\r\n--b--\r\n"
        )
        .into_bytes()
    }

    #[test]
    fn a_token_is_found_however_the_body_is_written() {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let link = "Confirm:\r\nhttp://127.0.0.1:9/verify-email#token=Ab_9-x\r\n\r\nThe link works once – today.\r\n";
        let quoted = "Confirm:\r\nhttp://127.0.0.1:9/verify-email#tok=\r\nen=3DAb_9-x\r\n\r\nThe link works once.\r\n";
        for mail in [mail("8bit", link), mail("base64", &STANDARD.encode(link)), mail("quoted-printable", quoted)] {
            assert_eq!(token_in(&mail, "creator@example.org").as_deref(), Some("Ab_9-x"));
            assert_eq!(token_in(&mail, "follower@example.org"), None);
        }
        assert_eq!(token_in(b"", "creator@example.org"), None);
    }
}

//! Mail leaves the house here: by SMTP, or as files into a directory.

use std::path::PathBuf;

use anyhow::Context as _;
use async_trait::async_trait;
use lettre::{
    AsyncFileTransport, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};

/// A mail to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Address.
    pub recipient: String,
    /// Subject line.
    pub subject: String,
    /// Body as text.
    pub text: String,
    /// Body as HTML.
    pub html: String,
    /// Where a POST without a sign-in ends the mails of this kind (RFC 8058); none for mails that people asked for.
    pub unsubscribe: Option<String>,
}

/// Sends mail.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends one letter.
    ///
    /// # Errors
    /// When the letter could not be handed over; it is tried again later.
    async fn send(&self, letter: &Letter) -> anyhow::Result<()>;
}

/// Sends over SMTP.
#[derive(Debug)]
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl SmtpMailer {
    /// A mailer for `smtp://user:password@host:port` or `smtps://…`.
    ///
    /// # Errors
    /// When the address or the sender cannot be read.
    pub fn new(url: &str, from: &str) -> anyhow::Result<Self> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .context("The SMTP address is not understood. Use smtps://USER:PASSWORD@HOST:PORT.")?
            .build();
        Ok(Self { transport, from: sender(from)? })
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, letter: &Letter) -> anyhow::Result<()> {
        self.transport.send(compose(&self.from, letter)?).await?;
        Ok(())
    }
}

/// Writes each letter as an `.eml` file.
#[derive(Debug)]
pub struct FileMailer {
    transport: AsyncFileTransport<Tokio1Executor>,
    from: Mailbox,
}

impl FileMailer {
    /// A mailer into a directory, which is made if it is missing.
    ///
    /// # Errors
    /// When the directory cannot be made or the sender cannot be read.
    pub fn new(directory: PathBuf, from: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("The outbox `{}` cannot be made.", directory.display()))?;
        Ok(Self { transport: AsyncFileTransport::new(directory), from: sender(from)? })
    }
}

#[async_trait]
impl Mailer for FileMailer {
    async fn send(&self, letter: &Letter) -> anyhow::Result<()> {
        self.transport.send(compose(&self.from, letter)?).await?;
        Ok(())
    }
}

fn sender(from: &str) -> anyhow::Result<Mailbox> {
    from.parse().with_context(|| format!("`{from}` is no mail address. Set the sender to `Name <name@host>`."))
}

fn compose(from: &Mailbox, letter: &Letter) -> anyhow::Result<Message> {
    let to = letter.recipient.parse().with_context(|| format!("`{}` is no mail address.", letter.recipient))?;
    let body = MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone());
    let mut message = Message::builder().from(from.clone()).to(to).subject(&letter.subject);
    if let Some(url) = &letter.unsubscribe {
        let url = format!("<{url}>");
        // As it is: a link is ASCII without spaces, and whoever folded it would break it.
        let list = HeaderName::new_from_ascii_str("List-Unsubscribe");
        message = message.raw_header(HeaderValue::dangerous_new_pre_encoded(list, url.clone(), url));
        let post = HeaderName::new_from_ascii_str("List-Unsubscribe-Post");
        message = message.raw_header(HeaderValue::new(post, "List-Unsubscribe=One-Click".to_owned()));
    }
    Ok(message.multipart(body)?)
}

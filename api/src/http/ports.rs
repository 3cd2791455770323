//! What the edge asks of the rest of the service, as traits: it knows no database and no use-case.

use std::{any::Any, collections::HashMap, io, ops::Range, sync::Arc, time::Duration};

use async_graphql::Request;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

/// Bytes as they come in or go out, piece by piece.
pub type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// The query string of a link, decoded. Where a name comes twice, the last one counts.
pub type LinkQuery = HashMap<String, String>;

/// Tells who a bearer token belongs to.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Checks a token, given without its `Bearer`.
    ///
    /// # Errors
    /// [`AuthenticationError`].
    async fn authenticate(&self, token: &str) -> Result<Session, AuthenticationError>;
}

/// Why a token opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// It is forged, has expired or was meant for somebody else. The sentence is shown.
    #[error("{0}")]
    Refused(String),
    /// What nobody expected.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

/// Somebody who is signed in.
#[derive(Clone)]
pub struct Session {
    key: String,
    life: Option<Duration>,
    data: Arc<dyn Any + Send + Sync>,
    attach: Arc<dyn Fn(Request) -> Request + Send + Sync>,
}

impl Session {
    /// A session under a key that stays the same between requests (rate limits are kept under it). `data` lies in the
    /// context of every resolver under its type.
    pub fn new<T: Any + Clone + Send + Sync>(key: impl Into<String>, data: T) -> Self {
        let shared: Arc<dyn Any + Send + Sync> = Arc::new(data.clone());
        Self { key: key.into(), life: None, data: shared, attach: Arc::new(move |request| request.data(data.clone())) }
    }

    /// Says how long the token is still good. Subscriptions end then, and their clients come back with a fresh token.
    #[must_use]
    pub fn living(mut self, life: Duration) -> Self {
        self.life = Some(life);
        self
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How long the token was still good when it was checked.
    pub fn life(&self) -> Option<Duration> {
        self.life
    }

    /// The session's data, if it is of this type.
    pub fn data<T: Any>(&self) -> Option<&T> {
        self.data.downcast_ref()
    }

    /// Puts the session's data into a request.
    pub fn attach(&self, request: Request) -> Request {
        (self.attach)(request)
    }
}

/// Why a file does not move.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The link is not ours, has expired or leads nowhere: 404.
    #[error("{0}")]
    NotFound(String),
    /// The bytes do not follow those that are here, or nothing more can come: 409, with the offset to go on at.
    #[error("{message}")]
    Conflict {
        /// What is wrong and what to do.
        message: String,
        /// Where to go on, in bytes.
        received: Option<u64>,
    },
    /// More bytes than were announced: 413.
    #[error("{0}")]
    TooLarge(String),
    /// The request's headers make no sense: 400.
    #[error("{0}")]
    Invalid(String),
    /// There is no room: 507.
    #[error("{0}")]
    Full(String),
    /// What nobody expected.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

/// How much of an upload is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadProgress {
    /// Bytes that are here for good.
    pub received: u64,
    /// Bytes that were announced.
    pub size: u64,
}

/// Takes files in.
#[async_trait]
pub trait UploadSink: Send + Sync + 'static {
    /// How much of an upload is here. `link` is the query of its link, which the sink checks.
    ///
    /// # Errors
    /// [`TransferError`].
    async fn progress(&self, id: &str, link: &LinkQuery) -> Result<UploadProgress, TransferError>;

    /// Takes bytes in from an offset on. What has come before a failure is kept.
    ///
    /// # Errors
    /// [`TransferError`].
    async fn receive(
        &self,
        id: &str,
        link: &LinkQuery,
        offset: u64,
        pieces: Pieces,
    ) -> Result<UploadProgress, TransferError>;
}

/// A stored file that a link opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256 in hex; its name for caches too.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// Media type.
    pub media_type: String,
    /// Name to save it under.
    pub file_name: Option<String>,
    /// How long the link is still good.
    pub link_life: Option<Duration>,
}

/// Gives files out.
#[async_trait]
pub trait BlobSource: Send + Sync + 'static {
    /// Opens a link: `/blobs/{sha256}/{file name}?{link}`.
    ///
    /// # Errors
    /// [`TransferError`].
    async fn open(&self, sha256: &str, file_name: Option<&str>, link: &LinkQuery) -> Result<Blob, TransferError>;

    /// The bytes of a blob in a range.
    ///
    /// # Errors
    /// [`TransferError`].
    async fn read(&self, blob: &Blob, range: Range<u64>) -> Result<Pieces, TransferError>;
}

/// Ends mails by the links that stand in them.
#[async_trait]
pub trait MailEndings: Send + Sync + 'static {
    /// What a link ends, as in "you get …". It changes nothing.
    ///
    /// # Errors
    /// [`TransferError::NotFound`] for a link that is not ours.
    async fn look(&self, link: &LinkQuery) -> Result<String, TransferError>;

    /// Ends it, and says what; once more, it is as once.
    ///
    /// # Errors
    /// As [`MailEndings::look`].
    async fn end(&self, link: &LinkQuery) -> Result<String, TransferError>;
}

/// Says whether the service can do its work.
#[async_trait]
pub trait Readiness: Send + Sync + 'static {
    /// A sentence for each thing that is missing; none when all is well.
    async fn missing(&self) -> Vec<String>;
}

//! Uploads over HTTP: the edge's [`UploadSink`] on the domain's uploads.

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::{
    context::Context as House,
    entities::{kinds::UploadState, upload::Model},
    error::{DISK_FULL, Failure, ReadError, Refused, Report, is_disk_full},
    upload::{self, ReceiveError},
};

use crate::http::ports::{LinkQuery, Pieces, TransferError, UploadProgress, UploadSink};

/// Takes files in for a house.
pub struct Uploads {
    house: Arc<House>,
}

impl Uploads {
    /// Uploads of this house.
    pub fn new(house: Arc<House>) -> Self {
        Self { house }
    }

    async fn open(&self, id: &str, link: &LinkQuery) -> Result<Model, TransferError> {
        let missing = || TransferError::NotFound(Refused::NotFound("upload").to_string());
        let expires = link.get("expires").and_then(|text| text.parse().ok()).ok_or_else(missing)?;
        let signature = link.get("signature").ok_or_else(missing)?;
        upload::open_link(&self.house, id, expires, signature).await.map_err(refusal::<ReadError>)
    }
}

#[async_trait]
impl UploadSink for Uploads {
    async fn progress(&self, id: &str, link: &LinkQuery) -> Result<UploadProgress, TransferError> {
        Ok(progress(&self.open(id, link).await?))
    }

    async fn receive(
        &self,
        id: &str,
        link: &LinkQuery,
        offset: u64,
        pieces: Pieces,
    ) -> Result<UploadProgress, TransferError> {
        let row = self.open(id, link).await?;
        let house = Arc::clone(&self.house);
        // A task of its own: whoever hangs up half-way must not stop the recording of what came, or the check.
        let task = tokio::spawn(async move { receive(&house, &row, offset, pieces).await });
        Ok(progress(&task.await.map_err(anyhow::Error::from)??))
    }
}

/// Takes bytes in and, with the last one, checks the file. Sending the end again is no mistake: the first answer may have
/// been lost.
async fn receive(house: &House, row: &Model, offset: u64, pieces: Pieces) -> Result<Model, TransferError> {
    let offset = i64::try_from(offset).map_err(|_| TransferError::Invalid("The offset is no offset.".to_owned()))?;
    let is_again = row.state != UploadState::Receiving && offset == row.size;
    if !is_again {
        let received = upload::receive(house, row.id, offset, pieces).await.map_err(|error| transfer(row, error))?;
        if received.state == UploadState::Receiving {
            return Ok(received);
        }
    }
    upload::finish(house, row.id).await.map_err(refusal)
}

fn progress(row: &Model) -> UploadProgress {
    UploadProgress { received: row.received.unsigned_abs(), size: row.size.unsigned_abs() }
}

fn transfer(row: &Model, error: ReceiveError) -> TransferError {
    let message = error.to_string();
    let conflict = |received: Option<i64>| TransferError::Conflict {
        message: message.clone(),
        received: received.map(i64::unsigned_abs),
    };
    match error {
        ReceiveError::WrongOffset { received, .. } | ReceiveError::Interrupted { received } => conflict(Some(received)),
        ReceiveError::Complete => conflict(Some(row.size)),
        ReceiveError::Busy => conflict(None),
        ReceiveError::TooMany { .. } => TransferError::TooLarge(message),
        ReceiveError::DiskFull => TransferError::Full(message),
        error @ (ReceiveError::Invalid(_) | ReceiveError::Refused(_) | ReceiveError::Unexpected(_)) => refusal(error),
    }
}

fn refusal<F: Failure>(failure: F) -> TransferError {
    match failure.report() {
        Report::User(invalid) => TransferError::Invalid(invalid.message),
        Report::Refused(refused) => TransferError::NotFound(refused.to_string()),
        Report::Unexpected(error) if is_disk_full(&error) => {
            tracing::error!(error = format!("{error:#}"), "an upload found the disk full");
            TransferError::Full(DISK_FULL.to_owned())
        }
        Report::Unexpected(error) => TransferError::Unexpected(error),
    }
}

//! Stored files over HTTP: the edge's [`BlobSource`] on the domain's blobs.

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use atelier_domain::{
    blob::{self, LinkError},
    context::Context as House,
    error::Refused,
};
use futures::StreamExt as _;

use crate::http::ports::{Blob, BlobSource, LinkQuery, Pieces, TransferError};

/// Gives the files of a house out.
pub struct Blobs {
    house: Arc<House>,
}

impl Blobs {
    /// Files of this house.
    pub fn new(house: Arc<House>) -> Self {
        Self { house }
    }
}

#[async_trait]
impl BlobSource for Blobs {
    async fn open(&self, sha256: &str, file_name: Option<&str>, link: &LinkQuery) -> Result<Blob, TransferError> {
        let missing = || TransferError::NotFound(Refused::NotFound("file").to_string());
        let expires: i64 = link.get("expires").and_then(|text| text.parse().ok()).ok_or_else(missing)?;
        let signature = link.get("signature").ok_or_else(missing)?;
        let name = file_name.ok_or_else(missing)?;
        let row =
            blob::open_link(&self.house, sha256, name, expires, signature).await.map_err(|error| match error {
                LinkError::Refused(refused) => TransferError::NotFound(refused.to_string()),
                LinkError::Database(error) => TransferError::Unexpected(error.into()),
            })?;
        let life = u64::try_from(expires - self.house.now().timestamp()).unwrap_or_default();
        Ok(Blob {
            sha256: row.sha256,
            size: row.size.unsigned_abs(),
            media_type: row.media_type,
            file_name: Some(name.to_owned()),
            link_life: Some(Duration::from_secs(life)),
        })
    }

    async fn read(&self, blob: &Blob, range: Range<u64>) -> Result<Pieces, TransferError> {
        Ok(self.house.blobs.stream(&blob.sha256, range).await?.boxed())
    }
}

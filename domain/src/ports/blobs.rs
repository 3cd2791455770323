//! Blobs: immutable bytes under the name of their SHA-256, on disk or in S3.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use opendal::{ErrorKind, Operator, services};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::tls;

#[cfg(test)]
mod tests;

/// How much of a file is held in memory at once.
const PIECE: usize = 256 * 1024;

/// Where blobs are kept.
#[derive(Clone, Debug)]
pub enum BlobSettings {
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket of S3 or something that speaks its protocol.
    S3 {
        /// Bucket.
        bucket: String,
        /// Region.
        region: String,
        /// Address of a service that is not Amazon's.
        endpoint: Option<String>,
        /// Key id; none takes what the environment of the process offers.
        access_key_id: Option<String>,
        /// Secret key.
        secret_access_key: Option<String>,
    },
}

/// A blob that lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name: SHA-256 in hex.
    pub sha256: String,
    /// Bytes.
    pub size: i64,
    /// Media type.
    pub media_type: &'static str,
}

/// The store.
#[derive(Clone, Debug)]
pub struct Blobs {
    operator: Operator,
}

impl Blobs {
    /// Opens the store.
    ///
    /// # Errors
    /// When the folder cannot be made or the settings are incomplete.
    pub fn open(settings: &BlobSettings) -> anyhow::Result<Self> {
        let operator = match settings {
            BlobSettings::Folder(folder) => {
                let root = folder.to_str().context("The data directory's path is not UTF-8. Choose another.")?;
                let aside = folder.join(".writing");
                std::fs::create_dir_all(&aside).with_context(|| {
                    format!("The folder `{}` cannot be made. Check who may write there.", aside.display())
                })?;
                let aside = aside.to_str().context("The data directory's path is not UTF-8. Choose another.")?;
                Operator::new(services::Fs::default().root(root).atomic_write_dir(aside))?
            }
            BlobSettings::S3 { bucket, region, endpoint, access_key_id, secret_access_key } => {
                let mut service = services::S3::default().bucket(bucket).region(region);
                if let Some(endpoint) = endpoint {
                    service = service.endpoint(endpoint);
                }
                if let Some(id) = access_key_id {
                    service = service.access_key_id(id);
                }
                if let Some(secret) = secret_access_key {
                    service = service.secret_access_key(secret);
                }
                tls::use_ring();
                opendal_http_transport_reqwest::install_default();
                Operator::new(service)?
            }
        };
        Ok(Self { operator })
    }

    /// Where a blob lies: two levels of folders keep each of them small.
    fn path(sha256: &str) -> String {
        format!("sha256/{}/{}/{sha256}", &sha256[..2], &sha256[2..4])
    }

    /// Stores bytes. The same bytes are stored once.
    ///
    /// # Errors
    /// When the store cannot be written, such as on a full disk.
    pub async fn put(&self, bytes: impl Into<Bytes>, media_type: &'static str) -> anyhow::Result<Stored> {
        let bytes: Bytes = bytes.into();
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let size = i64::try_from(bytes.len())?;
        if !self.holds(&sha256).await? {
            self.operator.write(&Self::path(&sha256), bytes).await.context("A file could not be stored.")?;
        }
        Ok(Stored { sha256, size, media_type })
    }

    /// Stores a file, piece by piece.
    ///
    /// # Errors
    /// As [`Self::put`], and when the file cannot be read.
    pub async fn put_file(&self, file: &Path, media_type: &'static str) -> anyhow::Result<Stored> {
        let (sha256, size) = hash_file(file).await?;
        if !self.holds(&sha256).await? {
            let mut source = tokio::fs::File::open(file).await?;
            let mut writer = self.operator.writer(&Self::path(&sha256)).await?;
            loop {
                let mut piece = vec![0; PIECE];
                let read = source.read(&mut piece).await?;
                if read == 0 {
                    break;
                }
                piece.truncate(read);
                writer.write(piece).await.context("A file could not be stored.")?;
            }
            writer.close().await.context("A file could not be stored.")?;
        }
        Ok(Stored { sha256, size, media_type })
    }

    /// Whether the store holds a blob.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn holds(&self, sha256: &str) -> anyhow::Result<bool> {
        match self.operator.stat(&Self::path(sha256)).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).context("The file store cannot be reached."),
        }
    }

    /// A blob's bytes.
    ///
    /// # Errors
    /// When it is missing or cannot be read.
    pub async fn read(&self, sha256: &str) -> anyhow::Result<Vec<u8>> {
        Ok(self
            .operator
            .read(&Self::path(sha256))
            .await
            .with_context(|| format!("Blob {sha256} cannot be read."))?
            .to_vec())
    }

    /// A part of a blob as a stream.
    ///
    /// # Errors
    /// When it is missing or cannot be read.
    pub async fn stream(
        &self,
        sha256: &str,
        range: std::ops::Range<u64>,
    ) -> anyhow::Result<impl Stream<Item = std::io::Result<Bytes>> + Send + use<>> {
        let reader = self.operator.reader_with(&Self::path(sha256)).chunk(PIECE).await?;
        Ok(reader.into_bytes_stream(range).await?.map_err(std::io::Error::other).boxed())
    }

    /// Copies a blob into a file, for those who need a path.
    ///
    /// # Errors
    /// When the blob is missing or the file cannot be written.
    pub async fn copy_to(&self, sha256: &str, file: &Path) -> anyhow::Result<()> {
        let size = self.operator.stat(&Self::path(sha256)).await?.content_length();
        let mut pieces = self.stream(sha256, 0..size).await?;
        let mut out = tokio::fs::File::create(file).await?;
        while let Some(piece) = pieces.try_next().await? {
            out.write_all(&piece).await?;
        }
        out.flush().await?;
        Ok(())
    }

    /// Checks that the store answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn check(&self) -> anyhow::Result<()> {
        self.operator.list("").await.context("The file store cannot be reached.").map(|_| ())
    }
}

/// SHA-256 and size of a file.
async fn hash_file(file: &Path) -> anyhow::Result<(String, i64)> {
    let mut source =
        tokio::fs::File::open(file).await.with_context(|| format!("`{}` cannot be read.", file.display()))?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut piece = vec![0; PIECE];
    loop {
        let read = source.read(&mut piece).await?;
        if read == 0 {
            return Ok((hex::encode(hash.finalize()), size));
        }
        hash.update(&piece[..read]);
        size += i64::try_from(read)?;
    }
}

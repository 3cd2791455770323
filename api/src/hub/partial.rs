//! A file that grows: it has its name only when it is whole and right.

use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tokio::{
    fs::{self, File},
    io::{AsyncSeekExt as _, AsyncWriteExt as _, BufWriter},
};

use super::{
    digest::{Digest, Digester},
    model_info::RemoteFile,
    progress::Progress,
};

/// Bytes that wait to be written. Little, so that little is lost when the program is ended.
const BUFFER: usize = 64 << 10;

/// What was fetched of a file so far.
#[derive(Debug)]
pub struct Partial {
    file: BufWriter<File>,
    place: PathBuf,
    target: PathBuf,
    size: u64,
    length: u64,
    digester: Digester,
}

impl Partial {
    /// Goes on with what is there; begins, where there is nothing.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn open(target: &Path, remote: &RemoteFile, progress: &Progress) -> anyhow::Result<Self> {
        let place = partial_of(target);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).await.with_context(|| unwritable(folder))?;
        }
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&place)
            .await
            .with_context(|| unwritable(&place))?;
        let mut digester = Digester::new(remote.size);
        let there = file.metadata().await?.len();
        let length = if there > remote.size {
            // Whatever it is, it is not a part of this file.
            file.set_len(0).await.with_context(|| unwritable(&place))?;
            0
        } else {
            digester.read(&mut file, |bytes| progress.forward(bytes)).await.with_context(|| unwritable(&place))?
        };
        file.seek(io::SeekFrom::Start(length)).await?;
        let file = BufWriter::with_capacity(BUFFER, file);
        Ok(Self { file, place, target: target.to_owned(), size: remote.size, length, digester })
    }

    /// How many bytes are there.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether as many bytes are there as the file has.
    pub fn is_whole(&self) -> bool {
        self.length == self.size
    }

    /// The version of the file that the bytes are of, as its server named it.
    pub async fn etag(&self) -> Option<String> {
        fs::read_to_string(self.etag_place()).await.ok().filter(|etag| !etag.is_empty())
    }

    /// Remembers the version.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn remember_etag(&self, etag: Option<&str>) -> anyhow::Result<()> {
        let place = self.etag_place();
        match etag {
            Some(etag) => fs::write(&place, etag).await.with_context(|| unwritable(&place)),
            None => remove(&place).await,
        }
    }

    /// Adds the next bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).await.with_context(|| unwritable(&self.place))?;
        self.digester.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Writes what still waits.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn flush(&mut self) -> anyhow::Result<()> {
        self.file.flush().await.with_context(|| unwritable(&self.place))
    }

    /// Forgets every byte, and gives how many they were.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn start_over(&mut self) -> anyhow::Result<u64> {
        self.flush().await?;
        self.file.rewind().await?;
        self.file.get_mut().set_len(0).await.with_context(|| unwritable(&self.place))?;
        self.digester = Digester::new(self.size);
        Ok(std::mem::take(&mut self.length))
    }

    /// The hashes of what is there.
    pub fn digest(&self) -> Digest {
        self.digester.clone().finish()
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// When the disk is full.
    pub async fn keep(mut self) -> anyhow::Result<()> {
        self.flush().await?;
        // A name must never stand for bytes that a power cut has lost.
        self.file.get_mut().sync_all().await.with_context(|| unwritable(&self.place))?;
        fs::rename(&self.place, &self.target).await.with_context(|| unwritable(&self.target))?;
        remove(&self.etag_place()).await
    }

    /// Deletes it.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub async fn discard(self) -> anyhow::Result<()> {
        remove(&self.etag_place()).await?;
        remove(&self.place).await
    }

    fn etag_place(&self) -> PathBuf {
        with_ending(&self.place, ".etag")
    }
}

/// Where a file grows.
pub fn partial_of(target: &Path) -> PathBuf {
    with_ending(target, ".partial")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

/// Deletes a file if it is there.
async fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).with_context(|| unwritable(path)),
        _ => Ok(()),
    }
}

/// What is said of a place that cannot be used.
pub fn unwritable(path: &Path) -> String {
    format!("`{}` cannot be written. Check who may write there and that the disk has room.", path.display())
}

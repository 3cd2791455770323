//! The folder of the index: opening it, and moving aside what cannot be used.
//!
//! ```text
//! lock         held by the process that uses the folder
//! current      number of the index that is searched
//! index-1/     an engine's files, with `format`, the number of their layout; a rebuild makes the next one
//! aside-1/     files that could not be used, kept for whoever wants to look
//! incomplete   stands there while the index may lack documents
//! synonyms.txt words that mean the same
//! ```

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tantivy::{Index, TantivyError, directory::error::OpenDirectoryError};

use super::schema::{FORMAT, Fields};
use crate::{SearchError, words::analysis};

/// The folder of the index.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    folder: PathBuf,
    /// The greatest number that an index has.
    last: Arc<AtomicU64>,
    /// Freed with the last copy of this.
    _lock: Arc<File>,
}

/// Why an index was not opened.
enum Unusable {
    /// There is none.
    Missing,
    /// It has another layout, or is damaged.
    Replace(String),
    /// What stands in the way is not the index: rights, a full disk.
    Fails(SearchError),
}

impl Storage {
    /// Takes the folder, making it where it is missing.
    pub(super) fn new(folder: &Path) -> Result<Self, SearchError> {
        let explained = |error: io::Error| {
            SearchError::Unavailable(format!("the folder {} cannot be used: {error}", folder.display()))
        };
        fs::create_dir_all(folder).map_err(explained)?;
        let lock = File::create(folder.join("lock")).map_err(explained)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                let folder = folder.display();
                SearchError::Unavailable(format!("another process uses the search index in {folder}; end it first"))
            }
            TryLockError::Error(error) => explained(error),
        })?;
        let storage = Self { folder: folder.to_owned(), last: Arc::default(), _lock: Arc::new(lock) };
        let last = storage.numbers().map_err(explained)?.into_iter().max().unwrap_or_default();
        storage.last.store(last, Ordering::Relaxed);
        Ok(storage)
    }

    /// Where the synonyms are.
    pub(super) fn synonyms(&self) -> PathBuf {
        self.folder.join("synonyms.txt")
    }

    fn index(&self, number: u64) -> PathBuf {
        self.folder.join(format!("index-{number}"))
    }

    /// Where the vectors of an index are.
    pub(super) fn vectors(&self, number: u64) -> PathBuf {
        self.index(number).join("vectors")
    }

    /// Numbers of the indexes that there are, whole or not.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.strip_prefix("index-")?.parse::<u64>().ok()));
        }
        Ok(numbers)
    }

    fn incomplete(&self) -> PathBuf {
        self.folder.join("incomplete")
    }

    /// Whether the index may lack documents.
    pub(super) fn is_incomplete(&self) -> io::Result<bool> {
        self.incomplete().try_exists()
    }

    /// Notes whether the index may lack documents.
    pub(super) fn set_incomplete(&self, incomplete: bool) -> io::Result<()> {
        if incomplete {
            return fs::write(self.incomplete(), "");
        }
        match fs::remove_file(self.incomplete()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Notes which index is searched, at once and for good.
    pub(super) fn set_current(&self, number: u64) -> io::Result<()> {
        let beside = self.folder.join("current.new");
        let mut file = File::create(&beside)?;
        write!(file, "{number}")?;
        file.sync_all()?;
        fs::rename(beside, self.folder.join("current"))?;
        // The name itself reaches the disk with its folder, where a folder can be opened.
        File::open(&self.folder).map_or(Ok(()), |folder| folder.sync_all())
    }

    fn current(&self) -> io::Result<Option<u64>> {
        match fs::read(self.folder.join("current")) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).trim().parse().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the index that is searched; where there is none that can be used, an empty one that is noted to be
    /// incomplete. Returns its number too.
    pub(super) fn open(&self, fields: &Fields) -> Result<(u64, Index), SearchError> {
        let (number, index) = match self.open_current(fields) {
            Ok(opened) => opened,
            Err(Unusable::Fails(error)) => return Err(error),
            Err(Unusable::Missing) => self.create_current(fields)?,
            Err(Unusable::Replace(reason)) => {
                let aside = self.move_aside()?;
                tracing::warn!(%reason, aside = %aside.display(), "the search index is built again");
                self.create_current(fields)?
            }
        };
        for other in self.numbers()?.into_iter().filter(|other| *other != number) {
            // A rebuild that was not finished, or what one replaced.
            self.delete(other)?;
        }
        Ok((number, index))
    }

    fn open_current(&self, fields: &Fields) -> Result<(u64, Index), Unusable> {
        let fails = |error: io::Error| Unusable::Fails(error.into());
        let number = self.current().map_err(fails)?.ok_or(Unusable::Missing)?;
        let folder = self.index(number);
        if !folder.try_exists().map_err(fails)? {
            return Err(Unusable::Missing);
        }
        let format = match fs::read(folder.join("format")) {
            Ok(format) => String::from_utf8_lossy(&format).trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(fails(error)),
        };
        if format != FORMAT {
            return Err(Unusable::Replace(format!("its format is `{format}`, not `{FORMAT}`")));
        }
        let mut index = Index::open_in_dir(&folder).map_err(unusable)?;
        if index.schema() != fields.schema {
            return Err(Unusable::Replace("its fields are others".to_owned()));
        }
        let damaged = index.validate_checksum().map_err(unusable)?;
        if !damaged.is_empty() {
            return Err(Unusable::Replace(format!("{} of its files are damaged", damaged.len())));
        }
        register_analyzers(&index);
        search_on_several_threads(&mut index).map_err(unusable)?;
        index.reader().map_err(unusable)?;
        Ok((number, index))
    }

    fn create_current(&self, fields: &Fields) -> Result<(u64, Index), SearchError> {
        self.set_incomplete(true)?;
        let (number, index) = self.create(fields)?;
        // Last, so that a half-made index is not the current one, and is made again.
        self.set_current(number)?;
        Ok((number, index))
    }

    /// Makes an empty index beside the others. Returns its number too.
    pub(super) fn create(&self, fields: &Fields) -> Result<(u64, Index), SearchError> {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let folder = self.index(number);
        fs::create_dir_all(&folder)?;
        let failed = |error: TantivyError| SearchError::Unavailable(error.to_string());
        let mut index = Index::create_in_dir(&folder, fields.schema.clone()).map_err(failed)?;
        fs::write(folder.join("format"), FORMAT)?;
        register_analyzers(&index);
        search_on_several_threads(&mut index).map_err(failed)?;
        Ok((number, index))
    }

    /// Deletes an index that is not used any more.
    pub(super) fn delete(&self, number: u64) -> io::Result<()> {
        match fs::remove_dir_all(self.index(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn move_aside(&self) -> io::Result<PathBuf> {
        let from = self.current()?.map(|number| self.index(number));
        let from = from.ok_or_else(|| io::Error::other("the search index changed meanwhile"))?;
        let mut number = 1;
        loop {
            let aside = self.folder.join(format!("aside-{number}"));
            if !aside.try_exists()? {
                fs::rename(&from, &aside)?;
                return Ok(aside);
            }
            number += 1;
        }
    }
}

/// Threads that look through the segments of one search; more would wait for each other.
const MOST_THREADS: usize = 4;

/// Has the segments of an index looked through at the same time: in an index of a million LoRAs, a search for common words
/// takes half the time on two cores.
fn search_on_several_threads(index: &mut Index) -> tantivy::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    if threads > 1 {
        index.set_multithread_executor(threads)?;
    }
    Ok(())
}

fn register_analyzers(index: &Index) {
    index.tokenizers().register(analysis::WORDS, analysis::word_analyzer());
    index.tokenizers().register(analysis::STEMS, analysis::stem_analyzer());
}

fn unusable(error: TantivyError) -> Unusable {
    let denied = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::StorageFull | io::ErrorKind::OutOfMemory
        )
    };
    let fails = match &error {
        TantivyError::IoError(error) => denied(error),
        TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error, .. }) => denied(io_error),
        TantivyError::OpenReadError(tantivy::directory::error::OpenReadError::IoError { io_error, .. }) => {
            denied(io_error)
        }
        _ => false,
    };
    if fails {
        Unusable::Fails(SearchError::Unavailable(error.to_string()))
    } else {
        Unusable::Replace(error.to_string())
    }
}

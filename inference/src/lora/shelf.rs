//! LoRAs that were used last, kept on the device: using one again reads no file and copies no number.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use burn::tensor::backend::Backend;

use super::{inject::Prepared, read::read_to_use};
use crate::error::{Error, Result};

/// Bytes that kept LoRAs may fill; the one that was used last stays in any case.
const ROOM: usize = 1 << 30;

/// LoRAs that were used last. Clones share what they hold.
#[derive(Clone, Debug)]
pub struct Shelf<B: Backend>(Arc<Mutex<Vec<Kept<B>>>>);

/// A LoRA, and the file that it came from.
#[derive(Debug)]
struct Kept<B: Backend> {
    source: Source,
    lora: Arc<Prepared<B>>,
}

/// A file as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    path: PathBuf,
    bytes: u64,
    changed: Option<SystemTime>,
}

impl<B: Backend> Default for Shelf<B> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<B: Backend> Shelf<B> {
    /// The LoRA of a file, read if it is not on the shelf or the file has changed since.
    ///
    /// # Errors
    /// [`Error::Lora`] when the file is damaged or of a kind that is not supported, [`Error::Io`] when it is not there.
    pub fn take(&self, path: &Path, device: &B::Device) -> Result<Arc<Prepared<B>>> {
        let facts = fs::metadata(path).map_err(Error::io(path))?;
        let source = Source { path: path.to_owned(), bytes: facts.len(), changed: facts.modified().ok() };
        if let Some(lora) = self.find(&source) {
            return Ok(lora);
        }
        let lora = Arc::new(Prepared::new(read_to_use(path)?.targets, device)?);
        self.keep(Kept { source, lora: lora.clone() });
        Ok(lora)
    }

    fn find(&self, source: &Source) -> Option<Arc<Prepared<B>>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|one| one.source == *source)?;
        let found = kept.remove(place);
        let lora = found.lora.clone();
        kept.push(found);
        Some(lora)
    }

    /// Puts it at the end, and takes from the beginning what there is no room for.
    fn keep(&self, lora: Kept<B>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|one| one.source.path != lora.source.path);
        kept.push(lora);
        while kept.len() > 1 && kept.iter().map(|one| one.lora.bytes()).sum::<usize>() > ROOM {
            kept.remove(0);
        }
    }
}

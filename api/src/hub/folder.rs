//! The folder that a model is downloaded into.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use indicatif::BinaryBytes;

use super::{
    model_info::RemoteFile,
    partial::{partial_of, unwritable},
};

/// Held while somebody downloads into a folder.
const LOCK: &str = ".atelier-pull.lock";

/// A folder that nobody else downloads into meanwhile.
#[derive(Debug)]
pub struct PullFolder {
    /// Where it is.
    pub path: PathBuf,
    /// The system lets go of it when the program ends, however it ends.
    _lock: File,
}

impl PullFolder {
    /// Makes the folder where it is missing.
    ///
    /// # Errors
    /// When it cannot be written, or somebody else downloads into it.
    pub fn open(path: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&path).with_context(|| unwritable(&path))?;
        let place = path.join(LOCK);
        let lock = File::create(&place).with_context(|| unwritable(&place))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("Another `atelier models pull` downloads into `{}`. Wait for it.", path.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| unwritable(&place)),
        }
    }

    /// Checks that what is missing of some files has room on the disk.
    ///
    /// # Errors
    /// When it has not, with both numbers.
    pub fn check_room<'a>(&self, files: impl Iterator<Item = &'a RemoteFile>) -> anyhow::Result<()> {
        let missing: u64 = files.map(|file| file.size.saturating_sub(there(&self.path.join(&file.path)))).sum();
        let free = fs4::available_space(&self.path).with_context(|| unwritable(&self.path))?;
        if missing <= free {
            return Ok(());
        }
        bail!(
            "{} are still to be downloaded, and the disk of `{}` has room for {}. Make room, or choose another disk \
             with `--data`.",
            BinaryBytes(missing),
            self.path.display(),
            BinaryBytes(free)
        )
    }
}

/// How many bytes of a file are there, whole or in part.
fn there(path: &Path) -> u64 {
    [path.to_owned(), partial_of(path)].iter().find_map(|path| Some(path.metadata().ok()?.len())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::digest::Expected;

    #[test]
    fn one_at_a_time_downloads_into_a_folder_and_only_what_fits() {
        let data = tempfile::tempdir().unwrap();
        let folder = PullFolder::open(data.path().join("a/b")).unwrap();
        assert!(PullFolder::open(data.path().join("a/b")).unwrap_err().to_string().contains("Another"));
        let file = |size: u64| RemoteFile { path: "x".into(), size, expected: Expected::GitBlob(String::new()) };
        folder.check_room([file(10)].iter()).unwrap();
        assert!(folder.check_room([file(1 << 60)].iter()).unwrap_err().to_string().contains("1.00 EiB"));
        drop(folder);
        PullFolder::open(data.path().join("a/b")).unwrap();
    }
}

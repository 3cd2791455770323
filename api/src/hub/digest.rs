//! The hashes that the hub knows files by: SHA-256 of what lies in its large file storage, git's own of the rest.

use std::path::Path;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// The hash that a file must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// SHA-256 in hex.
    Sha256(String),
    /// SHA-1 in hex of the file as git keeps it.
    GitBlob(String),
}

/// Hashes bytes as they come.
#[derive(Clone, Debug)]
pub struct Digester {
    sha256: Sha256,
    git_blob: Sha1,
}

/// The hashes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// SHA-256 in hex.
    pub sha256: String,
    git_blob: String,
}

impl Digester {
    /// Begins with a file of so many bytes: git writes their number in front.
    pub fn new(size: u64) -> Self {
        Self { sha256: Sha256::new(), git_blob: Sha1::new_with_prefix(format!("blob {size}\0")) }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.git_blob.update(bytes);
    }

    /// Takes everything that is to be read, and gives how many bytes that was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read(
        &mut self,
        file: &mut (impl tokio::io::AsyncRead + Unpin),
        mut seen: impl FnMut(u64),
    ) -> std::io::Result<u64> {
        let mut piece = vec![0; PIECE];
        let mut length = 0;
        loop {
            let read = file.read(&mut piece).await?;
            if read == 0 {
                return Ok(length);
            }
            self.update(&piece[..read]);
            length += read as u64;
            seen(read as u64);
        }
    }

    /// The hashes.
    pub fn finish(self) -> Digest {
        Digest { sha256: format!("{:x}", self.sha256.finalize()), git_blob: format!("{:x}", self.git_blob.finalize()) }
    }
}

impl Digest {
    /// Hashes a file on the disk, and tells how many bytes were read since the last time.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn of(path: &Path, seen: impl FnMut(u64)) -> std::io::Result<Self> {
        let mut file = tokio::fs::File::open(path).await?;
        let mut digester = Digester::new(file.metadata().await?.len());
        digester.read(&mut file, seen).await?;
        Ok(digester.finish())
    }

    /// Whether it is the one expected.
    pub fn is(&self, expected: &Expected) -> bool {
        match expected {
            Expected::Sha256(sha256) => self.sha256.eq_ignore_ascii_case(sha256),
            Expected::GitBlob(git_blob) => self.git_blob.eq_ignore_ascii_case(git_blob),
        }
    }

    /// The hash of the kind that is expected, in words.
    pub fn like(&self, expected: &Expected) -> String {
        match expected {
            Expected::Sha256(_) => format!("SHA-256 {}", self.sha256),
            Expected::GitBlob(_) => format!("git's SHA-1 {}", self.git_blob),
        }
    }
}

impl Expected {
    /// The hash in hex.
    pub fn hex(&self) -> &str {
        match self {
            Self::Sha256(hex) | Self::GitBlob(hex) => hex,
        }
    }
}

/// Whether a text is so many hex digits.
pub fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_git_and_of_sha256sum() {
        let mut digester = Digester::new(6);
        digester.update(b"hel");
        digester.update(b"lo\n");
        let digest = digester.finish();
        // `printf 'hello\n' | git hash-object --stdin` and `| sha256sum`.
        assert!(digest.is(&Expected::GitBlob("ce013625030ba8dba906f756967f9e9ca394464a".into())));
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert!(digest.is(&Expected::Sha256(sha256.to_uppercase())));
        assert!(!digest.is(&Expected::Sha256("0".repeat(64))));
    }
}

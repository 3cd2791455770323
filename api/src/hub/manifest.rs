//! What is kept beside a model that was downloaded: where it is from, and what its files are.

use std::{io, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::{digest::Digest, model_info::is_inside, partial::unwritable, progress::Progress};

/// Its name in the model's folder.
pub const MANIFEST: &str = ".atelier-model.json";

/// How a folder came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The hub.
    pub endpoint: String,
    /// `OWNER/NAME`.
    pub repository: String,
    /// What was asked for: a branch, a tag or a commit.
    pub revision: String,
    /// The commit that it was then.
    pub commit: String,
    /// Name of the licence.
    pub license: String,
    /// Where it can be read.
    pub license_link: String,
    /// The files, by path.
    pub files: Vec<ManifestFile>,
}

/// A file of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Where it lies in the folder, with slashes.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in hex.
    pub sha256: String,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// A sentence.
    pub problem: String,
}

impl Problem {
    /// What is wrong with a file.
    pub fn new(file: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { file: file.into(), problem: problem.into() }
    }
}

impl Manifest {
    /// Reads the manifest of a folder; none for a folder that was not downloaded.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let place = folder.join(MANIFEST);
        let damaged = || format!("`{}` is damaged. Give `atelier models pull` again.", place.display());
        let bytes = match std::fs::read(&place) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(damaged),
        };
        let manifest: Self = serde_json::from_slice(&bytes).with_context(damaged)?;
        // Somebody else may have made the folder: what it names must lie in it.
        if let Some(file) = manifest.files.iter().find(|file| !is_inside(&file.path)) {
            return Err(anyhow::anyhow!("It names the file `{}`, outside of its folder.", file.path))
                .with_context(damaged);
        }
        Ok(Some(manifest))
    }

    /// Writes the manifest into a folder, whole or not at all.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let place = folder.join(MANIFEST);
        let partial = folder.join(format!("{MANIFEST}.partial"));
        std::fs::write(&partial, serde_json::to_vec_pretty(self)?).with_context(|| unwritable(&partial))?;
        std::fs::rename(&partial, &place).with_context(|| unwritable(&place))
    }

    /// Compares the files of a folder with what they should be.
    pub async fn problems(&self, folder: &Path, progress: &Progress) -> Vec<Problem> {
        progress.begin(self.files.iter().map(|file| file.size).sum());
        let mut problems = Vec::new();
        for file in &self.files {
            progress.file(&file.path);
            if let Some(problem) = file.problem(folder, progress).await {
                problems.push(Problem::new(&file.path, problem));
            }
        }
        progress.end();
        problems
    }
}

impl ManifestFile {
    async fn problem(&self, folder: &Path, progress: &Progress) -> Option<String> {
        let place = folder.join(&self.path);
        let size = match tokio::fs::metadata(&place).await {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Some("It is missing.".to_owned()),
            Err(error) => return Some(format!("It cannot be read: {error}.")),
        };
        if size != self.size {
            return Some(format!("It has {size} bytes and should have {}.", self.size));
        }
        match Digest::of(&place, |bytes| progress.forward(bytes)).await {
            Ok(digest) if digest.sha256 == self.sha256 => None,
            Ok(digest) => Some(format!("Its SHA-256 is {} and should be {}.", digest.sha256, self.sha256)),
            Err(error) => Some(format!("It cannot be read: {error}.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(path: &str) -> Manifest {
        // SHA-256 of `fox`.
        let sha256 = "776cb326ab0cd5f0a974c1b9606044d8485201f2db19cf8e3749bdee5f36e200".to_owned();
        Manifest {
            endpoint: "https://hub.example".into(),
            repository: "ada/fox".into(),
            revision: "main".into(),
            commit: "c".repeat(40),
            license: "mit".into(),
            license_link: "https://hub.example/ada/fox".into(),
            files: vec![ManifestFile { path: path.into(), size: 3, sha256 }],
        }
    }

    #[tokio::test]
    async fn files_are_compared_with_what_they_were() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), None);
        manifest("a/fox").write(folder.path()).unwrap();
        let manifest = Manifest::read(folder.path()).unwrap().unwrap();
        let problems = async || manifest.problems(folder.path(), &Progress::hidden()).await;
        assert!(problems().await[0].problem.contains("missing"));
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/fox"), "fo").unwrap();
        assert!(problems().await[0].problem.contains("2 bytes"));
        std::fs::write(folder.path().join("a/fox"), "fax").unwrap();
        assert!(problems().await[0].problem.contains("should be 776c"));
        std::fs::write(folder.path().join("a/fox"), "fox").unwrap();
        assert_eq!(problems().await, []);
    }

    #[test]
    fn a_manifest_names_nothing_outside() {
        let folder = tempfile::tempdir().unwrap();
        manifest("../fox").write(folder.path()).unwrap();
        assert!(Manifest::read(folder.path()).is_err());
        std::fs::write(folder.path().join(MANIFEST), "{").unwrap();
        assert!(Manifest::read(folder.path()).is_err());
    }
}

//! A model, from a repository into a folder.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use atelier_domain::ports::inspector::{Inspector, inspect};

use super::{
    client::HubClient,
    download::Download,
    folder::PullFolder,
    license::License,
    manifest::{Manifest, ManifestFile},
    model_info::{ModelInfo, RemoteFile},
    patience::Patience,
    progress::Progress,
    repository::Repository,
    selection::{MODEL_INDEX, Selection, select},
};

/// Failures in a row after which a hub that has not answered yet is given up: some seconds.
const MOST_FAILURES: u32 = 4;

/// What is to be downloaded, and where from.
pub struct Pull<'a> {
    /// The hub.
    pub client: &'a HubClient,
    /// The repository.
    pub repository: &'a Repository,
    /// A branch, a tag or a commit.
    pub revision: &'a str,
    /// Looks into the folder before the weights come.
    pub inspector: &'a Arc<dyn Inspector>,
    /// What is seen of it.
    pub progress: &'a Progress,
}

/// A model that was downloaded.
#[derive(Debug)]
pub struct Pulled {
    /// How many files it has.
    pub files: usize,
    /// How many bytes they have.
    pub bytes: u64,
}

impl Pull<'_> {
    /// Asks what the repository holds.
    ///
    /// # Errors
    /// When it is not there or not seen, or is no model in diffusers' layout.
    pub async fn info(&self) -> anyhow::Result<ModelInfo> {
        let mut patience = Patience::new(MOST_FAILURES);
        let info = loop {
            match self.client.model(self.repository, self.revision).await {
                Ok(info) => break info,
                Err(error) => patience.bear(error, self.progress).await?,
            }
        };
        if info.files.iter().all(|file| file.path != MODEL_INDEX) {
            bail!(
                "{} holds no `{MODEL_INDEX}`: it is no model in the diffusers layout, and others are not read. Look for \
                 one whose page says Diffusers.",
                self.repository
            );
        }
        Ok(info)
    }

    /// Downloads what the repository holds into a folder. The manifest is written last: a folder without it is not whole.
    ///
    /// # Errors
    /// When the hub does not give it, the disk has no room for it, or it is a model that is not read.
    pub async fn fetch(&self, info: &ModelInfo, license: &License, folder: PathBuf) -> anyhow::Result<Pulled> {
        let folder = tokio::task::spawn_blocking(|| PullFolder::open(folder)).await??;
        let selection = self.select(info, &folder.path).await?;
        folder.check_room(selection.files())?;
        let bytes = selection.files().map(|file| file.size).sum();
        self.progress.note(format!(
            "{} at {}: {} files, {}",
            self.repository,
            info.commit,
            selection.files().count(),
            indicatif::BinaryBytes(bytes)
        ));
        self.progress.begin(bytes);
        let mut files = self.download(info, &selection.configuration, &folder.path).await?;
        // Better said now than after hours.
        self.check_understood(&folder.path).await?;
        files.extend(self.download(info, &selection.weights, &folder.path).await?);
        self.progress.end();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let pulled = Pulled { files: files.len(), bytes };
        self.manifest(info, license, files).write(&folder.path)?;
        Ok(pulled)
    }

    /// Chooses the files, by the model's own index.
    async fn select(&self, info: &ModelInfo, folder: &Path) -> anyhow::Result<Selection> {
        let index = info.files.iter().filter(|file| file.path == MODEL_INDEX).cloned().collect::<Vec<_>>();
        self.download(info, &index, folder).await?;
        let index = tokio::fs::read(folder.join(MODEL_INDEX)).await?;
        select(&index, &info.files).map_err(anyhow::Error::msg)
    }

    async fn download(
        &self,
        info: &ModelInfo,
        files: &[RemoteFile],
        folder: &Path,
    ) -> anyhow::Result<Vec<ManifestFile>> {
        let download = Download {
            client: self.client,
            repository: self.repository,
            commit: &info.commit,
            progress: self.progress,
        };
        let mut fetched = Vec::with_capacity(files.len());
        for file in files {
            let sha256 = download.fetch(file, &folder.join(&file.path)).await?;
            fetched.push(ManifestFile { path: file.path.clone(), size: file.size, sha256 });
        }
        Ok(fetched)
    }

    async fn check_understood(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.to_owned();
        let facts = inspect(self.inspector, move |inspector| inspector.model(&path)).await?;
        facts.map(drop).with_context(|| {
            format!("{} is a model that is not read. Its weights were not downloaded.", self.repository)
        })
    }

    fn manifest(&self, info: &ModelInfo, license: &License, files: Vec<ManifestFile>) -> Manifest {
        Manifest {
            endpoint: self.client.endpoint().as_str().trim_end_matches('/').to_owned(),
            repository: self.repository.to_string(),
            revision: self.revision.to_owned(),
            commit: info.commit.clone(),
            license: license.name.clone(),
            license_link: license.link.clone(),
            files,
        }
    }
}

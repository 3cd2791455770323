//! One file: fetched, gone on with where it stopped, and checked.

use std::path::Path;

use anyhow::{Context as _, bail};
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, RANGE},
};

use super::{
    client::{FileAnswer, HubClient, text},
    digest::{Digest, Expected},
    error::HubError,
    model_info::RemoteFile,
    partial::{Partial, unwritable},
    patience::Patience,
    progress::Progress,
    repository::Repository,
};

/// Failures in a row, without a byte between them, after which a file is given up: about a minute.
const MOST_FAILURES: u32 = 8;

/// Fetches the files of a repository at a commit.
#[derive(Clone, Copy, Debug)]
pub struct Download<'a> {
    /// The hub.
    pub client: &'a HubClient,
    /// The repository.
    pub repository: &'a Repository,
    /// The commit.
    pub commit: &'a str,
    /// What is seen of it.
    pub progress: &'a Progress,
}

/// How one try ended that did not go wrong on our side.
enum Outcome {
    Arrived,
    Failed(HubError),
}

impl Download<'_> {
    /// Fetches a file, unless it is there already; gives its SHA-256.
    ///
    /// # Errors
    /// When the hub does not give it, or gives something else than it said.
    pub async fn fetch(&self, remote: &RemoteFile, target: &Path) -> anyhow::Result<String> {
        self.progress.file(&remote.path);
        if let Some(sha256) = self.there_already(remote, target).await? {
            return Ok(sha256);
        }
        let mut partial = Partial::open(target, remote, self.progress).await?;
        let mut patience = Patience::new(MOST_FAILURES);
        while !partial.is_whole() {
            let before = partial.length();
            let outcome = self.attempt(remote, &mut partial).await;
            // Whatever happened: the next run goes on from here.
            partial.flush().await?;
            if partial.length() > before {
                patience.renew();
            }
            if let Outcome::Failed(error) = outcome? {
                let failed = || format!("`{}` of {} was not downloaded.", remote.path, self.repository);
                patience.bear(error, self.progress).await.with_context(failed)?;
            }
        }
        self.check(remote, partial).await
    }

    /// The hash of a file that is there and right; a damaged one is taken away.
    async fn there_already(&self, remote: &RemoteFile, target: &Path) -> anyhow::Result<Option<String>> {
        let Ok(metadata) = tokio::fs::metadata(target).await else { return Ok(None) };
        if metadata.len() == remote.size {
            let digest = Digest::of(target, |bytes| self.progress.forward(bytes)).await;
            let digest = digest.with_context(|| format!("`{}` cannot be read.", target.display()))?;
            if digest.is(&remote.expected) {
                return Ok(Some(digest.sha256));
            }
            self.progress.back(remote.size);
        }
        self.progress.note(format!("`{}` is there and damaged. It is downloaded again.", remote.path));
        tokio::fs::remove_file(target).await.with_context(|| unwritable(target))?;
        Ok(None)
    }

    /// Asks for what is missing, and takes what comes.
    async fn attempt(&self, remote: &RemoteFile, partial: &mut Partial) -> anyhow::Result<Outcome> {
        let headers = rest(partial).await;
        let answer = match self.client.file(self.repository, self.commit, &remote.path, &headers).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Outcome::Failed(error)),
        };
        if let Err(error) = check_announced(remote, &answer) {
            return Ok(Outcome::Failed(error));
        }
        let response = answer.response;
        let goes_on = response.status() == StatusCode::PARTIAL_CONTENT;
        if goes_on && !continues(&response, partial.length(), remote.size)
            || response.status() == StatusCode::RANGE_NOT_SATISFIABLE
        {
            self.start_over(remote, partial).await?;
            return Ok(Outcome::Failed(HubError::passing("The hub sends another part than the one asked for")));
        }
        if !goes_on {
            self.start_over(remote, partial).await?;
            partial.remember_etag(strong_etag(&response).as_deref()).await?;
        }
        self.take(remote, response, partial).await
    }

    /// Takes the bytes of an answer as they come.
    async fn take(&self, remote: &RemoteFile, mut from: Response, into: &mut Partial) -> anyhow::Result<Outcome> {
        loop {
            let bytes = match from.chunk().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) if into.is_whole() => return Ok(Outcome::Arrived),
                Ok(None) => {
                    return Ok(Outcome::Failed(HubError::passing(format!("`{}` ended too early", remote.path))));
                }
                Err(error) => return Ok(Outcome::Failed(HubError::from(error))),
            };
            if into.length() + bytes.len() as u64 > remote.size {
                self.start_over(remote, into).await?;
                bail!(
                    "The hub sends more of `{}` than the {} bytes that it lists. What had come was deleted.",
                    remote.path,
                    remote.size
                );
            }
            into.append(&bytes).await?;
            self.progress.forward(bytes.len() as u64);
        }
    }

    async fn start_over(&self, remote: &RemoteFile, partial: &mut Partial) -> anyhow::Result<()> {
        let lost = partial.start_over().await?;
        if lost > 0 {
            self.progress.back(lost);
            self.progress
                .note(format!("`{}` is downloaded from its beginning: it cannot be gone on with.", remote.path));
        }
        Ok(())
    }

    /// Gives a file its name if it is the one that the hub listed.
    async fn check(&self, remote: &RemoteFile, partial: Partial) -> anyhow::Result<String> {
        let digest = partial.digest();
        if digest.is(&remote.expected) {
            partial.keep().await?;
            return Ok(digest.sha256);
        }
        self.progress.back(remote.size);
        partial.discard().await?;
        bail!(
            "`{}` of {} is not what the hub lists: it has {}, and {} was expected. It was deleted. Give the same \
             command again; if it happens again, the hub or something between is broken or not to be trusted.",
            remote.path,
            self.repository,
            digest.like(&remote.expected),
            remote.expected.hex()
        );
    }
}

/// Asks for what is missing, and for the whole if it is not that version any more.
async fn rest(partial: &Partial) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if partial.length() == 0 {
        return headers;
    }
    if let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", partial.length())) {
        headers.insert(RANGE, range);
    }
    if let Some(etag) = partial.etag().await.and_then(|etag| HeaderValue::from_str(&etag).ok()) {
        headers.insert(IF_RANGE, etag);
    }
    headers
}

/// Whether the hub says of a file what it listed, where it says something.
fn check_announced(remote: &RemoteFile, answer: &FileAnswer) -> Result<(), HubError> {
    let other_size = answer.linked_size.is_some_and(|size| size != remote.size);
    let other_hash = match (&remote.expected, &answer.linked_etag) {
        (Expected::Sha256(sha256), Some(etag)) => {
            let etag = etag.trim_start_matches("W/").trim_matches('"');
            etag.len() == sha256.len() && !etag.eq_ignore_ascii_case(sha256)
        }
        _ => false,
    };
    if other_size || other_hash {
        return Err(HubError::Lasting(format!(
            "The hub lists `{}` with another size or hash than it sends. Give the same command again later.",
            remote.path
        )));
    }
    Ok(())
}

/// Whether an answer goes on where we stopped: `bytes 10-99/100` after ten bytes.
fn continues(response: &Response, from: u64, size: u64) -> bool {
    text(response, CONTENT_RANGE).is_some_and(|range| is_rest(&range, from, size))
}

fn is_rest(range: &str, from: u64, size: u64) -> bool {
    let parsed = range.strip_prefix("bytes ").and_then(|range| {
        let (span, total) = range.split_once('/')?;
        let (first, _) = span.split_once('-')?;
        Some((first.trim().parse::<u64>().ok()?, total.trim()))
    });
    parsed.is_some_and(|(first, total)| first == from && (total == "*" || total.parse() == Ok(size)))
}

/// A name of the version by which bytes may be put together; a weak one says only that it means the same.
fn strong_etag(response: &Response) -> Option<String> {
    text(response, ETAG).filter(|etag| etag.starts_with('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rest_is_gone_on_with() {
        assert!(is_rest("bytes 10-99/100", 10, 100));
        assert!(is_rest("bytes 10-99/*", 10, 100));
        for range in ["bytes 0-99/100", "bytes 10-99/200", "bytes */100", "10-99/100", "bytes x-99/100", ""] {
            assert!(!is_rest(range, 10, 100), "{range}");
        }
    }
}

//! The hub's routes: <https://huggingface.co/docs/hub/api>.

use std::time::Duration;

use atelier_domain::ports::tls;
use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT_ENCODING, HeaderMap, HeaderName, LOCATION},
    redirect::Policy,
};
use url::Url;

use super::{
    error::HubError,
    model_info::{Answer, ModelInfo},
    refusal::refusal,
    repository::Repository,
};
use crate::config::location::Secret;

/// How long a connection may take to come about.
const CONNECT_TIME: Duration = Duration::from_secs(20);

/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(60);

/// How often a file may be elsewhere.
const MOST_REDIRECTS: usize = 8;

/// How many bytes a file has, as the hub says when it sends somebody elsewhere for it.
const LINKED_SIZE: HeaderName = HeaderName::from_static("x-linked-size");

/// The SHA-256 of such a file.
const LINKED_ETAG: HeaderName = HeaderName::from_static("x-linked-etag");

/// Speaks to a hub.
#[derive(Debug)]
pub struct HubClient {
    http: Client,
    endpoint: Url,
    token: Option<Secret>,
}

/// A file that is on its way.
#[derive(Debug)]
pub struct FileAnswer {
    /// Its bytes, or those that were asked for.
    pub response: Response,
    /// How many bytes the hub says that the whole has.
    pub linked_size: Option<u64>,
    /// What the hub says that it is.
    pub linked_etag: Option<String>,
}

impl HubClient {
    /// A client of the hub at an address; the token is shown to it and to nobody else.
    ///
    /// # Errors
    /// When the system has no certificates that others could be checked by.
    pub fn new(endpoint: Url, token: Option<Secret>) -> anyhow::Result<Self> {
        tls::use_ring();
        let http = Client::builder()
            .user_agent(concat!("atelier/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIME)
            .read_timeout(SILENCE)
            // Each step is looked at here, so that the token stays where it belongs.
            .redirect(Policy::none())
            .build()?;
        Ok(Self { http, endpoint, token })
    }

    /// The hub's address.
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// What a repository holds at a revision: a branch, a tag or a commit.
    ///
    /// # Errors
    /// When there is no such repository or revision, or it may not be seen.
    pub async fn model(&self, repository: &Repository, revision: &str) -> Result<ModelInfo, HubError> {
        let Repository { owner, name } = repository;
        let mut url = self.route(&["api", "models", owner, name, "revision", revision])?;
        url.set_query(Some("blobs=true"));
        let answer = self.get(repository, url, &HeaderMap::new()).await?;
        let bytes = answer.response.bytes().await?;
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| {
            HubError::Lasting(format!(
                "What the hub says of {repository} is not understood: {error}. Check `--endpoint`."
            ))
        })?;
        answer.check()
    }

    /// The bytes of a file at a commit; all of them, or those that the headers ask for.
    ///
    /// # Errors
    /// When there is no such file, or it may not be seen.
    pub async fn file(
        &self,
        repository: &Repository,
        commit: &str,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<FileAnswer, HubError> {
        let mut segments = vec![repository.owner.as_str(), &repository.name, "resolve", commit];
        segments.extend(path.split('/'));
        self.get(repository, self.route(&segments)?, headers).await
    }

    fn route(&self, segments: &[&str]) -> Result<Url, HubError> {
        let mut url = self.endpoint.clone();
        let mut path =
            url.path_segments_mut().map_err(|()| HubError::Lasting("`--endpoint` is no address of a hub.".into()))?;
        path.pop_if_empty().extend(segments);
        drop(path);
        Ok(url)
    }

    /// Follows a file to where it lies.
    async fn get(&self, repository: &Repository, first: Url, headers: &HeaderMap) -> Result<FileAnswer, HubError> {
        let mut url = first;
        let (mut linked_size, mut linked_etag) = (None, None);
        for _ in 0..=MOST_REDIRECTS {
            let is_hub = url.origin() == self.endpoint.origin();
            // Ranges and hashes are those of the bytes as they are, not of a compressed form.
            let mut request = self.http.get(url.clone()).headers(headers.clone()).header(ACCEPT_ENCODING, "identity");
            if let Some(token) = self.token.as_ref().filter(|_| is_hub) {
                request = request.bearer_auth(token.expose());
            }
            let response = request.send().await?;
            if is_hub {
                linked_size = number(&response, LINKED_SIZE).or(linked_size);
                linked_etag = text(&response, LINKED_ETAG).or(linked_etag);
            }
            match response.status() {
                status if is_redirect(status) => url = next(&url, &response)?,
                status if status.is_success() => return Ok(FileAnswer { response, linked_size, linked_etag }),
                // The download asks for everything then.
                StatusCode::RANGE_NOT_SATISFIABLE => return Ok(FileAnswer { response, linked_size, linked_etag }),
                _ if is_hub => return Err(refusal(&response, repository, &self.endpoint, self.token.is_some())),
                // A link to a file server holds for some minutes: the hub gives a new one.
                status => return Err(HubError::passing(format!("The file server answers {status}"))),
            }
        }
        Err(HubError::Lasting(format!("The hub sends from one address to another more than {MOST_REDIRECTS} times.")))
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// Where a redirect leads.
fn next(from: &Url, response: &Response) -> Result<Url, HubError> {
    let location = text(response, LOCATION).and_then(|location| from.join(&location).ok());
    let url = location.ok_or_else(|| HubError::Lasting("The hub sends elsewhere without saying where.".into()))?;
    let is_kept = url.scheme() == from.scheme() || url.scheme() == "https";
    if is_kept && matches!(url.scheme(), "https" | "http") {
        return Ok(url);
    }
    Err(HubError::Lasting("The hub sends to an address that is not encrypted. Nothing was downloaded from it.".into()))
}

/// A header as text.
pub fn text(response: &Response, name: HeaderName) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

fn number(response: &Response, name: HeaderName) -> Option<u64> {
    text(response, name)?.parse().ok()
}

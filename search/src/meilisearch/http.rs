//! How the client of Meilisearch speaks HTTP: with the HTTP client of this process, and not with one of its own.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{AsyncRead, AsyncReadExt as _};
use meilisearch_sdk::{
    errors::Error,
    request::{HttpClient, Method, parse_response},
};
use reqwest::{RequestBuilder, header::CONTENT_TYPE};
use serde::{Serialize, de::DeserializeOwned};

/// The HTTP client of this process, with the key that it shows.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    key: Option<Arc<str>>,
}

impl Http {
    pub(super) fn new(client: reqwest::Client, key: Option<&str>) -> Self {
        Self { client, key: key.map(Arc::from) }
    }

    async fn send<Output: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        body: Option<Vec<u8>>,
        content_type: &str,
        expected: u16,
    ) -> Result<Output, Error> {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let request = match body {
            Some(body) => request.header(CONTENT_TYPE, content_type).body(body),
            None => request,
        };
        let response = request.send().await.map_err(other)?;
        let (status, url) = (response.status().as_u16(), response.url().to_string());
        let body = response.text().await.map_err(other)?;
        parse_response(status, expected, if body.is_empty() { "null" } else { &body }, url)
    }

    /// The request without its body, and the body.
    fn request_of<Query: Serialize, Body>(
        &self,
        url: &str,
        method: Method<Query, Body>,
    ) -> (RequestBuilder, Option<Body>) {
        let verb = match method {
            Method::Get { .. } => reqwest::Method::GET,
            Method::Post { .. } => reqwest::Method::POST,
            Method::Patch { .. } => reqwest::Method::PATCH,
            Method::Put { .. } => reqwest::Method::PUT,
            Method::Delete { .. } => reqwest::Method::DELETE,
        };
        (self.client.request(verb, url).query(method.query()), method.into_body())
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Other(Box::new(error))
}

#[async_trait]
impl HttpClient for Http {
    async fn request<Query, Body, Output>(
        &self,
        url: &str,
        method: Method<Query, Body>,
        expected_status_code: u16,
    ) -> Result<Output, Error>
    where
        Query: Serialize + Send + Sync,
        Body: Serialize + Send + Sync,
        Output: DeserializeOwned + 'static + Send,
    {
        let (request, body) = self.request_of(url, method);
        let body = body.map(|body| serde_json::to_vec(&body)).transpose().map_err(Error::ParseError)?;
        self.send(request, body, "application/json", expected_status_code).await
    }

    async fn stream_request<
        Query: Serialize + Send + Sync,
        Body: AsyncRead + Send + Sync + 'static,
        Output: DeserializeOwned + 'static,
    >(
        &self,
        url: &str,
        method: Method<Query, Body>,
        content_type: &str,
        expected_status_code: u16,
    ) -> Result<Output, Error> {
        let (request, body) = self.request_of(url, method);
        let mut bytes = None;
        if let Some(body) = body {
            futures::pin_mut!(body);
            body.read_to_end(bytes.insert(Vec::new())).await.map_err(other)?;
        }
        self.send(request, bytes, content_type, expected_status_code).await
    }

    fn is_tokio(&self) -> bool {
        true
    }
}

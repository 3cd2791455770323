//! The service as any client sees it: GraphQL over HTTP, uploads by PUT, files by signed link.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};
use atelier_domain::ports::tls;
use bytes::Bytes;
use http::header::ACCEPT;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The forms of an answer that are understood.
const ANSWERS: &str = "application/graphql-response+json, application/json";

/// How long an answer may take: a little longer than the service lets an operation run.
const ANSWER_TIME: Duration = Duration::from_secs(90);

/// How long a file may take: a large picture is checked before its last byte is answered.
const FILE_TIME: Duration = Duration::from_secs(600);

/// A connection that was idle for longer is not used again: the service closes it after ten seconds.
const IDLE: Duration = Duration::from_secs(5);

/// Why the service gave no data.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The access token is not good, or not any more; nothing was done.
    #[error("{0}")]
    Unauthenticated(String),
    /// The service said no, in its own sentence.
    #[error("{0}")]
    Refused(String),
    /// There was no answer, or none that is understood.
    #[error(transparent)]
    Broken(#[from] anyhow::Error),
}

/// Anything that has an id.
#[derive(Clone, Debug, Deserialize)]
pub struct Identified {
    /// Its id.
    pub id: String,
}

/// Anything that is fetched by a signed link.
#[derive(Debug, Deserialize)]
pub struct Link {
    /// The link.
    pub url: String,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// Its rows.
    pub nodes: Vec<T>,
    /// What follows, where it was asked for.
    #[serde(default)]
    pub page_info: PageInfo,
}

/// What follows a page.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    /// Whether there are more rows.
    pub has_next_page: bool,
    /// After which cursor.
    pub end_cursor: Option<String>,
}

/// An answer of GraphQL over HTTP.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Value,
    #[serde(default)]
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    message: String,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Default, Deserialize)]
struct Extensions {
    #[serde(default)]
    code: String,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    address: SocketAddr,
}

impl Api {
    /// The service at an address of this machine.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(address: SocketAddr) -> anyhow::Result<Self> {
        tls::use_ring();
        // A proxy of the environment cannot reach a port of this machine.
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIME).pool_idle_timeout(IDLE).build();
        Ok(Self { http: http.context("There can be no HTTP client.")?, address })
    }

    /// Where its subscriptions are.
    pub fn socket_url(&self) -> String {
        format!("ws://{}/graphql", self.address)
    }

    /// Sends one operation and gives its data.
    ///
    /// # Errors
    /// [`Refusal`]; data that came with errors is dropped.
    pub async fn send(&self, token: Option<&str>, document: &str, variables: &Value) -> Result<Value, Refusal> {
        let mut request = self.http.post(format!("http://{}/graphql", self.address)).header(ACCEPT, ANSWERS);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.json(&json!({ "query": document, "variables": variables })).send().await;
        let response = response.context("The service does not answer.")?;
        let status = response.status();
        let answer = response.json::<Answer>().await;
        let answer = answer.with_context(|| format!("The service's answer ({status}) is not understood."))?;
        if answer.errors.is_empty() {
            return Ok(answer.data);
        }
        let sentences: Vec<&str> = answer.errors.iter().map(|entry| entry.message.as_str()).collect();
        let sentences = sentences.join(" ");
        let is_signed_out = answer.errors.iter().any(|entry| entry.extensions.code == "UNAUTHENTICATED");
        Err(if is_signed_out { Refusal::Unauthenticated(sentences) } else { Refusal::Refused(sentences) })
    }

    /// Sends a mutation of somebody who is not signed in; see [`mutation`] and [`outcome`].
    ///
    /// # Errors
    /// The service's own sentences.
    pub async fn change<T: DeserializeOwned>(&self, field: &str, object: &str, input: Value) -> anyhow::Result<T> {
        outcome(self.send(None, &mutation(field, object), &json!({ "input": input })).await?, field, object)
    }

    /// Sends a file to the link of an upload.
    ///
    /// # Errors
    /// The service's own sentence.
    pub async fn put(&self, url: &str, bytes: Bytes) -> anyhow::Result<()> {
        let response =
            self.http.put(url).timeout(FILE_TIME).body(bytes).send().await.context("The service takes no file.")?;
        moved(response).await.map(|_| ())
    }

    /// Fetches a file by its link.
    ///
    /// # Errors
    /// The service's own sentence.
    pub async fn get(&self, url: &str) -> anyhow::Result<Bytes> {
        let response = self.http.get(url).timeout(FILE_TIME).send().await.context("The service gives no file.")?;
        let response = moved(response).await?;
        response.bytes().await.context("The service gave a file only in part.")
    }
}

/// The response to a file that was moved.
async fn moved(response: reqwest::Response) -> anyhow::Result<reqwest::Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    match response.json::<Answer>().await.ok().and_then(|answer| answer.errors.into_iter().next()) {
        Some(entry) => bail!(entry.message),
        None => bail!("The service refused a file with status {status}."),
    }
}

/// The document of a mutation. By the API's custom `publishLora` takes one `PublishLoraInput` and answers with an object
/// and `userErrors`; `object` is that object's field with what is selected of it, such as `lora { id }`.
pub fn mutation(field: &str, object: &str) -> String {
    let mut kind = field.to_owned();
    if let Some(first) = kind.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("mutation($input: {kind}Input!) {{ {field}(input: $input) {{ {object} userErrors {{ message }} }} }}")
}

/// The object in the data of a mutation's answer.
///
/// # Errors
/// The sentences of its `userErrors`.
pub fn outcome<T: DeserializeOwned>(mut data: Value, field: &str, object: &str) -> anyhow::Result<T> {
    let mut payload = data[field].take();
    let refusals = payload["userErrors"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !refusals.is_empty() {
        let sentences: Vec<&str> = refusals.iter().filter_map(|refusal| refusal["message"].as_str()).collect();
        bail!(sentences.join(" "));
    }
    let name = object.split_whitespace().next().unwrap_or(object);
    read(payload[name].take(), field)
}

/// Reads what came under a field.
///
/// # Errors
/// When it has another shape than was asked for.
pub fn read<T: DeserializeOwned>(value: Value, field: &str) -> anyhow::Result<T> {
    serde_json::from_value(value).with_context(|| format!("What the service says under `{field}` is not understood."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutation_is_written_by_the_apis_custom() {
        let expected = "mutation($input: SignUpInput!) { signUp(input: $input) { email userErrors { message } } }";
        assert_eq!(mutation("signUp", "email"), expected);
    }

    #[test]
    fn the_object_or_the_services_sentences() {
        let data = |lora: Value, errors: Value| json!({ "publishLora": { "lora": lora, "userErrors": errors } });
        let read = |data| outcome::<Identified>(data, "publishLora", "lora { id }");
        assert_eq!(read(data(json!({ "id": "lora_1" }), json!([]))).unwrap().id, "lora_1");
        let refused = data(Value::Null, json!([{ "message": "Name the licence." }, { "message": "Do." }]));
        assert_eq!(read(refused).unwrap_err().to_string(), "Name the licence. Do.");
        let strange = read(data(Value::Null, json!([]))).unwrap_err().to_string();
        assert!(strange.contains("`publishLora`"), "{strange}");
    }
}

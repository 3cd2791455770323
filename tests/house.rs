//! A house of its own for each test, and people in it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use atelier::{config::ServeSettings, service::Service};
use atelier_domain::{database::Database, ports::tls};
use clap::Parser;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Makes a test of a function for each engine: `on_each_engine!(a_test, another)`.
macro_rules! on_each_engine {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                super::$name(crate::house::Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                if crate::house::postgres().is_some() {
                    super::$name(crate::house::Engine::Postgres).await;
                } else {
                    println!("skipped: ATELIER_TEST_POSTGRES names no server");
                }
            }
        }
    )*};
}
pub(crate) use on_each_engine;

/// The server that tests on PostgreSQL use.
#[allow(clippy::disallowed_methods, reason = "tests are told by the environment where PostgreSQL is")]
pub fn postgres() -> Option<String> {
    env::var("ATELIER_TEST_POSTGRES").ok().filter(|url| !url.is_empty())
}

/// Reads settings as the command line would.
#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    settings: ServeSettings,
}

/// A service in a folder of its own.
pub struct House {
    pub service: Service,
    pub url: String,
    pub database_url: String,
    folder: TempDir,
    http: reqwest::Client,
    postgres: Option<(String, SemaphorePermit<'static>)>,
}

/// Somebody with an account who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub email: String,
    pub team: String,
    pub token: String,
    pub refresh_token: String,
}

/// A LoRA that was made of a file.
#[derive(Clone, Debug)]
pub struct ImportedLora {
    pub id: String,
    pub version: String,
    pub upload: String,
}

/// The password of everybody.
pub const PASSWORD: &str = "correct horse battery staple";

static HOUSES: AtomicUsize = AtomicUsize::new(0);

/// Each house takes up to 20 connections, and a server as it comes has 100.
static POSTGRES_HOUSES: Semaphore = Semaphore::const_new(4);

impl House {
    /// A house without a worker.
    pub async fn open(engine: Engine) -> Self {
        Self::open_with(engine, &["--worker", "off"]).await
    }

    /// The same, whose callers may ask as much as they like.
    pub async fn open_patient(engine: Engine) -> Self {
        let rate = ["--worker", "off", "--rate-burst", "1000000000", "--rate-per-second", "1000000"];
        Self::open_with(engine, &rate).await
    }

    /// A house with these arguments beside those that every test needs.
    pub async fn open_with(engine: Engine, arguments: &[&str]) -> Self {
        Self::open_in(tempfile::tempdir().unwrap(), engine, arguments).await
    }

    /// Ends the service and starts it anew, with other arguments beside those that every test needs.
    pub async fn restarted(self, arguments: &[&str]) -> Self {
        let Self { service, database_url, folder, http, postgres, .. } = self;
        service.shutdown().cancel();
        service.ended().await.unwrap();
        let service = started(&folder, &database_url, arguments).await;
        let url = format!("http://{}", service.address);
        Self { service, url, database_url, folder, http, postgres }
    }

    /// The same, whose things are in a folder's `data`, where some may be already.
    pub async fn open_in(folder: TempDir, engine: Engine, arguments: &[&str]) -> Self {
        let data = folder.path().join("data").to_str().unwrap().to_owned();
        let name = format!("atelier_test_{}_{}", std::process::id(), HOUSES.fetch_add(1, Ordering::Relaxed));
        let (database_url, postgres) = match engine {
            Engine::Sqlite => (format!("sqlite:{data}/atelier.sqlite3"), None),
            Engine::Postgres => {
                let place = POSTGRES_HOUSES.acquire().await.unwrap();
                (create_database(&name).await, Some((name, place)))
            }
        };
        let service = started(&folder, &database_url, arguments).await;
        let url = format!("http://{}", service.address);
        Self { service, url, database_url, folder, http: reqwest::Client::new(), postgres }
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A client without any manners of its own.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The bytes behind a link.
    pub async fn fetch(&self, url: &str) -> Vec<u8> {
        let response = self.http.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200, "{url}");
        response.bytes().await.unwrap().to_vec()
    }

    /// Sends a document; gives status and body.
    pub async fn send(&self, token: Option<&str>, query: &str, variables: Value) -> (u16, Value) {
        let mut request = self
            .http
            .post(format!("{}/graphql", self.url))
            .header("accept", "application/graphql-response+json")
            .json(&json!({ "query": query, "variables": variables }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// The data of a document that must not fail.
    pub async fn data_of(&self, token: Option<&str>, query: &str, variables: Value) -> Value {
        let (status, body) = self.send(token, query, variables).await;
        assert!(status == 200 && body["errors"].is_null(), "{status} {body}\nto {query}");
        body["data"].clone()
    }

    /// The code of the first of `errors[]`.
    pub async fn refusal(&self, token: Option<&str>, query: &str, variables: Value) -> String {
        let (_, body) = self.send(token, query, variables).await;
        body["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{body}\nto {query}")).to_owned()
    }

    /// Calls a mutation `name(input: …)` and gives its payload, whose fields are in `fields`. It may hold `userErrors`.
    pub async fn call(&self, person: &Person, name: &str, input: Value, fields: &str) -> Value {
        self.call_as(Some(&person.token), name, input, fields).await
    }

    /// The same for whoever has a token, or nobody.
    pub async fn call_as(&self, token: Option<&str>, name: &str, input: Value, fields: &str) -> Value {
        let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        let document = format!(
            "mutation ($input: {kind}!) {{ {name}(input: $input) {{ {fields} userErrors {{ field message code }} }} }}"
        );
        self.data_of(token, &document, json!({ "input": input })).await[name].clone()
    }

    /// Calls a mutation that must do what it is asked.
    pub async fn done(&self, person: &Person, name: &str, input: Value, fields: &str) -> Value {
        let payload = self.call(person, name, input, fields).await;
        assert_eq!(payload["userErrors"], json!([]), "{name}");
        payload
    }

    /// Calls a mutation that must be refused with a user error; gives its code.
    pub async fn user_error(&self, person: &Person, name: &str, input: Value, fields: &str) -> String {
        let payload = self.call(person, name, input, fields).await;
        payload["userErrors"][0]["code"].as_str().unwrap_or_else(|| panic!("{name}: {payload}")).to_owned()
    }

    /// Calls a mutation that must be refused as a whole; gives the code.
    pub async fn refused(&self, person: &Person, name: &str, input: Value) -> String {
        let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        let document = format!("mutation ($input: {kind}!) {{ {name}(input: $input) {{ userErrors {{ code }} }} }}");
        self.refusal(Some(&person.token), &document, json!({ "input": input })).await
    }

    /// Signs somebody up, follows the link in the mail, and signs them in.
    pub async fn person(&self, handle: &str) -> Person {
        let email = format!("{handle}@atelier.test");
        let input = json!({ "email": email, "password": PASSWORD, "handle": handle });
        let payload = self.call_as(None, "signUp", input, "email").await;
        assert_eq!(payload["userErrors"], json!([]));
        let token = self.mail_token(&email).await;
        let payload = self.call_as(None, "verifyEmail", json!({ "token": token }), "user { id }").await;
        assert_eq!(payload["userErrors"], json!([]));
        self.sign_in(&email).await
    }

    /// Signs somebody in.
    pub async fn sign_in(&self, email: &str) -> Person {
        let fields = "session { accessToken refreshToken }";
        let payload = self.call_as(None, "signIn", json!({ "email": email, "password": PASSWORD }), fields).await;
        assert_eq!(payload["userErrors"], json!([]));
        let token = payload["session"]["accessToken"].as_str().unwrap().to_owned();
        let refresh_token = payload["session"]["refreshToken"].as_str().unwrap().to_owned();
        let viewer = self.data_of(Some(&token), "{ viewer { user { id } personalTeam { id } } }", json!({})).await;
        Person {
            id: viewer["viewer"]["user"]["id"].as_str().unwrap().to_owned(),
            team: viewer["viewer"]["personalTeam"]["id"].as_str().unwrap().to_owned(),
            email: email.to_owned(),
            token,
            refresh_token,
        }
    }

    /// The token of the newest mail to an address, as its reader would copy it; waits for the mail.
    pub async fn mail_token(&self, email: &str) -> String {
        for _ in 0..2_400 {
            if let Some(token) = self.mails(email).last().and_then(|mail| token_in(mail)) {
                return token;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("no mail with a link came to {email}");
    }

    /// The mails to an address that lie in the outbox, oldest first.
    pub fn mails(&self, email: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.data().join("outbox")) else { return Vec::new() };
        let mut mails: Vec<_> = entries
            .filter_map(|entry| {
                let entry = entry.unwrap();
                let text = fs::read_to_string(entry.path()).ok()?;
                let is_theirs = text.lines().any(|line| line.starts_with("To: ") && line.contains(email));
                is_theirs.then(|| (entry.metadata().unwrap().modified().unwrap(), text))
            })
            .collect();
        mails.sort_by_key(|(time, _)| *time);
        mails.into_iter().map(|(_, text)| text).collect()
    }

    /// Uploads a file for a purpose; gives the upload's id.
    pub async fn upload(
        &self,
        person: &Person,
        purpose: &str,
        target: Option<&str>,
        name: &str,
        bytes: &[u8],
    ) -> String {
        let input = json!({ "purpose": purpose, "fileName": name, "size": bytes.len(), "targetId": target });
        self.send_file(person, input, bytes).await
    }

    /// Announces a file and sends it in one piece; gives the upload's id.
    pub async fn send_file(&self, person: &Person, announced: Value, bytes: &[u8]) -> String {
        let upload = self.done(person, "createUpload", announced, "upload { id url }").await["upload"].clone();
        let response = self.http.put(text(&upload["url"])).body(bytes.to_vec()).send().await.unwrap();
        assert!(response.status().is_success(), "{} {}", response.status(), response.text().await.unwrap());
        text(&upload["id"])
    }

    /// A draft of a LoRA file that was brought to a team; the person's own without one.
    pub async fn lora_from_file(&self, person: &Person, team: Option<&str>, name: &str, bytes: &[u8]) -> ImportedLora {
        let file = format!("{name}.safetensors");
        let announced = json!({ "purpose": "LORA_FILE", "fileName": file, "size": bytes.len(), "teamId": team });
        let upload = self.send_file(person, announced, bytes).await;
        let input = json!({ "uploadId": upload, "name": name });
        let version = self.done(person, "importLora", input, "version { id lora { id } }").await["version"].clone();
        ImportedLora { id: text(&version["lora"]["id"]), version: text(&version["id"]), upload }
    }

    /// The same, published.
    pub async fn published_lora(&self, person: &Person, name: &str, bytes: &[u8]) -> ImportedLora {
        let lora = self.lora_from_file(person, None, name, bytes).await;
        self.done(person, "publishLora", json!({ "id": lora.id, "license": "CC0-1.0" }), "lora { id }").await;
        lora
    }

    /// What a team may spend and what is set aside, as a member sees it.
    pub async fn credits(&self, person: &Person, team: &str) -> (i64, i64) {
        let query = "query ($id: ID!) { team(id: $id) { credits { available reserved } } }";
        let credits = self.data_of(Some(&person.token), query, json!({ "id": team })).await["team"]["credits"].clone();
        (credits["available"].as_i64().unwrap(), credits["reserved"].as_i64().unwrap())
    }

    /// Widths of the starter model: of its network, of its text context.
    pub fn starter_widths(&self) -> (usize, usize) {
        let config = fs::read(self.data().join("models/starter/transformer/config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        let number = |name: &str| usize::try_from(config[name].as_u64().unwrap()).unwrap();
        (number("num_attention_heads") * number("attention_head_dim"), number("joint_attention_dim"))
    }

    /// A data set with the first `count` of the bundled pictures, with their names as captions.
    pub async fn dataset(&self, person: &Person, name: &str, count: usize) -> String {
        let input = json!({ "name": name });
        let dataset = self.done(person, "createDataset", input, "dataset { id }").await["dataset"]["id"].clone();
        let dataset = dataset.as_str().unwrap().to_owned();
        for file in pictures().into_iter().take(count) {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            self.upload(person, "DATASET_PICTURE", Some(&dataset), &name, &fs::read(file).unwrap()).await;
        }
        dataset
    }

    /// Ends the service as a signal would, and removes the database.
    pub async fn close(self) {
        self.service.shutdown().cancel();
        self.service.ended().await.unwrap();
        if let Some((name, _place)) = &self.postgres {
            let server = Database::connect(&postgres().unwrap()).await.unwrap();
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            server.writer().execute_unprepared(&drop).await.unwrap();
        }
    }
}

/// A text of an answer.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// The nodes of a connection.
pub fn nodes(connection: &Value) -> Vec<Value> {
    let edges = connection["edges"].as_array().unwrap_or_else(|| panic!("{connection} is no connection"));
    edges.iter().map(|edge| edge["node"].clone()).collect()
}

/// The least number of statements that something takes in several tries. The loops behind the requests send some as well until they
/// have done what there is to do, so that it is tried again, with pauses, while it takes more than `most`.
pub async fn least_statements(house: &House, most: u64, ask: impl AsyncFn()) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..TRIES {
        let before = house.service.house.db.statements();
        ask().await;
        least = least.min(house.service.house.db.statements() - before);
        if least <= most {
            break;
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    least
}

/// Longer than anything here takes: a test that has tried so often has failed.
pub const TRIES: u32 = 2_400;
pub const BETWEEN_TRIES: std::time::Duration = std::time::Duration::from_millis(50);

/// Asks again and again for what the house does after it has answered, such as searching and telling.
pub async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..TRIES {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    panic!("in vain waited for {what}");
}

/// A service whose things are in a folder's `data`.
async fn started(folder: &TempDir, database_url: &str, arguments: &[&str]) -> Service {
    let data = folder.path().join("data").to_str().unwrap().to_owned();
    let required = ["atelier", "--listen", "127.0.0.1:0", "--data", &data, "--database-url", database_url];
    // Thirty pictures for every LoRA that is published: for the tests that are about them.
    let measures: &[&str] =
        if arguments.contains(&"--measure-compatibility") { &[] } else { &["--measure-compatibility", "off"] };
    let all = required.iter().chain(measures).chain(arguments).copied();
    tls::use_ring();
    let settings = Serve::try_parse_from(all).unwrap().settings;
    Service::start(settings, None).await.unwrap()
}

async fn create_database(name: &str) -> String {
    let url = postgres().unwrap();
    let server = Database::connect(&url).await.unwrap();
    server.writer().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let (before, _) = url.rsplit_once('/').unwrap();
    format!("{before}/{name}")
}

/// The bundled pictures, in the order of their names.
pub fn pictures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/demo");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What stands behind `#token=` in a mail. Long lines of a mail are folded with `=` at their ends.
fn token_in(mail: &str) -> Option<String> {
    let text = mail.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    let (_, rest) = text.split_once("#token=")?;
    let token: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    (!token.is_empty()).then_some(token)
}

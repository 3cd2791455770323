//! A toy service behind the real edge.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_graphql::{Context, Object, Result, Schema, SimpleObject, Subscription};
use async_trait::async_trait;
use atelier::{
    graphql::executor::AnySchema,
    http::{
        AppState, HttpSettings,
        ports::{
            AuthenticationError, Authenticator, Blob, BlobSource, LinkQuery, MailEndings, Pieces, Readiness, Session,
            TransferError, UploadProgress, UploadSink,
        },
        router,
    },
    server::Lifetime,
};
use axum::{Router, body::Body};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// Who is signed in.
#[derive(Clone)]
pub struct User(pub &'static str);

pub struct Query;

#[derive(SimpleObject)]
struct Item {
    id: i32,
    title: String,
}

struct Nest;

#[Object]
impl Nest {
    async fn nest(&self) -> Nest {
        Nest
    }

    async fn leaf(&self) -> i32 {
        1
    }
}

#[Object]
impl Query {
    /// Who asks.
    async fn me(&self, ctx: &Context<'_>) -> Option<&'static str> {
        ctx.data_opt::<User>().map(|user| user.0)
    }

    async fn echo(&self, text: String) -> String {
        text
    }

    async fn sum(&self, values: Vec<Vec<i32>>) -> i32 {
        values.iter().flatten().sum()
    }

    async fn items(&self, first: i32) -> Vec<Item> {
        (0..first).map(|id| Item { id, title: format!("Item {id}") }).collect()
    }

    async fn nest(&self) -> Nest {
        Nest
    }

    /// A failure nobody expected, let through by `?`.
    async fn leaks(&self) -> Result<i32> {
        Err(async_graphql::Error::new_with_source(std::io::Error::other("password=hunter2")))
    }

    async fn panics(&self) -> i32 {
        if std::hint::black_box(true) { panic!("password=hunter2") } else { 1 }
    }

    async fn sleeps(&self) -> i32 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        1
    }
}

pub struct Mutation;

#[Object]
impl Mutation {
    async fn bump(&self) -> i32 {
        1
    }
}

pub struct Subscriptions;

#[Subscription]
impl Subscriptions {
    /// Counts up, then ends.
    async fn count(&self, to: i32) -> impl Stream<Item = i32> + use<> {
        stream::iter(1..=to)
    }

    /// Never ends.
    async fn ticks(&self) -> impl Stream<Item = i32> + use<> {
        stream::unfold(0, |n| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((n, n + 1))
        })
    }

    async fn refuses(&self) -> Result<impl Stream<Item = i32> + use<>> {
        match 1 {
            1 => Err(async_graphql::Error::new("There is nothing to watch.")),
            _ => Ok(stream::empty()),
        }
    }

    async fn panics(&self) -> impl Stream<Item = i32> + use<> {
        stream::iter(1..=2).map(|n| if n == 1 { n } else { panic!("password=hunter2") })
    }
}

/// The toy's ports.
pub struct Toy {
    files: Mutex<HashMap<String, Vec<u8>>>,
}

#[async_trait]
impl Authenticator for Toy {
    async fn authenticate(&self, token: &str) -> Result<Session, AuthenticationError> {
        match token {
            "good" => Ok(Session::new("ann", User("ann"))),
            "brief" => Ok(Session::new("bea", User("bea")).living(Duration::from_millis(300))),
            "broken" => Err(anyhow::anyhow!("password=hunter2").into()),
            _ => Err(AuthenticationError::Refused("This token is not valid. Sign in again.".into())),
        }
    }
}

/// Bytes that every upload announces.
pub const UPLOAD_SIZE: u64 = 10;

/// The one file that can be read.
pub const FILE: &[u8] = b"0123456789";

/// Its name.
pub const SHA256: &str = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";

impl Toy {
    fn check(id: &str, link: &LinkQuery) -> Result<(), TransferError> {
        if id == "u1" && link.get("signature").is_some_and(|signature| signature == "ok") {
            return Ok(());
        }
        Err(TransferError::NotFound("There is no such upload. Ask the API for a new link.".into()))
    }

    fn received(&self, id: &str) -> u64 {
        self.files.lock().unwrap().get(id).map_or(0, |file| file.len() as u64)
    }
}

#[async_trait]
impl UploadSink for Toy {
    async fn progress(&self, id: &str, link: &LinkQuery) -> Result<UploadProgress, TransferError> {
        Self::check(id, link)?;
        Ok(UploadProgress { received: self.received(id), size: UPLOAD_SIZE })
    }

    async fn receive(
        &self,
        id: &str,
        link: &LinkQuery,
        offset: u64,
        mut pieces: Pieces,
    ) -> Result<UploadProgress, TransferError> {
        Self::check(id, link)?;
        let received = self.received(id);
        if offset != received {
            let message = format!("{received} bytes are here. Go on there.");
            return Err(TransferError::Conflict { message, received: Some(received) });
        }
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| TransferError::Invalid("The sender broke off.".into()))?;
            if self.received(id) + piece.len() as u64 > UPLOAD_SIZE {
                return Err(TransferError::TooLarge(format!("Only {UPLOAD_SIZE} bytes were announced.")));
            }
            self.files.lock().unwrap().entry(id.to_owned()).or_default().extend_from_slice(&piece);
        }
        self.progress(id, link).await
    }
}

#[async_trait]
impl BlobSource for Toy {
    async fn open(&self, sha256: &str, file_name: Option<&str>, link: &LinkQuery) -> Result<Blob, TransferError> {
        if sha256 != SHA256 || link.get("signature").is_none_or(|signature| signature != "ok") {
            return Err(TransferError::NotFound("There is no such file. Ask the API for a new link.".into()));
        }
        let picture = file_name.is_some_and(|name| name.ends_with(".png"));
        Ok(Blob {
            sha256: sha256.to_owned(),
            size: FILE.len() as u64,
            media_type: if picture { "image/png" } else { "text/html" }.into(),
            file_name: file_name.map(str::to_owned),
            link_life: Some(Duration::from_secs(60)),
        })
    }

    async fn read(&self, _: &Blob, range: Range<u64>) -> Result<Pieces, TransferError> {
        let part = Bytes::copy_from_slice(&FILE[range.start as usize..range.end as usize]);
        Ok(stream::iter([Ok(part)]).boxed())
    }
}

#[async_trait]
impl MailEndings for Toy {
    async fn look(&self, link: &LinkQuery) -> Result<String, TransferError> {
        Self::check("u1", link).map(|()| "mails about <foxes> & hares".to_owned())
    }

    async fn end(&self, link: &LinkQuery) -> Result<String, TransferError> {
        self.look(link).await
    }
}

#[async_trait]
impl Readiness for Toy {
    async fn missing(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The toy's state, after a change of its settings.
pub fn state(change: impl FnOnce(&mut HttpSettings)) -> AppState {
    let mut settings = HttpSettings::new(false, "http://127.0.0.1");
    change(&mut settings);
    let toy = Arc::new(Toy { files: Mutex::default() });
    AppState {
        schema: AnySchema::new(Schema::build(Query, Mutation, Subscriptions), &settings.guard),
        authenticator: toy.clone(),
        uploads: toy.clone(),
        blobs: toy.clone(),
        mail_endings: toy.clone(),
        readiness: toy,
        per_request: Arc::new(|request, _| request),
        metrics: None,
        lifetime: Lifetime::default(),
        settings: Arc::new(settings),
    }
}

/// The toy with its usual settings.
pub fn app() -> Router {
    router(state(|_| {}))
}

/// What came back.
pub struct Reply {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Code and sentence of the first error.
    pub fn error(&self) -> (String, String) {
        let json = self.json();
        let error = &json["errors"][0];
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        (text(&error["extensions"]["code"]), text(&error["message"]))
    }
}

/// Sends a request through the router.
pub async fn send(app: &Router, request: Request<Body>) -> Reply {
    let response: Response<Body> = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Reply { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// Asks a document by POST with the media type of GraphQL responses.
pub async fn ask(app: &Router, query: &str) -> Reply {
    ask_with(app, serde_json::json!({ "query": query }), &[]).await
}

/// Asks with a whole body and more headers.
pub async fn ask_with(app: &Router, body: serde_json::Value, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::post("/graphql").header("content-type", "application/json");
    if !headers.iter().any(|(name, _)| *name == "accept") {
        request = request.header("accept", "application/graphql-response+json");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(app, request.body(Body::from(body.to_string())).unwrap()).await
}

/// The toy on a real socket.
pub async fn serve(state: AppState) -> (std::net::SocketAddr, Lifetime, tokio::task::JoinHandle<anyhow::Result<()>>) {
    let lifetime = state.lifetime.clone();
    let listener = atelier::server::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = atelier::server::ServerSettings::default();
    let serving = tokio::spawn(atelier::server::serve(listener, router(state), settings, lifetime.clone()));
    (address, lifetime, serving)
}

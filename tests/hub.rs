//! A hub of models of our own, that speaks the routes of the Hugging Face hub: what a repository holds, its small files,
//! and where its large ones lie, which is with another server. It can break connections and bytes.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path as FilePath, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

/// The repository that is there.
pub const REPOSITORY: &str = "ada/tiny-klein";

/// The commit of its branch `main`.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The token that is let in where one is needed.
pub const TOKEN: &str = "hf_sesame";

/// What goes wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks after half of it, once.
    Break,
    /// The server is not well, once.
    Unavailable,
    /// Nothing more comes after half of it, once.
    Stall,
    /// One byte is another, always.
    Flip,
}

/// A request for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Whether it came to the server of large files.
    pub elsewhere: bool,
    pub path: String,
    pub range: Option<String>,
    pub if_range: Option<String>,
    pub authorization: Option<String>,
}

/// What the hub holds and does.
#[derive(Default)]
pub struct Shelf {
    pub files: BTreeMap<String, Vec<u8>>,
    /// Listed beside the files, with sizes and hashes of nothing.
    pub listed_too: Vec<String>,
    pub card: Value,
    pub is_gated: bool,
    pub faults: BTreeMap<String, Fault>,
    pub asked: Vec<Asked>,
    elsewhere: String,
}

/// The two servers. They end with the test.
#[derive(Clone)]
pub struct Hub {
    pub endpoint: String,
    shelf: Arc<Mutex<Shelf>>,
}

impl Hub {
    /// A hub whose repository holds a folder.
    pub async fn open(folder: &FilePath) -> Self {
        let mut files = BTreeMap::new();
        collect(folder, folder, &mut files);
        // What every repository holds beside, and nobody needs here.
        for name in ["README.md", "LICENSE.md", ".gitattributes", "whole.safetensors", "vae/model.onnx", "sample.png"] {
            files.insert(name.to_owned(), name.as_bytes().to_vec());
        }
        let shelf = Shelf { files, card: json!({ "license": "apache-2.0" }), ..Shelf::default() };
        let shelf = Arc::new(Mutex::new(shelf));
        let files = Router::new().route("/large/{*path}", get(large)).with_state(shelf.clone());
        shelf.lock().unwrap().elsewhere = serve(files).await;
        let hub = Router::new()
            .route("/api/models/ada/tiny-klein/revision/{revision}", get(info))
            .route("/ada/tiny-klein/resolve/{commit}/{*path}", get(resolve))
            .fallback(async || (StatusCode::UNAUTHORIZED, [("x-error-code", "RepoNotFound")]))
            .with_state(shelf.clone());
        Self { endpoint: serve(hub).await, shelf }
    }

    pub fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap()
    }

    /// The requests for files since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shelf().asked)
    }
}

fn collect(root: &FilePath, folder: &FilePath, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(path).unwrap());
        }
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn is_large(path: &str) -> bool {
    path.ends_with(".safetensors")
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

async fn info(State(shelf): State<Arc<Mutex<Shelf>>>, Path(revision): Path<String>) -> Response {
    if revision != "main" && revision != COMMIT {
        return (StatusCode::NOT_FOUND, [("x-error-code", "RevisionNotFound")]).into_response();
    }
    let shelf = shelf.lock().unwrap();
    let git = |bytes: &[u8]| {
        format!("{:x}", Sha1::new_with_prefix(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize())
    };
    let mut siblings: Vec<Value> = shelf
        .files
        .iter()
        .map(|(path, bytes)| {
            let mut sibling = json!({ "rfilename": path, "size": bytes.len(), "blobId": git(bytes) });
            if is_large(path) {
                sibling["blobId"] = json!(git(b"a pointer"));
                sibling["lfs"] = json!({ "sha256": sha256(bytes), "size": bytes.len(), "pointerSize": 130 });
            }
            sibling
        })
        .collect();
    siblings.extend(shelf.listed_too.iter().map(|path| json!({ "rfilename": path, "size": 0, "blobId": git(b"") })));
    let gated = if shelf.is_gated { json!("manual") } else { json!(false) };
    let info = json!({ "id": REPOSITORY, "sha": COMMIT, "gated": gated, "cardData": shelf.card, "siblings": siblings });
    axum::Json(info).into_response()
}

async fn resolve(
    State(shelf): State<Arc<Mutex<Shelf>>>,
    Path((commit, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    assert_eq!(commit, COMMIT, "a branch may move between two files");
    let mut shelf = shelf.lock().unwrap();
    shelf.asked.push(asked(false, &path, &headers));
    if shelf.is_gated {
        match shelf.asked.last().unwrap().authorization.as_deref() {
            Some("Bearer hf_sesame") => {}
            Some(_) => return (StatusCode::FORBIDDEN, [("x-error-code", "GatedRepo")]).into_response(),
            None => return (StatusCode::UNAUTHORIZED, [("x-error-code", "GatedRepo")]).into_response(),
        }
    }
    let Some(bytes) = shelf.files.get(&path) else {
        return (StatusCode::NOT_FOUND, [("x-error-code", "EntryNotFound")]).into_response();
    };
    if is_large(&path) {
        let location = format!("{}/large/{path}?signature=secret", shelf.elsewhere);
        let etag = format!("\"{}\"", sha256(bytes));
        let linked = [("x-linked-size", bytes.len().to_string()), ("x-linked-etag", etag)];
        return (StatusCode::FOUND, linked, [(header::LOCATION, location)]).into_response();
    }
    send(&mut shelf, &path, &headers)
}

async fn large(State(shelf): State<Arc<Mutex<Shelf>>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    let mut shelf = shelf.lock().unwrap();
    shelf.asked.push(asked(true, &path, &headers));
    send(&mut shelf, &path, &headers)
}

fn asked(elsewhere: bool, path: &str, headers: &HeaderMap) -> Asked {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    Asked {
        elsewhere,
        path: path.to_owned(),
        range: text(header::RANGE),
        if_range: text(header::IF_RANGE),
        authorization: text(header::AUTHORIZATION),
    }
}

/// Sends a file or the rest of it, with whatever goes wrong.
fn send(shelf: &mut Shelf, path: &str, headers: &HeaderMap) -> Response {
    let mut bytes = shelf.files[path].clone();
    let etag = format!("\"{}\"", &sha256(&bytes)[..16]);
    let size = bytes.len();
    let range = headers.get(header::RANGE).map(|range| range.to_str().unwrap().to_owned());
    let same = headers.get(header::IF_RANGE).is_none_or(|wanted| wanted == etag.as_str());
    let from: usize = match range.filter(|_| same) {
        Some(range) => range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap(),
        None => 0,
    };
    let fault = shelf.faults.get(path).copied();
    if fault == Some(Fault::Flip) {
        bytes[size / 2] ^= 1;
    } else {
        shelf.faults.remove(path);
    }
    if fault == Some(Fault::Unavailable) {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "0")]).into_response();
    }
    let mut response = Response::builder().header(header::ETAG, etag).header(header::CONTENT_LENGTH, size - from);
    if from > 0 {
        let span = format!("bytes {from}-{}/{size}", size - 1);
        response = response.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, span);
    }
    let half = stream::iter([Ok(Bytes::from(bytes[from..size / 2 + from / 2].to_vec()))]);
    let body = match fault {
        Some(Fault::Break) => {
            // The half must have left before the connection breaks.
            let broken = stream::once(async {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                Err(io::Error::other("broken"))
            });
            Body::from_stream(half.chain(broken))
        }
        Some(Fault::Stall) => Body::from_stream(half.chain(stream::pending::<io::Result<Bytes>>())),
        Some(Fault::Flip | Fault::Unavailable) | None => Body::from(bytes[from..].to_vec()),
    };
    response.body(body).unwrap()
}

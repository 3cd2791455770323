//! What every store of blobs does, asked of a folder and of a server that speaks S3.

use std::{fs, net::SocketAddr};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;

use super::*;

const BUCKET: &str = "pictures";
const KEY_ID: &str = "key";
const SECRET: &str = "secret";

/// Larger than two parts of a multipart upload, and no multiple of anything.
const LARGE: usize = 11_000_003;

#[tokio::test]
async fn a_folder_keeps_blobs() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(&BlobSettings::Folder(folder.path().join("blobs"))).unwrap();
    conforms(&blobs).await;
}

#[tokio::test]
async fn s3_keeps_blobs() {
    let server = S3Server::start().await;
    let blobs = Blobs::open(&server.settings(SECRET)).unwrap();
    conforms(&blobs).await;
}

#[tokio::test]
async fn s3_refuses_a_wrong_secret() {
    let server = S3Server::start().await;
    let blobs = Blobs::open(&server.settings("guessed")).unwrap();
    assert!(blobs.check().await.is_err());
    assert!(blobs.put("words", "text/plain").await.is_err());
}

async fn conforms(blobs: &Blobs) {
    blobs.check().await.unwrap();
    let words = Bytes::from_static(b"words");
    let name = hex::encode(Sha256::digest(&words));
    assert!(!blobs.holds(&name).await.unwrap());
    assert!(blobs.read(&name).await.is_err());

    let stored = blobs.put(words.clone(), "text/plain").await.unwrap();
    assert_eq!(stored, Stored { sha256: name.clone(), size: 5, media_type: "text/plain" });
    assert_eq!(blobs.put(words.clone(), "text/plain").await.unwrap(), stored);
    assert!(blobs.holds(&name).await.unwrap());
    assert_eq!(blobs.read(&name).await.unwrap(), words);
    blobs.check().await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let (large, copy) = (folder.path().join("large"), folder.path().join("copy"));
    let bytes: Vec<u8> = (0..LARGE).map(|place| (place % 251) as u8).collect();
    fs::write(&large, &bytes).unwrap();
    let stored = blobs.put_file(&large, "application/octet-stream").await.unwrap();
    assert_eq!((&stored.sha256, stored.size), (&hex::encode(Sha256::digest(&bytes)), i64::try_from(LARGE).unwrap()));

    blobs.copy_to(&stored.sha256, &copy).await.unwrap();
    assert!(fs::read(&copy).unwrap() == bytes, "the copy differs");
    let part = 5_000_000..6_000_001;
    let pieces: Vec<Bytes> = blobs.stream(&stored.sha256, part.clone()).await.unwrap().try_collect().await.unwrap();
    let range = usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap();
    assert!(pieces.concat() == bytes[range], "the part differs");
}

/// A server that speaks S3, checks signatures and keeps one bucket in a folder.
struct S3Server {
    address: SocketAddr,
    _folder: TempDir,
}

impl S3Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let service = service.build();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    // A client that goes away is no failure of the server's.
                    let _ = builder.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { address, _folder: folder }
    }

    fn settings(&self, secret: &str) -> BlobSettings {
        BlobSettings::S3 {
            bucket: BUCKET.to_owned(),
            region: "us-east-1".to_owned(),
            endpoint: Some(format!("http://{}", self.address)),
            access_key_id: Some(KEY_ID.to_owned()),
            secret_access_key: Some(secret.to_owned()),
        }
    }
}

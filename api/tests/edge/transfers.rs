//! Files in and out.

use axum::body::Body;
use futures::StreamExt as _;
use http::Request;

use crate::toy::{FILE, SHA256, app, send};

const LINK: &str = "/uploads/u1?signature=ok";

#[tokio::test]
async fn an_upload_goes_on_where_it_broke_off() {
    let app = app();
    let first =
        futures::stream::iter([Ok("0123"), Err(std::io::Error::other("gone"))]).map(|piece| piece.map(str::to_owned));
    let broken = send(&app, Request::put(LINK).body(Body::from_stream(first)).unwrap()).await;
    assert_eq!(broken.status, 400);
    let head = send(&app, Request::head(LINK).body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.header("upload-offset"), head.header("upload-length")), (200, "4", "10"));
    let wrong = send(&app, Request::put(LINK).header("upload-offset", "9").body(Body::from("x")).unwrap()).await;
    assert_eq!((wrong.status, wrong.header("upload-offset")), (409, "4"));
    let more = Request::put(LINK).header("content-range", "bytes 4-6/10").body(Body::from("456")).unwrap();
    let more = send(&app, more).await;
    assert_eq!((more.status, more.json()["complete"].as_bool()), (200, Some(false)));
    let rest = Request::patch(LINK).header("upload-offset", "7").body(Body::from("789")).unwrap();
    assert_eq!(send(&app, rest).await.json()["complete"], true);
}

#[tokio::test]
async fn an_upload_is_refused_with_a_sentence() {
    let app = app();
    for (request, status) in [
        (Request::put("/uploads/u1?signature=forged").body(Body::from("x")), 404),
        (Request::put("/uploads/u2?signature=ok").body(Body::from("x")), 404),
        (Request::put(LINK).body(Body::from("more than ten bytes")), 413),
        (Request::put(LINK).header("content-range", "words").body(Body::from("x")), 400),
        (Request::get(LINK).body(Body::empty()), 405),
    ] {
        let reply = send(&app, request.unwrap()).await;
        assert_eq!(reply.status, status);
        assert!(reply.error().1.ends_with('.'), "{:?}", reply.error());
    }
}

#[tokio::test]
async fn a_sender_that_falls_silent_is_given_up() {
    let settings = |settings: &mut atelier::http::HttpSettings| {
        settings.upload_silence = std::time::Duration::from_millis(50);
    };
    let app = atelier::http::router(crate::toy::state(settings));
    let silent = futures::stream::iter([Ok::<_, std::io::Error>("0123")]).chain(futures::stream::pending());
    let reply = send(&app, Request::put(LINK).body(Body::from_stream(silent)).unwrap()).await;
    assert_eq!(reply.status, 400);
    let head = send(&app, Request::head(LINK).body(Body::empty()).unwrap()).await;
    assert_eq!(head.header("upload-offset"), "4", "what came is kept");
}

#[tokio::test]
async fn a_file_is_saved_and_a_picture_shown() {
    let app = app();
    let get = |path: String| send_get(app.clone(), path);
    let page = get(format!("/blobs/{SHA256}/page.html?signature=ok")).await;
    assert_eq!((page.status, page.body.as_slice()), (200, FILE));
    assert!(page.header("content-disposition").starts_with("attachment; filename=\"page.html\""));
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert!(page.header("content-security-policy").contains("sandbox"));
    assert_eq!(page.header("cache-control"), "private, max-age=60, immutable");
    let picture = get(format!("/blobs/{SHA256}/fox.png?signature=ok")).await;
    assert!(picture.header("content-disposition").starts_with("inline;"));
    let saved = get(format!("/blobs/{SHA256}/fox.png?signature=ok&download=1")).await;
    assert!(saved.header("content-disposition").starts_with("attachment;"));
    for wrong in [format!("/blobs/{SHA256}?signature=forged"), "/blobs/..%2f..%2fetc?signature=ok".into()] {
        assert_eq!(get(wrong).await.status, 404);
    }
}

async fn send_get(app: axum::Router, path: String) -> crate::toy::Reply {
    send(&app, Request::get(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn parts_and_known_files_are_answered_as_http_has_them() {
    let app = app();
    let path = format!("/blobs/{SHA256}/page.html?signature=ok");
    let tag = format!("\"{SHA256}\"");
    for (header, value, status, body) in [
        ("range", "bytes=2-4", 206, &b"234"[..]),
        ("range", "bytes=-2", 206, b"89"),
        ("if-none-match", tag.as_str(), 304, b""),
        ("if-none-match", "\"other\"", 200, FILE),
    ] {
        let reply = send(&app, Request::get(&path).header(header, value).body(Body::empty()).unwrap()).await;
        assert_eq!((reply.status, reply.body.as_slice()), (status, body), "{header}: {value}");
    }
    let part = Request::get(&path).header("range", "bytes=2-4").header("if-range", "\"old\"").body(Body::empty());
    assert_eq!(send(&app, part.unwrap()).await.status, 200, "the rest of something else is of no use");
    let beyond = send(&app, Request::get(&path).header("range", "bytes=10-").body(Body::empty()).unwrap()).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */10"));
    let head = send(&app, Request::head(&path).body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "10", 0));
}

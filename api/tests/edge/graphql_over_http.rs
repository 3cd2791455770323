//! GraphQL over HTTP: what the specification asks beyond the audit of `tests/protocol`, and the edge's own refusals.

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::toy::{app, ask, ask_with, send, state};
use atelier::http::{rate_limit::RateSettings, router};

#[tokio::test]
async fn a_query_is_answered_with_its_cost() {
    let reply = ask(&app(), "{ items(first: 3) { id title } }").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/graphql-response+json; charset=utf-8");
    let json = reply.json();
    assert_eq!(json["data"]["items"][2]["title"], "Item 2");
    assert_eq!(json["extensions"]["cost"]["points"], 1 + 3 * 2);
}

#[tokio::test]
async fn the_operation_that_is_named_is_run() {
    let body = json!({ "query": "query A { echo(text: \"a\") } query B { echo(text: \"b\") }", "operationName": "B" });
    assert_eq!(ask_with(&app(), body.clone(), &[]).await.json()["data"]["echo"], "b");
    for name in [json!("C"), json!(null)] {
        let mut body = body.clone();
        body["operationName"] = name;
        let reply = ask_with(&app(), body, &[]).await;
        assert_eq!(reply.status, 400);
        assert!(reply.error().1.contains("operationName"), "{:?}", reply.error());
        assert!(reply.json().get("data").is_none());
    }
}

#[tokio::test]
async fn a_mutation_by_get_is_refused_and_not_run() {
    let request = Request::get("/graphql?query=mutation%7Bbump%7D").body(Body::empty()).unwrap();
    let reply = send(&app(), request).await;
    assert_eq!((reply.status, reply.header("allow")), (405, "POST"));
    assert!(reply.json().get("data").is_none());
    let request =
        Request::get("/graphql?query=query+A%7Becho(text:%22%C3%BC%22)%7D%20mutation%20B%7Bbump%7D&operationName=A");
    let reply = send(&app(), request.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.json()["data"]["echo"], "ü", "the query beside a mutation may come by GET");
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_a_sentence() {
    let app = app();
    let json = "application/json";
    for (content_type, accept, body, status) in [
        ("text/plain", "*/*", "{}", 415),
        ("application/json; charset=latin1", "*/*", "{}", 415),
        ("multipart/form-data; boundary=x", "*/*", "--x--", 415),
        (json, "text/html", r#"{"query":"{me}"}"#, 406),
        (json, "*/*", r#"[{"query":"{me}"},{"query":"{me}"}]"#, 400),
        (json, "*/*", "\"{me}\"", 400),
        (json, "*/*", r#"{"query":"subscription{count(to:1)}"}"#, 406),
    ] {
        let request = Request::post("/graphql").header("content-type", content_type).header("accept", accept);
        let reply = send(&app, request.body(Body::from(body)).unwrap()).await;
        let (code, sentence) = reply.error();
        assert_eq!((reply.status, code.as_str()), (status, "BAD_REQUEST"), "{content_type} {body}");
        assert!(sentence.ends_with('.') && sentence.len() > 20, "{sentence}");
    }
    let invalid = Request::post("/graphql").header("content-type", json).body(Body::from(&b"{\"query\":\"\xff\"}"[..]));
    assert!(send(&app, invalid.unwrap()).await.error().1.contains("UTF-8"));
    let invalid = Request::get("/graphql?query=%7Bme%ff%7D").body(Body::empty()).unwrap();
    assert!(send(&app, invalid).await.error().1.contains("UTF-8"));
    let reply = send(&app, Request::delete("/graphql").body(Body::empty()).unwrap()).await;
    assert_eq!((reply.status, reply.header("allow")), (405, "GET, POST, OPTIONS"));
}

#[tokio::test]
async fn a_body_over_256_kb_is_refused_whether_announced_or_not() {
    let large = json!({ "query": "{me}", "variables": { "x": "x".repeat(256 * 1024) } }).to_string();
    let announced = Request::post("/graphql").header("content-type", "application/json");
    let announced = announced.header("content-length", large.len()).body(Body::from(large.clone())).unwrap();
    let pieces = futures::stream::iter(large.into_bytes().chunks(1000).map(<[u8]>::to_vec).collect::<Vec<_>>());
    let pieces = futures::StreamExt::map(pieces, |piece| Ok::<_, std::io::Error>(bytes::Bytes::from(piece)));
    let silent = Request::post("/graphql").header("content-type", "application/json");
    let silent = silent.body(Body::from_stream(pieces)).unwrap();
    for request in [announced, silent] {
        let reply = send(&app(), request).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (413, "TOO_LARGE"));
    }
}

#[tokio::test]
async fn tokens_open_or_are_refused_with_401() {
    let app = app();
    let asking = |token: &'static str| {
        let app = app.clone();
        async move { ask_with(&app, json!({ "query": "{me}" }), &[("authorization", token)]).await }
    };
    assert_eq!(asking("Bearer good").await.json()["data"]["me"], "ann");
    for wrong in ["Bearer forged", "Bearer", "Basic YTpi", ""] {
        let reply = asking(wrong).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (401, "UNAUTHENTICATED"), "{wrong}");
        assert_eq!(reply.header("www-authenticate"), "Bearer");
    }
    let reply = asking("Bearer broken").await;
    assert_eq!((reply.status, reply.error().0.as_str()), (500, "INTERNAL"));
    assert!(!String::from_utf8_lossy(&reply.body).contains("hunter2"));
    assert!(ask(&app, "{me}").await.json()["data"]["me"].is_null(), "nobody");
}

#[tokio::test]
async fn the_unexpected_is_opaque_and_carries_the_requests_id() {
    let app = app();
    for (query, status) in [("{ leaks }", 200), ("{ panics }", 500)] {
        let reply = ask_with(&app, json!({ "query": query }), &[("x-request-id", "req-42")]).await;
        let (code, sentence) = reply.error();
        assert_eq!((reply.status, code.as_str()), (status, "INTERNAL"), "{query}");
        assert!(sentence.contains("req-42"), "{sentence}");
        assert_eq!(reply.header("x-request-id"), "req-42");
        assert!(!String::from_utf8_lossy(&reply.body).contains("hunter2"), "{query}");
    }
}

#[tokio::test]
async fn points_run_out_for_one_caller_and_not_for_another() {
    let app = router(state(|settings| settings.rate = RateSettings { burst: 100, per_second: 0.5 }));
    let body = json!({ "query": "{ items(first: 35) { id title } }" });
    let mine = [("authorization", "Bearer good")];
    let first = ask_with(&app, body.clone(), &mine).await;
    assert_eq!((first.status, first.json()["extensions"]["cost"]["remaining"].as_u64()), (200, Some(29)));
    let second = ask_with(&app, body.clone(), &mine).await;
    assert_eq!((second.status, second.error().0.as_str()), (429, "RATE_LIMITED"));
    let wait: u64 = second.header("retry-after").parse().unwrap();
    assert!((80..=90).contains(&wait), "42 points at one in two seconds: {wait}");
    assert_eq!(ask_with(&app, body, &[]).await.status, 200, "another caller");
}

#[tokio::test]
async fn an_operation_that_takes_too_long_is_ended() {
    let app = router(state(|settings| settings.execution_time = std::time::Duration::from_millis(50)));
    let reply = ask(&app, "{ sleeps }").await;
    assert_eq!((reply.status, reply.error().0.as_str()), (504, "TIMEOUT"));
}

#[tokio::test]
async fn production_tells_nothing_of_the_schema() {
    let app = router(state(|settings| *settings = atelier::http::HttpSettings::new(true, "https://atelier.example")));
    let reply = ask(&app, "{ __schema { types { name } } }").await;
    assert_eq!((reply.status, reply.error().0.as_str()), (403, "FORBIDDEN"));
    let reply = ask(&app, "{ ech(text: \"x\") }").await;
    assert_eq!((reply.status, reply.error().0.as_str()), (400, "GRAPHQL_VALIDATION_FAILED"));
    assert!(!reply.error().1.contains("echo"), "{}", reply.error().1);
    let reply = send(&app, Request::get("/graphiql").body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, 404);
    assert!(!reply.header("strict-transport-security").is_empty());
    assert_eq!(ask(&app, "{ __typename }").await.status, 200);
}

#[tokio::test]
async fn every_answer_keeps_browsers_from_guessing_and_framing() {
    let app = app();
    for path in ["/", "/healthz", "/readyz", "/nowhere", "/graphql", "/metrics"] {
        let reply = send(&app, Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.header("x-frame-options"), "DENY", "{path}");
        assert!(!reply.header("x-request-id").is_empty(), "{path}");
        assert!(reply.header("access-control-allow-origin").is_empty(), "{path}");
    }
    let state = state(|settings| settings.allowed_origins = vec!["https://studio.example".into()]);
    let request = Request::options("/graphql").header("origin", "https://studio.example");
    let request = request.header("access-control-request-method", "POST").body(Body::empty()).unwrap();
    let reply = send(&router(state), request).await;
    assert_eq!(reply.header("access-control-allow-origin"), "https://studio.example");
}

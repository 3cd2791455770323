//! Event streams: the distinct connections mode of `graphql-sse`.

use axum::body::Body;
use http::Request;

use crate::toy::{app, ask_with, send};

/// Event and data of each event.
fn events(body: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(body).unwrap();
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    text.split("\n\n")
        .filter(|event| !event.trim().is_empty())
        .map(|e| (field(e, "event:"), field(e, "data:")))
        .collect()
}

async fn stream(query: &str) -> (u16, Vec<(String, String)>) {
    let body = serde_json::json!({ "query": query });
    let reply = ask_with(&app(), body, &[("accept", "text/event-stream")]).await;
    assert_eq!(reply.header("content-type"), "text/event-stream", "{}", String::from_utf8_lossy(&reply.body));
    (reply.status, events(&reply.body))
}

#[tokio::test]
async fn each_answer_is_a_next_and_the_end_a_complete() {
    let (status, events) = stream("subscription { count(to: 3) }").await;
    assert_eq!(status, 200);
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["next", "next", "next", "complete"]);
    assert!(events[0].1.starts_with(r#"{"data":{"count":1},"extensions":{"cost":"#), "{}", events[0].1);
    assert_eq!(events[2].1, r#"{"data":{"count":3}}"#);
    let (_, events) = stream("{ echo(text: \"two\\nlines\") }").await;
    assert_eq!((events.len(), events[1].0.as_str()), (2, "complete"), "a query is a stream of one");
}

#[tokio::test]
async fn a_document_that_is_refused_is_told_in_the_stream() {
    for (query, code) in [
        ("subscription { count }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("subscription { refuses }", "BAD_REQUEST"),
        ("{ items(first: 999) { id } }", "BAD_REQUEST"),
    ] {
        let (status, events) = stream(query).await;
        assert_eq!((status, events.len(), events[1].0.as_str()), (200, 2, "complete"), "{query}");
        let json: serde_json::Value = serde_json::from_str(&events[0].1).unwrap();
        assert_eq!(json["errors"][0]["extensions"]["code"], code, "{query}: {json}");
        assert!(json.get("data").is_none(), "{query}: {json}");
    }
}

#[tokio::test]
async fn a_panic_ends_the_stream_with_an_opaque_error() {
    let (_, events) = stream("subscription { panics }").await;
    assert!(events[0].1.contains(r#""panics":1"#));
    assert!(events[1].1.contains("INTERNAL") && !events[1].1.contains("hunter2"), "{}", events[1].1);
    assert_eq!(events[2].0, "complete");
}

#[tokio::test]
async fn a_stream_may_come_by_get_and_ends_with_its_token() {
    let path = "/graphql?query=subscription%7Bcount(to:1)%7D";
    let request = Request::get(path).header("accept", "text/event-stream").body(Body::empty()).unwrap();
    assert_eq!(events(&send(&app(), request).await.body).len(), 2);
    let body = serde_json::json!({ "query": "subscription { ticks }" });
    let headers = [("accept", "text/event-stream"), ("authorization", "Bearer brief")];
    let reply = ask_with(&app(), body, &headers).await;
    let events = events(&reply.body);
    assert!(events.len() > 3 && events.iter().all(|(name, _)| name == "next"), "broken off, not completed: {events:?}");
}

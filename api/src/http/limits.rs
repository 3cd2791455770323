//! What every request passes, whatever its path: it is given an id and a log line, a panic becomes a sentence, and the
//! answer gets the headers that keep browsers from doing more with it than is meant.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt as _;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{problem::Problem, router::Edge};

/// The header that carries a request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const LONGEST_REQUEST_ID: usize = 64;

/// A request's id, in its extensions.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Wraps every route.
pub async fn wrap(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    // The pattern, not the path: links carry their signatures in the query and ids would be a metric each.
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", |path| path.as_str()).to_owned();
    let begun = Instant::now();
    let span = tracing::info_span!("request", id, %method, route);
    let outcome = AssertUnwindSafe(next.run(request).instrument(span.clone())).catch_unwind().await;
    let mut response = outcome.unwrap_or_else(|_| {
        tracing::error!(parent: &span, "a handler panicked");
        Problem::internal(&id).into_response()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let status = response.status().as_u16();
    tracing::info!(parent: &span, status, milliseconds = (seconds * 1000.0).round(), "answered");
    let labels = [("method", method.to_string()), ("route", route), ("status", status.to_string())];
    metrics::counter!("atelier_http_requests_total", &labels).increment(1);
    metrics::histogram!("atelier_http_seconds", &labels[..2]).record(seconds);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    secure(headers, edge.app.settings.public_url.starts_with("https://"));
    response
}

/// The id that a proxy has given the request, if it is a harmless one; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let harmless = |id: &&str| {
        (1..=LONGEST_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    given.filter(harmless).map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

fn secure(headers: &mut HeaderMap, https: bool) {
    let unless_set = [
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in unless_set {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if https {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

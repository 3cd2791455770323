//! Signs of life: `/healthz` (the process answers), `/readyz` (it can do its work), `/metrics` (Prometheus).

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use serde_json::json;

use super::{AppState, caller::bearer, problem::Problem};
use crate::graphql::error::Code;

/// A check that takes longer has failed.
const READY_TIME: Duration = Duration::from_secs(5);

/// Says what the edge's metrics mean, once they have a recorder.
pub fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!("atelier_http_requests_total", "Requests answered.");
    describe_histogram!("atelier_http_seconds", Unit::Seconds, "Time until the answer began.");
    describe_counter!("atelier_graphql_operations_total", "Operations admitted, over every transport.");
    describe_counter!("atelier_graphql_rejected_total", "Documents that the guard turned away.");
    describe_histogram!("atelier_graphql_seconds", Unit::Seconds, "Time that queries and mutations ran.");
    describe_histogram!("atelier_graphql_cost_points", "Points that admitted documents cost.");
    describe_counter!("atelier_rate_limited_total", "Operations turned away because their caller had no points left.");
    describe_gauge!("atelier_sockets", "WebSockets that are open.");
    describe_counter!("atelier_upload_bytes_total", Unit::Bytes, "Bytes taken in.");
    describe_counter!("atelier_blob_bytes_total", Unit::Bytes, "Bytes given out.");
}

/// The process answers.
pub async fn alive() -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(json!({ "status": "ok" }))).into_response()
}

/// Whether the service can do its work: 200, or 503 with a sentence for each thing that is missing.
pub async fn ready(State(app): State<AppState>) -> Response {
    if app.lifetime.shutdown.is_cancelled() {
        return report(&["The service is going down.".to_owned()]);
    }
    match tokio::time::timeout(READY_TIME, app.readiness.missing()).await {
        Ok(missing) => report(&missing),
        Err(_) => report(&[format!("The checks took longer than {} s.", READY_TIME.as_secs())]),
    }
}

fn report(missing: &[String]) -> Response {
    let (status, word) =
        if missing.is_empty() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    (status, [(CACHE_CONTROL, "no-store")], Json(json!({ "status": word, "missing": missing }))).into_response()
}

/// All metrics, in the text form of Prometheus.
pub async fn metrics(State(app): State<AppState>, headers: HeaderMap) -> Response {
    let Some(handle) = &app.metrics else {
        let sentence = "This server keeps no metrics.";
        return Problem::new(StatusCode::NOT_FOUND, Code::NotFound, sentence).into_response();
    };
    if let Some(token) = &app.settings.metrics_token {
        let given = bearer(&headers).ok().flatten();
        if !given.is_some_and(|given| same(given.as_bytes(), token.expose().as_bytes())) {
            return Problem::unauthenticated("Send the metrics token as `Authorization: Bearer <token>`.")
                .into_response();
        }
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render()).into_response()
}

/// Compares in a time that does not tell where two secrets differ.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

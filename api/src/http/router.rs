//! Which path is answered where.

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRef, State},
    middleware,
    response::{IntoResponse, Response},
    routing::{any, get},
};
use http::{
    HeaderName, HeaderValue, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, RETRY_AFTER},
};
use tokio::sync::Semaphore;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{
    AppState, HttpSettings, blobs, doors, graphiql, graphql, health, limits, problem::Problem, rate_limit::RateLimiter,
    unsubscribe, uploads,
};
use crate::graphql::error::Code;

/// What the handlers share.
#[derive(Clone)]
pub struct Edge {
    /// What the edge stands on.
    pub app: AppState,
    /// Callers' points.
    pub rate: Arc<RateLimiter>,
    /// Places for sockets and event streams.
    pub streams: Arc<Semaphore>,
}

impl FromRef<Edge> for AppState {
    fn from_ref(edge: &Edge) -> Self {
        edge.app.clone()
    }
}

/// The service's routes.
pub fn router(app: AppState) -> Router {
    health::describe();
    let edge = Edge {
        rate: Arc::new(RateLimiter::new(app.settings.rate)),
        streams: Arc::new(Semaphore::new(app.settings.streams)),
        app,
    };
    let mut router = Router::new()
        .route("/", get(landing))
        .route("/graphql", any(graphql::endpoint))
        .route("/uploads/{id}", any(uploads::endpoint))
        .route("/blobs/{sha256}", any(blobs::endpoint))
        .route("/blobs/{sha256}/{file_name}", any(blobs::endpoint))
        .route("/unsubscribe", any(unsubscribe::endpoint))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics));
    router = doors::routes(router);
    if !edge.app.settings.production {
        router = graphiql::routes(router);
    }
    router = router.fallback(missing).method_not_allowed_fallback(wrong_method);
    if let Some(cors) = cors(&edge.app.settings) {
        router = router.layer(cors);
    }
    router.layer(middleware::from_fn_with_state(edge.clone(), limits::wrap)).with_state(edge)
}

/// Lets pages of the allowed origins call the API; without any, no page of another origin may.
fn cors(settings: &HttpSettings) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        settings.allowed_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH];
    let sent: [HeaderName; 5] = [ACCEPT, AUTHORIZATION, CONTENT_TYPE, CONTENT_RANGE, uploads::UPLOAD_OFFSET];
    let shown = [uploads::UPLOAD_OFFSET, uploads::UPLOAD_LENGTH, ETAG, RETRY_AFTER, limits::REQUEST_ID];
    let layer = CorsLayer::new().allow_origin(AllowOrigin::list(origins)).allow_methods(methods);
    Some(layer.allow_headers(sent).expose_headers(shown).max_age(std::time::Duration::from_secs(3_600)))
}

/// Says where things are.
async fn landing(State(app): State<AppState>) -> String {
    let mut text =
        String::from("Atelier\n\nGraphQL API   POST /graphql (subscriptions: WebSocket or text/event-stream)\n");
    if !app.settings.production {
        text.push_str("GraphiQL      /graphiql\n");
    }
    text.push_str("Health        /healthz, /readyz\n");
    if app.metrics.is_some() {
        text.push_str("Metrics       /metrics\n");
    }
    text
}

async fn missing() -> Response {
    Problem::new(StatusCode::NOT_FOUND, Code::NotFound, "There is nothing under this address. The API is at /graphql.")
        .into_response()
}

async fn wrong_method() -> Response {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::BadRequest, "This address is read by GET.").into_response()
}

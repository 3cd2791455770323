//! The edge: everything that comes in over HTTP.
//!
//! ```text
//! limits      request id, log line, panics, security headers
//! router      which path is answered where
//! graphql     one operation by GET or POST           ┐
//! websocket   operations over graphql-transport-ws   ├ all through `admission`: who, how large, how many points
//! sse         operations as an event stream          ┘
//! uploads     files in, resumable                    blobs   files out, by signed link
//! health      /healthz /readyz /metrics              graphiql  a page to try the API with
//! doors       the pages behind the links in mails        unsubscribe  the one that ends mails
//! ```
//!
//! The edge knows the rest of the service by the traits of [`ports`] alone.

mod admission;
mod blobs;
pub mod caller;
mod doors;
mod graphiql;
mod graphql;
mod health;
pub mod limits;
pub mod negotiation;
pub mod parameters;
pub mod ports;
mod problem;
pub mod rate_limit;
mod router;
mod sse;
mod unsubscribe;
mod uploads;
mod websocket;

use std::{sync::Arc, time::Duration};

use async_graphql::Request;
use metrics_exporter_prometheus::PrometheusHandle;

use self::{
    caller::Caller,
    ports::{Authenticator, BlobSource, MailEndings, Readiness, UploadSink},
    rate_limit::RateSettings,
};
use crate::{
    config::location::Secret,
    graphql::{executor::AnySchema, guard::GuardSettings},
    server::Lifetime,
};

pub use router::router;

/// Adds to every GraphQL request what its resolvers share, such as data loaders. The session's data is there already.
pub type PerRequest = Arc<dyn Fn(Request, &Caller) -> Request + Send + Sync>;

/// What the edge stands on.
#[derive(Clone)]
pub struct AppState {
    /// The schema.
    pub schema: AnySchema,
    /// Checks bearer tokens.
    pub authenticator: Arc<dyn Authenticator>,
    /// Takes files in.
    pub uploads: Arc<dyn UploadSink>,
    /// Gives files out.
    pub blobs: Arc<dyn BlobSource>,
    /// Ends mails by the links in them.
    pub mail_endings: Arc<dyn MailEndings>,
    /// Says whether the service can do its work.
    pub readiness: Arc<dyn Readiness>,
    /// Adds to every request what its resolvers share.
    pub per_request: PerRequest,
    /// Writes the metrics; `/metrics` is not there without it.
    pub metrics: Option<PrometheusHandle>,
    /// Says when the service goes down: sockets and event streams end then.
    pub lifetime: Lifetime,
    /// Limits and switches.
    pub settings: Arc<HttpSettings>,
}

/// Limits and switches of the edge.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Production: no GraphiQL, no introspection, no suggestions.
    pub production: bool,
    /// Address under which people reach the server, without a slash at the end.
    pub public_url: String,
    /// What a document may hold.
    pub guard: GuardSettings,
    /// Points of callers.
    pub rate: RateSettings,
    /// Bytes of a GraphQL request or a socket's message.
    pub body_bytes: usize,
    /// How long the body of a GraphQL request may take to come.
    pub body_time: Duration,
    /// How long a query or mutation may run.
    pub execution_time: Duration,
    /// How long a file's sender may stay silent.
    pub upload_silence: Duration,
    /// How long a socket may take to introduce itself.
    pub connection_init_time: Duration,
    /// How often a socket or event stream is given a sign of life.
    pub heartbeat: Duration,
    /// Operations that a socket may run at once.
    pub socket_operations: usize,
    /// Sockets and event streams at once, all callers together.
    pub streams: usize,
    /// Proxies in front of the service that append to `X-Forwarded-For`.
    pub forwarded_hops: usize,
    /// Origins whose pages may call the API from a browser; none by default.
    pub allowed_origins: Vec<String>,
    /// Whoever reads `/metrics` must present this as bearer token; open without it.
    pub metrics_token: Option<Secret>,
}

impl HttpSettings {
    /// The limits of the service.
    pub fn new(production: bool, public_url: impl Into<String>) -> Self {
        Self {
            production,
            public_url: public_url.into(),
            guard: GuardSettings::new(production),
            rate: RateSettings::default(),
            body_bytes: 256 * 1024,
            body_time: Duration::from_secs(30),
            execution_time: Duration::from_secs(60),
            upload_silence: Duration::from_secs(60),
            connection_init_time: Duration::from_secs(10),
            heartbeat: Duration::from_secs(15),
            socket_operations: 50,
            streams: 1_000,
            forwarded_hops: 0,
            allowed_origins: Vec::new(),
            metrics_token: None,
        }
    }
}

//! The whole service in one process: the house, the edge, the loops behind it and a worker.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use atelier_domain::{
    account::session::{self, AuthenticateError},
    actor::Actor,
    context::Context,
    entities::kinds::JobKind,
};
use atelier_worker::{Device, Worker, WorkerSettings};
use chrono::TimeDelta;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    background,
    blobs::Blobs,
    config::{self, DeviceSettings, ServeSettings},
    graphql::{self, loaders::Loaders},
    house::{self, HouseUse},
    http::{
        self, AppState, PerRequest,
        ports::{AuthenticationError, Authenticator, Readiness, Session},
    },
    mail_endings::Endings,
    server::{self, Lifetime, ServerSettings},
    uploads::Uploads,
};

/// What a worker takes unless it is told otherwise.
pub const EVERY_JOB: [JobKind; 4] = [JobKind::Train, JobKind::Preview, JobKind::Generate, JobKind::Compare];

/// The service while it runs.
pub struct Service {
    /// Database, files, search: for those who start the service inside their own process.
    pub house: Arc<Context>,
    /// Where it listens.
    pub address: SocketAddr,
    shutdown: CancellationToken,
    edge: JoinHandle<anyhow::Result<()>>,
    tasks: TaskTracker,
}

impl Service {
    /// Listens, opens the house, and starts everything. The address is taken first: two services must not share a house.
    ///
    /// # Errors
    /// A sentence that says what is in the way.
    pub async fn start(mut settings: ServeSettings, metrics: Option<PrometheusHandle>) -> anyhow::Result<Self> {
        settings.check().map_err(anyhow::Error::msg)?;
        settings.device.check()?;
        let listener = server::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        settings.listen = address;
        let house =
            house::open_with_digests(&settings.house, settings.public_url(), settings.digest_hour, HouseUse::Serve)
                .await?;
        house::provide_starter(&house).await?;
        let lifetime = Lifetime::default();
        let shutdown = lifetime.shutdown.clone();
        let tasks = TaskTracker::new();
        background::start(&house, house::mailer(&settings)?, &shutdown, &tasks);
        if settings.worker {
            let worker = worker(&house, &settings.device, &settings.work, "server")?;
            let stopped = shutdown.clone();
            tasks.spawn(async move { worker.run(stopped).await });
        }
        tasks.close();
        let router = http::router(app(&house, &settings, metrics, lifetime.clone()));
        let edge = tokio::spawn(server::serve(listener, router, ServerSettings::default(), lifetime));
        Ok(Self { house, address, shutdown, edge, tasks })
    }

    /// The token that ends the service when it is cancelled.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Waits until the service has ended: the edge has drained, the worker has given its job back.
    ///
    /// # Errors
    /// When the listener broke.
    pub async fn ended(self) -> anyhow::Result<()> {
        let outcome = self.edge.await?;
        self.shutdown.cancel();
        self.tasks.wait().await;
        outcome
    }
}

/// A worker on a device of this process.
///
/// # Errors
/// When the system gives no thread.
pub fn worker(
    house: &Arc<Context>,
    settings: &DeviceSettings,
    work: &config::WorkerSettings,
    name: &str,
) -> anyhow::Result<Worker> {
    let device = Device::start(settings.device.clone(), settings.precision(), settings.room_for_models())?;
    let settings = WorkerSettings {
        name: name.to_owned(),
        kinds: EVERY_JOB.to_vec(),
        precision: settings.precision().name().to_owned(),
        looks_every: work.looks_every(),
    };
    Ok(Worker::new(Arc::clone(house), device, settings))
}

fn app(
    house: &Arc<Context>,
    settings: &ServeSettings,
    metrics: Option<PrometheusHandle>,
    lifetime: Lifetime,
) -> AppState {
    let http = settings.http();
    let loaders = Arc::clone(house);
    let per_request: PerRequest = Arc::new(move |request, caller| {
        let actor = caller.session.as_ref().and_then(Session::data::<Actor>).unwrap_or(&Actor::Anonymous);
        request.data(Loaders::new(&loaders, actor))
    });
    AppState {
        schema: graphql::schema(Arc::clone(house), &http.guard),
        authenticator: Arc::new(Sessions(Arc::clone(house))),
        uploads: Arc::new(Uploads::new(Arc::clone(house))),
        blobs: Arc::new(Blobs::new(Arc::clone(house))),
        mail_endings: Arc::new(Endings::new(Arc::clone(house))),
        readiness: Arc::new(Engines(Arc::clone(house))),
        per_request,
        metrics,
        lifetime,
        settings: Arc::new(http),
    }
}

/// Sessions of the house, by their access tokens.
struct Sessions(Arc<Context>);

#[async_trait]
impl Authenticator for Sessions {
    async fn authenticate(&self, token: &str) -> Result<Session, AuthenticationError> {
        let authenticated = session::authenticate(&self.0, token).await.map_err(|error| match error {
            AuthenticateError::Unexpected(error) => AuthenticationError::Unexpected(error),
            refused => AuthenticationError::Refused(refused.to_string()),
        })?;
        let life: TimeDelta = authenticated.expires_at - self.0.now();
        let key = authenticated.actor.user_id().map(|id| id.to_string()).unwrap_or_default();
        Ok(Session::new(key, authenticated.actor).living(life.to_std().unwrap_or(Duration::ZERO)))
    }
}

/// Whether the engines that the service stands on answer.
struct Engines(Arc<Context>);

#[async_trait]
impl Readiness for Engines {
    async fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if let Err(error) = self.0.db.check().await {
            missing.push(format!("The database does not answer: {error}."));
        }
        if let Err(error) = self.0.blobs.check().await {
            missing.push(format!("Files cannot be stored: {error:#}."));
        }
        if let Err(error) = self.0.search.check().await {
            missing.push(error.to_string());
        }
        missing
    }
}

//! The listening socket: connections with bounded header times, and an orderly end.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{Router, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

/// How the server treats its connections.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// How long the headers of a request may take to come; a connection that is idle for so long is closed too.
    pub header_time: Duration,
    /// Bytes of a request's headers.
    pub header_bytes: usize,
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// How long requests may go on after the service was told to stop.
    pub drain_time: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            header_time: Duration::from_secs(10),
            header_bytes: 32 * 1024,
            connections: 4_096,
            drain_time: Duration::from_secs(15),
        }
    }
}

/// How the parts of the service learn that it goes down, and how it learns that they have ended.
#[derive(Clone, Debug, Default)]
pub struct Lifetime {
    /// Cancelled when the service is to stop.
    pub shutdown: CancellationToken,
    /// WebSockets that are open; they have left their connections.
    pub sockets: TaskTracker,
}

/// Takes an address to listen on.
///
/// # Errors
/// A sentence that says what is in the way.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "Another program listens there, perhaps another Atelier. Stop it, or choose another address with \
                 `--listen`."
            }
            io::ErrorKind::PermissionDenied => "Ports below 1024 need special rights. Choose another with `--listen`.",
            io::ErrorKind::AddrNotAvailable => "This machine has no such address. Choose another with `--listen`.",
            _ => "Choose another address with `--listen`.",
        };
        anyhow::Error::new(error).context(format!("Cannot listen on {address}. {advice}"))
    })
}

/// Serves until the lifetime's `shutdown` is cancelled; then takes no new connection, lets requests end for a while, and
/// returns.
/// Sockets and event streams watch the same token and end by themselves.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: ServerSettings,
    lifetime: Lifetime,
) -> anyhow::Result<()> {
    let Lifetime { shutdown, sockets } = lifetime;
    let tasks = TaskTracker::new();
    let places = Arc::new(Semaphore::new(settings.connections));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(settings.header_time).max_buf_size(settings.header_bytes);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, address, place)) = accepted? else { continue };
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(ConnectInfo(address));
            router.clone().oneshot(request)
        });
        let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let stopping = shutdown.clone();
        tasks.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let outcome = tokio::select! {
                outcome = connection.as_mut() => outcome,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = outcome {
                tracing::debug!(%address, %error, "a connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    sockets.close();
    let drained = time::timeout(settings.drain_time, async {
        tasks.wait().await;
        sockets.wait().await;
    });
    if drained.await.is_err() {
        tracing::warn!(seconds = settings.drain_time.as_secs(), "some requests did not end in time and were cut off");
    }
    Ok(())
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// The next connection; none when one was lost before it was taken, or no file is left to take it with.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> anyhow::Result<Option<Accepted>> {
    let place = places.clone().acquire_owned().await.context("invariant: the semaphore is never closed")?;
    match listener.accept().await {
        Ok((stream, address)) => {
            // Small messages of a subscription should not wait for company. Without it they come later, no worse.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its delay");
            }
            Ok(Some((stream, address, place)))
        }
        Err(error) => {
            let lost = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset];
            if !lost.contains(&error.kind()) {
                tracing::warn!(%error, "no connection can be taken; trying again");
                time::sleep(Duration::from_secs(1)).await;
            }
            Ok(None)
        }
    }
}

/// Cancels a token at the first SIGTERM or SIGINT; a second one ends the process at once.
///
/// # Errors
/// When the signals cannot be watched.
pub fn stop_on_signal(shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut signals = Signals::watch()?;
    tokio::spawn(async move {
        let name = signals.next().await;
        tracing::info!(signal = name, "stopping; once more stops at once");
        shutdown.cancel();
        signals.next().await;
        tracing::warn!("stopped at once");
        std::process::exit(130);
    });
    Ok(())
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn watch() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let watch = |kind| signal(kind).context("Signals cannot be watched.");
        Ok(Self { terminate: watch(SignalKind::terminate())?, interrupt: watch(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
    fn watch() -> anyhow::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "Ctrl-C cannot be watched");
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

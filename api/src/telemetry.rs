//! The log: lines for people, or JSON for machines, on standard error; panics among them.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use clap::ValueEnum;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Seconds that answers take, as the histograms part them.
const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Points that documents cost, as the histogram parts them.
const POINTS: [f64; 9] = [1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0];

/// Starts the log. `filter` is a directive such as `info` or `atelier=debug,sqlx=warn`. Call it once.
///
/// # Errors
/// When the filter cannot be read, or a log runs already.
pub fn start_log(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| {
        format!("The log filter `{filter}` is not understood. Write for example `info` or `atelier=debug`.")
    })?;
    let layer = match format {
        LogFormat::Pretty => {
            tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).boxed()
        }
        LogFormat::Json => tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).try_init().context("A log runs already.")?;
    log_panics();
    Ok(())
}

/// Sends panics to the log with their place; their messages and backtraces are for nobody else.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, message, "a panic");
    }));
}

/// Starts the metrics and gives what writes them out for Prometheus. Call it once.
///
/// # Errors
/// When metrics are recorded already.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_points".into()), &POINTS))
        .and_then(PrometheusBuilder::install_recorder)
        .context("The metrics could not be started.")
}

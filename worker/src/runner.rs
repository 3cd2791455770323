//! The loop of a worker: claim, do, end.

use std::{sync::Arc, time::Duration};

use atelier_domain::{
    context::Context,
    entities::kinds::{JobKind, JobState},
    jobs::{
        LeaseError,
        claim::{self, Claim, Takes},
        workers::Card,
    },
};
use tokio_util::sync::CancellationToken;

use crate::{
    device::Device,
    handlers::{self, Failure},
    presence::Presence,
    sink::{Stop, StopFlag, keep_lease},
};

/// How long an idle worker waits before it looks again, if no change wakes it.
const IDLE: Duration = Duration::from_millis(500);

/// What a worker is told.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Its name, as jobs show it.
    pub name: String,
    /// What it takes.
    pub kinds: Vec<JobKind>,
    /// Numbers that it computes in, as people read them.
    pub precision: String,
    /// How often it looks which base models it has the files of, and gives a sign of life.
    pub looks_every: Duration,
}

/// A worker: one device, one job at a time.
pub struct Worker {
    ctx: Arc<Context>,
    device: Device,
    settings: WorkerSettings,
}

impl Worker {
    /// A worker for a device.
    pub fn new(ctx: Arc<Context>, device: Device, settings: WorkerSettings) -> Self {
        Self { ctx, device, settings }
    }

    /// Works until it is told to stop; the job at hand is then given back.
    pub async fn run(&self, shutdown: CancellationToken) {
        tracing::info!(worker = self.settings.name, device = %self.device.name(), "the worker waits for jobs");
        let presence = Presence::new(&self.ctx, self.card(), self.settings.looks_every);
        // Beside the work, for that may take hours: who is at work lives.
        tokio::join!(self.take_jobs(&presence, &shutdown), presence.keep(&shutdown));
        presence.end().await;
        tracing::info!(worker = self.settings.name, "the worker has stopped");
    }

    fn card(&self) -> Card {
        Card {
            name: self.settings.name.clone(),
            device: self.device.name().to_string(),
            precision: self.settings.precision.clone(),
            kinds: self.settings.kinds.clone(),
            started_at: self.ctx.now(),
        }
    }

    async fn take_jobs(&self, presence: &Presence<'_>, shutdown: &CancellationToken) {
        let mut changes = self.ctx.events.subscribe();
        while !shutdown.is_cancelled() {
            changes.mark_unchanged();
            match self.next_job(presence).await {
                Ok(Some(claim)) => self.work(claim, shutdown).await,
                Ok(None) => {
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        _ = changes.changed() => {}
                        () = tokio::time::sleep(IDLE) => {}
                    }
                }
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "the worker could not look for jobs");
                    tokio::time::sleep(IDLE).await;
                }
            }
        }
    }

    async fn next_job(&self, presence: &Presence<'_>) -> anyhow::Result<Option<Claim>> {
        claim::reap(&self.ctx).await?;
        let base_models = presence.base_models();
        let takes = Takes { kinds: &self.settings.kinds, base_models: &base_models };
        Ok(claim::claim(&self.ctx, &self.settings.name, takes).await?)
    }

    /// Does one job and writes how it ended.
    async fn work(&self, claim: Claim, shutdown: &CancellationToken) {
        let (job, lease) = (claim.job.id, claim.lease);
        let stop = StopFlag::default();
        tracing::info!(%job, kind = ?claim.job.kind, attempt = claim.job.attempts, "a job begins");
        let started = std::time::Instant::now();
        let result = {
            let doing = handlers::handle(&self.ctx, &self.device, &claim, &stop);
            tokio::pin!(doing);
            let keeping = keep_lease(&self.ctx, lease, &stop);
            tokio::pin!(keeping);
            let mut is_kept = true;
            let mut is_told = false;
            loop {
                tokio::select! {
                    result = &mut doing => break result,
                    () = &mut keeping, if is_kept => is_kept = false,
                    () = shutdown.cancelled(), if !is_told => {
                        is_told = true;
                        stop.raise(Stop::ShuttingDown);
                    }
                }
            }
        };
        metrics::histogram!("atelier_job_seconds", "kind" => kind_name(claim.job.kind)).record(started.elapsed());
        if let Err(error) = self.end(&claim, result, &stop).await {
            tracing::error!(%job, error = format!("{error:#}"), "the end of a job could not be written; its lease will run out");
        }
    }

    async fn end(&self, claim: &Claim, result: Result<(), Failure>, stop: &StopFlag) -> anyhow::Result<()> {
        let (job, lease) = (claim.job.id, claim.lease);
        let outcome = match (result, stop.get()) {
            (Ok(()), _) => {
                tracing::info!(%job, "a job is done");
                return Ok(());
            }
            (Err(Failure::Lost), _) | (Err(Failure::Stopped), Stop::Lost) => {
                tracing::warn!(%job, "the lease was lost; another worker goes on");
                return Ok(());
            }
            (Err(Failure::Stopped), Stop::Cancelled) => claim::observe_cancel(&self.ctx, lease).await,
            (Err(Failure::Stopped), Stop::ShuttingDown) => claim::hand_back(&self.ctx, lease).await,
            (Err(Failure::Stopped), Stop::No) => {
                self.fail(claim, "The job stopped without being asked to.", true).await
            }
            (Err(Failure::Hopeless(reason)), _) => self.fail(claim, &reason, false).await,
            (Err(Failure::Unexpected(error)), _) => {
                tracing::error!(%job, error = format!("{error:#}"), "a job failed");
                self.fail(claim, &format!("Something went wrong: {error:#}"), true).await
            }
        };
        match outcome {
            Ok(()) | Err(LeaseError::Lost) => Ok(()),
            Err(LeaseError::Unexpected(error)) => Err(error),
        }
    }

    async fn fail(&self, claim: &Claim, reason: &str, may_try_again: bool) -> Result<(), LeaseError> {
        let state = claim::fail(&self.ctx, claim.lease, reason, may_try_again).await?;
        if state == JobState::Failed {
            tracing::warn!(job = %claim.job.id, reason, "a job failed for good");
        }
        Ok(())
    }
}

fn kind_name(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Train => "train",
        JobKind::Preview => "preview",
        JobKind::Generate => "generate",
        JobKind::Compare => "compare",
    }
}

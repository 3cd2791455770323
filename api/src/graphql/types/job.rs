//! Jobs.

use async_graphql::{Context, Enum, ID, Object, Result};
use atelier_domain::{
    entities::{job, kinds},
    id::Noun,
    jobs::Step,
};
use chrono::{DateTime, Utc};

use super::job_event::JobProgress;
use crate::graphql::{context::encode, loaders::load, scalars::BigInt};

/// What a job does.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "kinds::JobKind")]
pub enum JobKind {
    /// Trains a LoRA.
    Train,
    /// Renders previews of a LoRA version.
    Preview,
    /// Generates pictures.
    Generate,
    /// Measures what a LoRA version does to a base model.
    Compare,
}

/// Where a job stands.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "kinds::JobState")]
pub enum JobState {
    /// It waits for a worker.
    Queued,
    /// A worker holds it.
    Running,
    /// It is done.
    Succeeded,
    /// It failed for good.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

/// Long work: a training, previews, pictures.
pub struct Job(pub job::Model);

#[Object]
impl Job {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Job, self.0.id)
    }

    /// What it does.
    async fn kind(&self) -> JobKind {
        self.0.kind.into()
    }

    /// What it works on: a training run, the version whose previews it renders or that it measures, or a generation. Read it with `node`.
    async fn subject_id(&self) -> ID {
        let noun = match self.0.kind {
            kinds::JobKind::Train => Noun::TrainingRun,
            kinds::JobKind::Preview | kinds::JobKind::Compare => Noun::LoraVersion,
            kinds::JobKind::Generate => Noun::Generation,
        };
        encode(noun, self.0.subject_id)
    }

    /// Where it stands.
    async fn state(&self) -> JobState {
        self.0.state.into()
    }

    /// What it waits for, in a sentence, when no worker that is running can take it; null when it is only waiting for its
    /// turn, or is not waiting.
    async fn waiting_for(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        load(ctx, |loaders| &loaders.job_waits, self.0.id).await
    }

    /// How often a worker began it.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }

    /// Why it failed, in a sentence.
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// Credits that were set aside for it.
    async fn credits(&self) -> BigInt {
        BigInt(self.0.credits)
    }

    /// The last step that it reported.
    async fn progress(&self) -> Option<JobProgress> {
        self.0.progress.clone().and_then(|payload| serde_json::from_value::<Step>(payload).ok()).map(JobProgress::from)
    }

    /// Number of the last event: pass it as `after:` to `jobProgress`.
    async fn last_sequence(&self) -> BigInt {
        BigInt(self.0.last_sequence)
    }

    /// Whether somebody asked to cancel it and the worker has not yet seen it.
    async fn is_cancelling(&self) -> bool {
        self.0.cancel_requested_at.is_some() && self.0.state == kinds::JobState::Running
    }

    /// When it was asked for.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When a worker last began it.
    async fn started_at(&self) -> Option<DateTime<Utc>> {
        self.0.started_at
    }

    /// When it ended.
    async fn finished_at(&self) -> Option<DateTime<Utc>> {
        self.0.finished_at
    }
}

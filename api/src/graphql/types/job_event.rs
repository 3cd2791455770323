//! What a job says of its progress: numbered events, each a typed step.

use async_graphql::{ID, Object, SimpleObject, Union};
use atelier_domain::{entities::job_event, id::Noun, jobs::Step};
use chrono::{DateTime, Utc};

use crate::graphql::{context::encode, scalars::BigInt};

/// One event of a job.
pub struct JobEvent {
    row: job_event::Model,
    step: Step,
}

impl JobEvent {
    /// An event as it was stored.
    ///
    /// # Errors
    /// When the stored step is none that this version knows.
    pub fn new(row: job_event::Model) -> anyhow::Result<Self> {
        let step = serde_json::from_value(row.payload.clone())?;
        Ok(Self { row, step })
    }

    /// Its number.
    pub fn sequence_number(&self) -> i64 {
        self.row.sequence
    }

    /// Whether the job has ended with it.
    pub fn is_last(&self) -> bool {
        self.step.is_last()
    }
}

#[Object]
impl JobEvent {
    /// The job.
    async fn job_id(&self) -> ID {
        encode(Noun::Job, self.row.job_id)
    }

    /// Its number, from 1 without gaps: pass the last one seen as `after:` to go on from there.
    async fn sequence(&self) -> BigInt {
        BigInt(self.row.sequence)
    }

    /// When it happened.
    async fn created_at(&self) -> DateTime<Utc> {
        self.row.created_at
    }

    /// What happened.
    async fn progress(&self) -> JobProgress {
        self.step.clone().into()
    }
}

/// A step of a job.
#[derive(Union, Clone)]
pub enum JobProgress {
    /// It waits for a worker.
    Queued(JobQueued),
    /// A worker began it.
    Started(JobStarted),
    /// Something is being made ready.
    Preparing(JobPreparing),
    /// Pictures are turned into latents.
    CachingLatents(JobCachingLatents),
    /// A step of training.
    Training(JobTraining),
    /// An epoch has ended.
    EpochFinished(JobEpochFinished),
    /// Sample pictures of an epoch.
    Sampling(JobSampling),
    /// Something is being written.
    Saving(JobSaving),
    /// A denoising step.
    Rendering(JobRendering),
    /// It is done.
    Succeeded(JobSucceeded),
    /// It failed.
    Failed(JobFailed),
    /// It was cancelled.
    Cancelled(JobCancelled),
}

/// The job waits for a worker.
#[derive(SimpleObject, Clone)]
pub struct JobQueued {
    /// A sentence for people.
    message: String,
}

/// A worker began the job.
#[derive(SimpleObject, Clone)]
pub struct JobStarted {
    /// How often it was begun, this time included.
    attempt: i32,
}

/// Something is being made ready.
#[derive(SimpleObject, Clone)]
pub struct JobPreparing {
    /// What.
    what: String,
}

/// Pictures are turned into latents, once.
#[derive(SimpleObject, Clone)]
pub struct JobCachingLatents {
    /// So many are done.
    done: u32,
    /// Of so many.
    total: u32,
}

/// A step of training.
#[derive(SimpleObject, Clone)]
pub struct JobTraining {
    /// Epoch, from 1.
    epoch: u32,
    /// Epochs in all.
    epochs: u32,
    /// Optimiser step, from 1, over all epochs.
    step: u32,
    /// Steps in all.
    steps: u32,
    /// Loss of the step.
    loss: f64,
    /// Learning rate of the step.
    learning_rate: f64,
}

/// An epoch has ended.
#[derive(SimpleObject, Clone)]
pub struct JobEpochFinished {
    /// Epoch, from 1.
    epoch: u32,
    /// Epochs in all.
    epochs: u32,
    /// Mean loss of its steps.
    training_loss: f64,
    /// Loss on held-out pictures; none when there are too few to hold any out.
    validation_loss: Option<f64>,
}

/// Sample pictures of an epoch are rendered.
#[derive(SimpleObject, Clone)]
pub struct JobSampling {
    /// Epoch, from 1.
    epoch: u32,
    /// So many are done.
    done: u32,
    /// Of so many.
    total: u32,
}

/// Something is being written.
#[derive(SimpleObject, Clone)]
pub struct JobSaving {
    /// What.
    what: String,
}

/// A picture is being rendered.
#[derive(SimpleObject, Clone)]
pub struct JobRendering {
    /// Which picture, from 1.
    picture: u32,
    /// Pictures in all.
    pictures: u32,
    /// Denoising step, from 1.
    step: u32,
    /// Steps in all.
    steps: u32,
    /// What it looks like so far, as a `data:` URI of a small picture.
    preview: Option<String>,
}

/// The job is done.
#[derive(SimpleObject, Clone)]
pub struct JobSucceeded {
    /// A sentence for people.
    message: String,
}

/// The job failed for good.
#[derive(SimpleObject, Clone)]
pub struct JobFailed {
    /// Why, in a sentence.
    reason: String,
}

/// The job was cancelled.
#[derive(SimpleObject, Clone)]
pub struct JobCancelled {
    /// A sentence for people.
    message: String,
}

impl From<Step> for JobProgress {
    fn from(step: Step) -> Self {
        match step {
            Step::Queued => Self::Queued(JobQueued { message: "Waits for a worker.".to_owned() }),
            Step::Started { attempt } => Self::Started(JobStarted { attempt }),
            Step::Preparing { what } => Self::Preparing(JobPreparing { what }),
            Step::CachingLatents { done, total } => Self::CachingLatents(JobCachingLatents { done, total }),
            Step::Training { epoch, epochs, step, steps, loss, learning_rate } => {
                Self::Training(JobTraining { epoch, epochs, step, steps, loss, learning_rate })
            }
            Step::EpochFinished { epoch, epochs, training_loss, validation_loss } => {
                Self::EpochFinished(JobEpochFinished { epoch, epochs, training_loss, validation_loss })
            }
            Step::Sampling { epoch, done, total } => Self::Sampling(JobSampling { epoch, done, total }),
            Step::Saving { what } => Self::Saving(JobSaving { what }),
            Step::Rendering { picture, pictures, step, steps, preview } => {
                Self::Rendering(JobRendering { picture, pictures, step, steps, preview })
            }
            Step::Succeeded => Self::Succeeded(JobSucceeded { message: "Done.".to_owned() }),
            Step::Failed { reason } => Self::Failed(JobFailed { reason }),
            Step::Cancelled => Self::Cancelled(JobCancelled { message: "Cancelled.".to_owned() }),
        }
    }
}

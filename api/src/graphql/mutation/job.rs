//! Controlling jobs.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{id::Noun, jobs::control};

use crate::{
    graphql::{
        context::{Resolve, decode},
        types::job::Job,
    },
    payload,
};

/// Which job to cancel.
#[derive(InputObject)]
pub struct CancelJobInput {
    /// The job.
    pub id: ID,
}

payload! {
    /// The answer to `cancelJob`.
    pub struct CancelJobPayload {
        /// The job; one that runs ends at its next step.
        job: Job
    }
}

/// Which job to try again.
#[derive(InputObject)]
pub struct RetryJobInput {
    /// The job.
    pub id: ID,
}

payload! {
    /// The answer to `retryJob`.
    pub struct RetryJobPayload {
        /// The job, queued again.
        job: Job
    }
}

/// Mutations of jobs.
#[derive(Default)]
pub struct JobMutation;

#[Object]
impl JobMutation {
    /// Cancels a job: one that waits at once, one that runs at its next step. Its credits are given back.
    async fn cancel_job(&self, ctx: &Context<'_>, input: CancelJobInput) -> Result<CancelJobPayload> {
        let id = decode(Noun::Job, &input.id)?;
        CancelJobPayload::answer(control::cancel(ctx.house(), ctx.actor(), id).await, Job)
    }

    /// Queues a failed or cancelled job again. A training goes on from its last checkpoint.
    async fn retry_job(&self, ctx: &Context<'_>, input: RetryJobInput) -> Result<RetryJobPayload> {
        let id = decode(Noun::Job, &input.id)?;
        RetryJobPayload::answer(control::retry(ctx.house(), ctx.actor(), id).await, Job)
    }
}

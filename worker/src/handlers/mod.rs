//! What is done for each kind of job.

mod compare;
mod generate;
mod preview;
mod render;
mod train;

use atelier_domain::{
    context::Context,
    entities::kinds::JobKind,
    error::ReadError,
    jobs::{LeaseError, claim::Claim},
};

use crate::{device::Device, sink::StopFlag};

/// Why a job did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The lease is lost; nothing was written.
    #[error("the lease is lost")]
    Lost,
    /// It stopped because it was told to.
    #[error("stopped")]
    Stopped,
    /// Trying again is of no use; the sentence is for the person who asked.
    #[error("{0}")]
    Hopeless(String),
    /// Something that may be better the next time.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl From<LeaseError> for Failure {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Lost => Self::Lost,
            LeaseError::Unexpected(error) => Self::Unexpected(error),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Invalid(_) | ReadError::Refused(_) => {
                Self::Hopeless("Something that this job needs has been removed. Start a new one.".to_owned())
            }
            ReadError::Unexpected(error) => Self::Unexpected(error),
        }
    }
}

impl From<atelier_inference::Error> for Failure {
    fn from(error: atelier_inference::Error) -> Self {
        match error {
            atelier_inference::Error::Stopped => Self::Stopped,
            atelier_inference::Error::Io { .. } => Self::Unexpected(error.into()),
            // The same files and settings give the same failure again.
            other => Self::Hopeless(other.to_string()),
        }
    }
}

/// Does a job.
///
/// # Errors
/// [`Failure`].
pub async fn handle(ctx: &Context, device: &Device, claim: &Claim, stop: &StopFlag) -> Result<(), Failure> {
    match claim.job.kind {
        JobKind::Train => train::train(ctx, device, claim, stop).await,
        JobKind::Preview => preview::preview(ctx, device, claim, stop).await,
        JobKind::Generate => generate::generate(ctx, device, claim, stop).await,
        JobKind::Compare => compare::compare(ctx, device, claim, stop).await,
    }
}

//! What is watched: the progress of a job, and a person's notifications.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    client::{self, Identified},
    person::Person,
    subscription::{Subscription, Topic},
};

/// How long a notification may take.
const NOTIFICATION_TIME: Duration = Duration::from_secs(60);

const JOB: &str = "subscription($id: ID!, $after: BigInt) { jobProgress(id: $id, after: $after) { sequence progress { \
    __typename \
    ... on JobPreparing { what } \
    ... on JobCachingLatents { done total } \
    ... on JobTraining { epoch epochs step steps loss } \
    ... on JobEpochFinished { epoch epochs trainingLoss validationLoss } \
    ... on JobSampling { epoch done total } \
    ... on JobSaving { what } \
    ... on JobRendering { picture pictures step steps } \
    ... on JobFailed { reason } \
    } } }";

const NOTIFICATIONS: &str =
    "subscription($after: BigInt) { notificationAdded(after: $after) { sequence kind lora { id } } }";

#[derive(Deserialize)]
struct JobEvent {
    progress: JobProgress,
}

/// A step of a job, as far as the demo shows it.
#[derive(Debug, Deserialize)]
#[serde(tag = "__typename", rename_all_fields = "camelCase")]
pub enum JobProgress {
    /// Something is being made ready.
    JobPreparing {
        /// What.
        what: String,
    },
    /// Pictures are turned into latents.
    JobCachingLatents {
        /// So many are done.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// A step of training.
    JobTraining {
        /// Epoch, from 1.
        epoch: u64,
        /// Epochs in all.
        epochs: u64,
        /// Step over all epochs, from 1.
        step: u64,
        /// Steps in all.
        steps: u64,
        /// Loss of the step.
        loss: f64,
    },
    /// An epoch has ended.
    JobEpochFinished {
        /// Epoch, from 1.
        epoch: u64,
        /// Epochs in all.
        epochs: u64,
        /// Mean loss of its steps.
        training_loss: f64,
        /// Loss on held-out pictures.
        validation_loss: Option<f64>,
    },
    /// Sample pictures of an epoch are rendered.
    JobSampling {
        /// Epoch, from 1.
        epoch: u64,
        /// So many are done.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// Something is being written.
    JobSaving {
        /// What.
        what: String,
    },
    /// A denoising step.
    JobRendering {
        /// Which picture, from 1.
        picture: u64,
        /// Pictures in all.
        pictures: u64,
        /// Step, from 1.
        step: u64,
        /// Steps in all.
        steps: u64,
    },
    /// The job is done.
    JobSucceeded,
    /// The job failed.
    JobFailed {
        /// Why, in a sentence.
        reason: String,
    },
    /// Somebody cancelled the job.
    JobCancelled,
    /// Another step.
    #[serde(other)]
    Other,
}

/// Watches a job until it is done, from its first event on. Gives the number of events.
///
/// # Errors
/// Why the job failed; a socket that cannot be kept open.
pub async fn job(person: &mut Person, id: &str, mut each: impl FnMut(&JobProgress)) -> anyhow::Result<u64> {
    let topic = Topic { field: "jobProgress", document: JOB, id: Some(id.to_owned()) };
    let field = topic.field;
    let mut watch = Subscription::new(person, topic, 0);
    let (mut events, mut is_done) = (0, false);
    while let Some(event) = watch.next().await? {
        events += 1;
        let event: JobEvent = client::read(event, field)?;
        each(&event.progress);
        match event.progress {
            JobProgress::JobSucceeded => is_done = true,
            JobProgress::JobFailed { reason } => bail!("{reason}"),
            JobProgress::JobCancelled => bail!("Somebody cancelled the job. Start the demo again."),
            _ => {}
        }
    }
    if is_done { Ok(events) } else { bail!("The job's events ended before the job did. Start the demo again.") }
}

#[derive(Debug, Deserialize)]
struct Notification {
    kind: String,
    lora: Option<Identified>,
}

/// A person's notifications, heard in the background from the moment on that this was opened.
pub struct Notifications {
    heard: mpsc::UnboundedReceiver<(Notification, Instant)>,
    task: AbortOnDropHandle<anyhow::Result<()>>,
}

impl Notifications {
    /// Subscribes. The person is the subscription's own: a session for this alone.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub async fn open(mut person: Person) -> anyhow::Result<Self> {
        let viewer: Value = person.read("viewer", "{ viewer { lastNotificationSequence } }", json!({})).await?;
        let after = viewer["lastNotificationSequence"].as_i64().unwrap_or(0);
        let topic = Topic { field: "notificationAdded", document: NOTIFICATIONS, id: None };
        let field = topic.field;
        let mut watch = Subscription::new(person, topic, after);
        watch.connect().await?;
        let (sender, heard) = mpsc::unbounded_channel();
        let listening = async move {
            while let Some(event) = watch.next().await? {
                let at = Instant::now();
                if sender.send((client::read(event, field)?, at)).is_err() {
                    break;
                }
            }
            Ok(())
        };
        Ok(Self { heard, task: AbortOnDropHandle::new(tokio::spawn(listening)) })
    }

    /// Waits for the news that a LoRA was published, and says when it arrived.
    ///
    /// # Errors
    /// When it does not come, or the socket could not be kept open.
    pub async fn published(&mut self, lora: &str) -> anyhow::Result<Instant> {
        let listening = timeout(NOTIFICATION_TIME, async {
            while let Some((news, at)) = self.heard.recv().await {
                if news.kind == "LORA_PUBLISHED" && news.lora.as_ref().is_some_and(|found| found.id == lora) {
                    return Some(at);
                }
            }
            None
        });
        let seconds = NOTIFICATION_TIME.as_secs();
        let heard = listening.await.with_context(|| {
            format!("The follower was not told of the publication within {seconds} seconds. Start the demo again.")
        })?;
        if let Some(at) = heard {
            return Ok(at);
        }
        (&mut self.task).await.context("The follower's notifications broke off.")??;
        bail!("The service ended the follower's notifications. Start the demo again.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_by_their_type() {
        let read = |value: Value| serde_json::from_value::<JobEvent>(value).unwrap().progress;
        let training = json!({ "progress": { "__typename": "JobEpochFinished", "epoch": 1, "epochs": 8,
            "trainingLoss": 0.5, "validationLoss": null } });
        assert!(matches!(read(training), JobProgress::JobEpochFinished { epochs: 8, validation_loss: None, .. }));
        assert!(matches!(read(json!({ "progress": { "__typename": "JobSucceeded" } })), JobProgress::JobSucceeded));
        assert!(matches!(read(json!({ "progress": { "__typename": "JobStarted", "x": 1 } })), JobProgress::Other));
    }
}

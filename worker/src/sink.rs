//! Carries progress from the device's thread to the job, and the wish to stop back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use atelier_domain::{
    context::Context,
    jobs::{Lease, LeaseError, Step, claim, progress},
};
use atelier_inference::{Control, EpochOutput, Picture, Progress, Sink};
use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::sync::{mpsc, oneshot};

/// Steps are reported no more often than this; what matters is always reported.
const PACE: Duration = Duration::from_millis(150);

/// The longer edge of a preview in a progress event, in pixels.
const PREVIEW_EDGE: u32 = 128;

/// Why a job shall stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stop {
    /// It shall not.
    No = 0,
    /// Somebody asked to cancel it.
    Cancelled = 1,
    /// Its lease has run out.
    Lost = 2,
    /// The worker is shutting down.
    ShuttingDown = 3,
}

/// Tells a job to stop; the first reason counts.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicU8>);

impl StopFlag {
    /// Asks to stop.
    pub fn raise(&self, stop: Stop) {
        let _ = self.0.compare_exchange(Stop::No as u8, stop as u8, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Why to stop.
    pub fn get(&self) -> Stop {
        match self.0.load(Ordering::SeqCst) {
            0 => Stop::No,
            1 => Stop::Cancelled,
            2 => Stop::Lost,
            _ => Stop::ShuttingDown,
        }
    }
}

/// What the device's thread sends.
pub enum Message {
    /// A step.
    Step(Step),
    /// An epoch, and where to answer once it is stored.
    Epoch(EpochOutput, oneshot::Sender<Result<(), String>>),
}

/// The end of the channel that the device's thread holds.
pub struct JobSink {
    messages: mpsc::UnboundedSender<Message>,
    stop: StopFlag,
    last: Option<Instant>,
    preview: Option<String>,
    before: u32,
    pictures: Option<u32>,
}

impl JobSink {
    /// A sink and the receiver of what it sends.
    pub fn new(stop: StopFlag) -> (Self, mpsc::UnboundedReceiver<Message>) {
        let (messages, receiver) = mpsc::unbounded_channel();
        (Self { messages, stop, last: None, preview: None, before: 0, pictures: None }, receiver)
    }

    /// Counts the pictures of this call as a part of more: so many stand before them, of so many in all.
    #[must_use]
    pub fn counting(self, before: u32, pictures: u32) -> Self {
        Self { before, pictures: Some(pictures), ..self }
    }

    /// Whether a step comes too soon after the last to be reported.
    fn is_too_soon(&mut self, progress: &Progress) -> bool {
        let is_one_of_many = match progress {
            Progress::Training { step, steps, .. } => step < steps && *step > 1,
            Progress::Rendering { step, steps, .. } => step < steps && *step > 1,
            Progress::CachingLatents { done, total } => done < total,
            // Told at every denoising step, to listen for a wish to stop.
            Progress::Sampling { done, total, .. } => done < total,
            _ => false,
        };
        if is_one_of_many && self.last.is_some_and(|last| last.elapsed() < PACE) {
            return true;
        }
        self.last = Some(Instant::now());
        false
    }
}

impl Sink for JobSink {
    fn report(&mut self, progress: &Progress) -> Control {
        if !self.is_too_soon(progress) {
            // When nobody listens any more, the stop flag says so too.
            let mut step = step(progress, self.preview.take());
            if let Step::Rendering { picture, pictures, .. } = &mut step {
                *picture += self.before;
                *pictures = self.pictures.unwrap_or(*pictures);
            }
            let _ = self.messages.send(Message::Step(step));
        }
        if self.stop.get() == Stop::No { Control::Continue } else { Control::Stop }
    }

    fn preview(&mut self, picture: &Picture) {
        let webp = picture.thumbnail(PREVIEW_EDGE).encode_webp();
        self.preview = Some(format!("data:image/webp;base64,{}", STANDARD.encode(webp)));
    }

    fn epoch(&mut self, output: &EpochOutput) -> atelier_inference::Result<()> {
        let (answer, answered) = oneshot::channel();
        if self.messages.send(Message::Epoch(output.clone(), answer)).is_err() {
            return Err(atelier_inference::Error::Stopped);
        }
        match answered.blocking_recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(atelier_inference::Error::Input(reason)),
            Err(_) => Err(atelier_inference::Error::Stopped),
        }
    }
}

fn step(progress: &Progress, preview: Option<String>) -> Step {
    match progress.clone() {
        Progress::Preparing { what } => Step::Preparing { what },
        Progress::CachingLatents { done, total } => Step::CachingLatents { done, total },
        Progress::Training { epoch, epochs, step, steps, loss, learning_rate } => {
            Step::Training { epoch, epochs, step, steps, loss: f64::from(loss), learning_rate }
        }
        Progress::EpochFinished { epoch, epochs, training_loss, validation_loss } => Step::EpochFinished {
            epoch,
            epochs,
            training_loss: f64::from(training_loss),
            validation_loss: validation_loss.map(f64::from),
        },
        Progress::Sampling { epoch, done, total } => Step::Sampling { epoch, done, total },
        Progress::Saving { what } => Step::Saving { what },
        Progress::Rendering { picture, pictures, step, steps } => {
            Step::Rendering { picture, pictures, step, steps, preview }
        }
    }
}

/// Reports a step and passes on what the job's row says: that somebody asked to cancel, or that the lease is lost.
pub async fn report(ctx: &Context, lease: Lease, stop: &StopFlag, step: &Step) -> anyhow::Result<()> {
    observe(progress::report(ctx, lease, step).await, stop)
}

/// Keeps the lease until it is dropped or lost.
pub async fn keep_lease(ctx: &Context, lease: Lease, stop: &StopFlag) {
    let mut beat = tokio::time::interval(ctx.settings.lease / 3);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        if let Err(error) = observe(claim::heartbeat(ctx, lease).await, stop) {
            // The next beat may come through; if none does, the lease runs out and the fence keeps us from writing.
            tracing::warn!(job = %lease.job, error = format!("{error:#}"), "a heartbeat failed");
        }
        if stop.get() == Stop::Lost {
            return;
        }
    }
}

fn observe(result: Result<bool, LeaseError>, stop: &StopFlag) -> anyhow::Result<()> {
    match result {
        Ok(false) => Ok(()),
        Ok(true) => {
            stop.raise(Stop::Cancelled);
            Ok(())
        }
        Err(LeaseError::Lost) => {
            stop.raise(Stop::Lost);
            Ok(())
        }
        Err(LeaseError::Unexpected(error)) => Err(error),
    }
}

//! What is seen while the demo plays: lines and progress bars on standard error. Standard output is for the result.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::watch::JobProgress;

const TEMPLATE: &str = "  {prefix} [{bar:30}] {pos}/{len}  {msg}";

/// Standard error, or a part of it.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    is_lit: bool,
}

impl Stage {
    /// A stage on which everything is seen, or only what somebody must know.
    pub fn new(is_lit: bool) -> Self {
        Self { is_lit }
    }

    /// Says what happens.
    pub fn tell(&self, line: impl AsRef<str>) {
        if self.is_lit {
            self.warn(line);
        }
    }

    /// Says what somebody must know.
    pub fn warn(&self, line: impl AsRef<str>) {
        // Whoever closed standard error does not want to read on.
        let _ = writeln!(io::stderr().lock(), "{}", line.as_ref());
    }

    /// A progress bar of so many steps; it is drawn on a terminal only.
    pub fn bar(&self, name: &'static str, steps: u64) -> ProgressBar {
        let target = if self.is_lit { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(steps), target).with_style(style.progress_chars("=> "));
        bar.set_prefix(name);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

/// Shows a step of a job on a bar: a training's own steps, and of everything else what it is.
pub fn show(bar: &ProgressBar, progress: &JobProgress) {
    match progress {
        JobProgress::JobTraining { epoch, epochs, step, steps, loss } => {
            bar.set_length(*steps);
            bar.set_position(*step);
            bar.set_message(format!("epoch {epoch} of {epochs}, loss {loss:.4}"));
        }
        JobProgress::JobEpochFinished { epoch, epochs, training_loss, validation_loss } => {
            let held_out = validation_loss.map(|loss| format!(", held-out {loss:.4}")).unwrap_or_default();
            bar.set_message(format!("epoch {epoch} of {epochs} done, loss {training_loss:.4}{held_out}"));
        }
        JobProgress::JobPreparing { what } => bar.set_message(format!("preparing {what}")),
        JobProgress::JobCachingLatents { done, total } => {
            bar.set_message(format!("encoding pictures: {done} of {total}"))
        }
        JobProgress::JobSampling { epoch, done, total } => {
            bar.set_message(format!("samples of epoch {epoch}: {done} of {total}"));
        }
        JobProgress::JobSaving { what } => bar.set_message(format!("saving {what}")),
        JobProgress::JobRendering { picture, pictures, step, steps } => {
            bar.set_message(format!("picture {picture} of {pictures}, step {step} of {steps}"));
        }
        JobProgress::JobSucceeded | JobProgress::JobFailed { .. } | JobProgress::JobCancelled | JobProgress::Other => {}
    }
}

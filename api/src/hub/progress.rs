//! What is seen of a download: a bar on a terminal, lines elsewhere. Both go to standard error; standard output is for
//! the result.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

const TEMPLATE: &str = "  [{bar:30}] {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}, {eta} left  {msg}";

/// How much of a model is there.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    writes_lines: bool,
    /// Tenths that a line was written for.
    tenths: AtomicU64,
}

impl Progress {
    /// As standard error is: a terminal or not.
    pub fn of_standard_error() -> Self {
        let is_terminal = io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bar: ProgressBar::with_draw_target(None, target), writes_lines: !is_terminal, tenths: AtomicU64::new(0) }
    }

    /// Nothing is seen.
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), writes_lines: false, tenths: AtomicU64::new(0) }
    }

    /// Begins with so many bytes.
    pub fn begin(&self, total: u64) {
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bar.set_style(style.progress_chars("=> "));
        self.bar.set_length(total);
        self.bar.reset();
        self.bar.enable_steady_tick(Duration::from_millis(200));
        self.tenths.store(0, Ordering::Relaxed);
    }

    /// A file is looked at.
    pub fn file(&self, path: &str) {
        self.bar.set_message(path.to_owned());
    }

    /// So many bytes more are there.
    pub fn forward(&self, bytes: u64) {
        self.bar.inc(bytes);
        let total = self.bar.length().unwrap_or_default();
        if !self.writes_lines || total == 0 {
            return;
        }
        let tenths = self.bar.position().saturating_mul(10) / total;
        if tenths > self.tenths.fetch_max(tenths, Ordering::Relaxed) {
            write_line(&format!(
                "  {} of {}, {} %",
                BinaryBytes(self.bar.position()),
                BinaryBytes(total),
                tenths.saturating_mul(10)
            ));
        }
    }

    /// So many bytes were of no use.
    pub fn back(&self, bytes: u64) {
        self.bar.set_position(self.bar.position().saturating_sub(bytes));
    }

    /// Says what somebody should know.
    pub fn note(&self, line: impl AsRef<str>) {
        if self.writes_lines {
            write_line(line.as_ref());
        } else if !self.bar.is_hidden() {
            self.bar.suspend(|| write_line(line.as_ref()));
        }
    }

    /// Everything is there, or nothing more comes.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn write_line(line: &str) {
    // Whoever closed standard error does not want to read on.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

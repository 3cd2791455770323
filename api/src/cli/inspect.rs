//! `atelier inspect`.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

use super::say;

/// Say what is in a LoRA file.
#[derive(Parser, Debug)]
pub struct Inspect {
    /// A `.safetensors` file
    file: PathBuf,
}

impl Inspect {
    /// Prints the report as JSON; status 1 when something is wrong with the file.
    ///
    /// # Errors
    /// When the file is no LoRA that is understood.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let report = atelier_worker::inference::inspect(&self.file)?;
        say(serde_json::to_string_pretty(&report)?);
        Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

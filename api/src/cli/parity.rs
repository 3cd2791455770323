//! `atelier parity`.

use std::{path::PathBuf, process::ExitCode};

use atelier_worker::inference;
use clap::Parser;

use super::say;
use crate::config::DeviceSettings;

/// Repeat cases of the reference implementation and compare every tensor.
#[derive(Parser, Debug)]
pub struct Parity {
    /// Folders of cases
    #[arg(required = true)]
    cases: Vec<PathBuf>,

    #[command(flatten)]
    device: DeviceSettings,
}

impl Parity {
    /// Prints one JSON line a case; status 0 only if every case is equal to the reference.
    ///
    /// # Errors
    /// When the device is not there, or does not compute in the numbers that are asked for.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        self.device.check()?;
        let mut all_ok = true;
        for case in &self.cases {
            match inference::parity(case, &self.device.device, self.device.precision()) {
                Ok(report) => {
                    all_ok &= report.ok;
                    say(serde_json::to_string(&report)?);
                }
                Err(error) => {
                    all_ok = false;
                    let line = serde_json::json!({ "case": case, "ok": false, "error": error.to_string() });
                    say(line.to_string());
                }
            }
        }
        Ok(if all_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

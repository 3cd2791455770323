//! The command line.

mod bench;
mod bench_notifications;
mod compare;
mod demo;
mod inspect;
mod maintenance;
mod models;
mod parity;
mod schema;
mod score;
mod seed;
mod serve;
mod upscale;
mod worker;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{config::LogSettings, telemetry};

/// A self-hosted marketplace and shared studio for image LoRAs.
///
/// Without a command it serves: on 127.0.0.1:8080, with everything it keeps in `atelier-data`.
#[derive(Parser, Debug)]
#[command(name = "atelier", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start the service: API, search, background work and, unless told otherwise, a worker
    Serve(Box<serve::Serve>),
    /// Start a worker alone: it takes jobs from the database and does nothing else
    Worker(Box<worker::WorkerCommand>),
    /// Play the main job through the public API: train a LoRA, publish it, find it, generate with it
    Demo(demo::Demo),
    /// Make model folders known, download them from a hub, check them and list them
    Models(models::Models),
    /// Say what is in a LoRA file, or how a picture was made
    Inspect(inspect::Inspect),
    /// Repeat cases of the reference implementation and compare every tensor
    Parity(parity::Parity),
    /// Measure what a LoRA does to models, and at which strengths
    Compare(compare::Compare),
    /// Measure how fast this machine generates
    Bench(bench::Bench),
    /// Say how well pictures show a prompt, and how good they are
    Score(score::Score),
    /// Make a picture larger, by Real-ESRGAN's network or without weights
    Upscale(upscale::Upscale),
    /// Fill an empty installation with made-up LoRAs, people and ratings, to try things out and to measure
    Seed(seed::Seed),
    /// Copy the live SQLite database into a new file
    Backup(maintenance::Backup),
    /// Check that every balance is the sum of its entries and every operation balances
    Ledger(maintenance::Ledger),
    /// Count the use of LoRAs again from the events
    Usage(maintenance::Usage),
    /// Build the search index anew from the database; stop the service first
    Reindex(maintenance::Reindex),
    /// Write schema.graphql and docs/PERMISSIONS.md
    Schema(schema::SchemaCommand),
}

/// Reads the command line, does what it says, and gives the status to exit with: 0 when all went well, 1 when not, 2 for
/// a command line that is not understood.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done about a closed standard error.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let command = match cli.command {
        Some(command) => command,
        None => Command::Serve(Box::new(serve::Serve::parse_from(["atelier serve"]))),
    };
    match run(command) {
        Ok(code) => code,
        Err(error) => {
            say_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::Serve(serve) => block_on(serve.run()).map(done),
        Command::Worker(worker) => block_on(worker.run()).map(done),
        Command::Demo(demo) => block_on(demo.run()).map(done),
        Command::Models(models) => block_on(models.run()),
        Command::Inspect(inspect) => inspect.run(),
        Command::Parity(parity) => parity.run(),
        Command::Bench(bench) => bench.run(),
        Command::Compare(compare) => compare.run(),
        Command::Score(score) => score.run(),
        Command::Upscale(upscale) => upscale.run(),
        Command::Seed(seed) => block_on(seed.run()).map(done),
        Command::Backup(backup) => block_on(backup.run()).map(done),
        Command::Ledger(ledger) => block_on(ledger.run()),
        Command::Usage(usage) => block_on(usage.run()).map(done),
        Command::Reindex(reindex) => block_on(reindex.run()).map(done),
        Command::Schema(schema) => schema.run(),
    }
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}

fn start_log(settings: &LogSettings) -> anyhow::Result<()> {
    telemetry::start_log(settings.log_format, &settings.log_filter)
}

/// Writes a line to standard output.
fn say(line: impl AsRef<str>) {
    // Whoever closed the pipe does not want to read on.
    let _ = writeln!(io::stdout().lock(), "{}", line.as_ref());
}

/// Writes an error as sentences, what happened first and its causes after it.
fn say_error(error: &anyhow::Error) {
    let mut text = format!("atelier: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(&format!("\n  because: {cause}"));
        }
    }
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}

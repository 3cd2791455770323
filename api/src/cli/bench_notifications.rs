//! `atelier bench notifications`.

use std::{path::Path, process::ExitCode};

use atelier_domain::social::notification_bench::{self, Report};
use clap::Parser;

use super::say;
use crate::{
    config::{
        HouseSettings, LogSettings, S3Settings, SEARCH_INDEX,
        location::{DatabaseLocation, SearchLocation},
    },
    house::{self, SearchUse},
    telemetry::LogFormat,
};

/// How fast the followers of a publication are told, and how long others wait meanwhile.
///
/// The people are made first, in a database of its own: a SQLite file that is deleted afterwards, or the PostgreSQL database
/// that is named, which must be empty.
#[derive(Parser, Debug)]
pub(super) struct Notifications {
    /// How many people follow
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    followers: u64,
    /// An empty PostgreSQL database to measure instead of a new SQLite file
    #[arg(long, value_name = "URL", value_parser = DatabaseLocation::parse)]
    database_url: Option<DatabaseLocation>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

impl Notifications {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let folder = tempfile::tempdir()?;
        let settings = settings(folder.path(), self.database_url);
        let house = house::open(&settings, String::new(), SearchUse::None).await?;
        let report = notification_bench::run(&house, self.followers).await?;
        if self.json {
            say(serde_json::to_string(&report)?);
        } else {
            table(&report);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A house of its own, in which the environment has no say.
fn settings(data: &Path, database_url: Option<DatabaseLocation>) -> HouseSettings {
    HouseSettings {
        measure_compatibility: false,
        sentence_encoder: None,
        data: data.to_owned(),
        database_url,
        blobs_url: None,
        s3: S3Settings {
            s3_region: "us-east-1".to_owned(),
            s3_endpoint: None,
            s3_access_key_id: None,
            s3_secret_access_key: None,
        },
        search: SearchLocation::Embedded,
        search_key: None,
        search_index: SEARCH_INDEX.to_owned(),
        lease_seconds: 30,
        log: LogSettings { log_format: LogFormat::Pretty, log_filter: "warn".to_owned() },
    }
}

fn table(report: &Report) {
    say(format!(
        "{}: {} followers were told in {:.2} s, {:.0} a second.",
        report.engine, report.notifications, report.seconds, report.notifications_per_second
    ));
    say(format!("It took {} transactions, the longest {:.1} ms.", report.transactions, report.longest_transaction_ms));
    say(format!(
        "{} small writes of others took {:.1} ms (median), {:.1} ms (p99), {:.1} ms (longest).",
        report.other_writes, report.other_write_p50_ms, report.other_write_p99_ms, report.other_write_longest_ms
    ));
}

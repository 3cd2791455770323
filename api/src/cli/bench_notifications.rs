//! `atelier bench notifications`.

use std::process::ExitCode;

use atelier_domain::social::notification_bench::{self, Report};
use clap::Parser;

use super::say;
use crate::{
    config::{HouseSettings, location::DatabaseLocation},
    house::{self, HouseUse},
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
        let settings = HouseSettings { database_url: self.database_url, ..HouseSettings::apart(folder.path(), "warn") };
        let house = house::open(&settings, String::new(), HouseUse::Administer).await?;
        let report = notification_bench::run(&house, self.followers).await?;
        if self.json {
            say(serde_json::to_string(&report)?);
        } else {
            table(&report);
        }
        Ok(ExitCode::SUCCESS)
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

//! `atelier backup`, `atelier ledger`, `atelier usage`, `atelier reindex`: what whoever runs an installation needs now and then.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use atelier_domain::{
    ledger,
    lora::rebuild::{self, Rebuild},
    usage,
};
use clap::{Parser, Subcommand};

use super::{say, start_log};
use crate::{
    config::HouseSettings,
    house::{self, HouseUse},
};

/// Copy the live SQLite database into a new file.
#[derive(Parser, Debug)]
pub struct Backup {
    /// The new file
    file: PathBuf,

    #[command(flatten)]
    house: HouseSettings,
}

impl Backup {
    /// Copies.
    ///
    /// # Errors
    /// When the file exists or cannot be written, or the database is not SQLite.
    pub async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        let house = house::open(&self.house, String::new(), HouseUse::Administer).await?;
        house.db.backup(&self.file).await?;
        say(format!("The database was copied to {}. Copy the blobs folder beside it.", self.file.display()));
        Ok(())
    }
}

/// Check the ledger.
#[derive(Parser, Debug)]
pub struct Ledger {
    #[command(flatten)]
    house: HouseSettings,
}

impl Ledger {
    /// Checks every balance and operation; status 1 when something is wrong.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        start_log(&self.house.log)?;
        let house = house::open(&self.house, String::new(), HouseUse::Administer).await?;
        let wrong = ledger::audit(house.db.read()).await?;
        for sentence in &wrong {
            say(sentence);
        }
        if wrong.is_empty() {
            say("The ledger is right: every balance is the sum of its entries, and every operation balances.");
            return Ok(ExitCode::SUCCESS);
        }
        Ok(ExitCode::FAILURE)
    }
}

/// What is counted of the use of LoRAs.
#[derive(Parser, Debug)]
pub struct Usage {
    #[command(subcommand)]
    command: UsageCommand,
}

#[derive(Subcommand, Debug)]
enum UsageCommand {
    /// Count downloads, generations, pictures, teams and what trends again, from the events; the service may run
    Rebuild {
        #[command(flatten)]
        house: HouseSettings,
    },
}

impl Usage {
    /// Counts again.
    ///
    /// # Errors
    /// When the database cannot be read or written; nothing was changed then.
    pub async fn run(self) -> anyhow::Result<()> {
        let UsageCommand::Rebuild { house } = self.command;
        start_log(&house.log)?;
        let house = house::open(&house, String::new(), HouseUse::Administer).await?;
        let usage::Rebuilt { events, days, wrong } = usage::rebuild(&house).await?;
        let wrong = match wrong {
            0 => "All counts were right.".to_owned(),
            wrong => format!("{wrong} counts were wrong and were put right."),
        };
        say(format!("{events} events were counted again: {days} days of versions. {wrong}"));
        Ok(())
    }
}

/// Build the search index anew, while people search.
#[derive(Parser, Debug)]
pub struct Reindex {
    #[command(flatten)]
    house: HouseSettings,
}

impl Reindex {
    /// Asks the service that keeps the index to build it anew, and waits for it; where no service runs, it does so itself.
    ///
    /// # Errors
    /// When the database or the engine fails, or the disk is full.
    pub async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        let house = house::open(&self.house, String::new(), HouseUse::Administer).await?;
        rebuild::wish(&house).await?;
        let asked = Instant::now();
        let mut told = 0;
        loop {
            match rebuild::progress(&house).await? {
                Some(Rebuild::Done { loras }) => {
                    say(format!("The index was built anew with {loras} LoRAs."));
                    return Ok(());
                }
                Some(Rebuild::Running { loras }) if loras > told => {
                    say(format!("{loras} LoRAs…"));
                    told = loras;
                }
                Some(Rebuild::Wished) if asked.elapsed() > NOBODY_KEEPS_IT => break,
                _ => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        drop(house);
        let house = house::open(&self.house, String::new(), HouseUse::Serve).await?;
        let loras = rebuild::fulfil(&house).await?;
        say(format!("The index was built anew with {loras} LoRAs."));
        Ok(())
    }
}

/// How long a wish may lie there until it is clear that no service runs.
const NOBODY_KEEPS_IT: Duration = Duration::from_secs(5);

/// How often to look how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

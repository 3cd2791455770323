//! `atelier backup`, `atelier ledger`, `atelier reindex`: what whoever runs an installation needs now and then.

use std::{path::PathBuf, process::ExitCode};

use atelier_domain::{ledger, lora};
use clap::Parser;

use super::{say, start_log};
use crate::{
    config::HouseSettings,
    house::{self, SearchUse},
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
        let house = house::open(&self.house, String::new(), SearchUse::None).await?;
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
        let house = house::open(&self.house, String::new(), SearchUse::None).await?;
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

/// Build the search index anew.
#[derive(Parser, Debug)]
pub struct Reindex {
    #[command(flatten)]
    house: HouseSettings,
}

impl Reindex {
    /// Builds the index from the database.
    ///
    /// # Errors
    /// When a service holds the index, or the disk is full.
    pub async fn run(self) -> anyhow::Result<()> {
        start_log(&self.house.log)?;
        let house = house::open(&self.house, String::new(), SearchUse::Keep).await?;
        let count = lora::reindex(&house).await?;
        say(format!("The index was built anew with {count} LoRAs."));
        Ok(())
    }
}

//! Bookings of credits.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{entities::ledger_entry, id::Noun};
use chrono::{DateTime, Utc};

use super::job::Job;
use crate::graphql::{context::encode, loaders::load, scalars::BigInt};

/// A booking on what a team may spend.
pub struct LedgerEntry(pub ledger_entry::Model);

#[Object]
impl LedgerEntry {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::LedgerEntry, self.0.id)
    }

    /// Credits: above zero what came, below zero what went.
    async fn amount(&self) -> BigInt {
        BigInt(self.0.amount)
    }

    /// The operation that it belongs to, such as `reserve:…`; an account knows each once.
    async fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The job that it is for.
    async fn job(&self, ctx: &Context<'_>) -> Result<Option<Job>> {
        let Some(id) = self.0.job_id else { return Ok(None) };
        load(ctx, |loaders| &loaders.jobs, id).await.map(|row| row.map(Job))
    }

    /// When.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

//! Reading bookings.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{id::Noun, ledger};

use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::{Resolve, decode},
    types::ledger::LedgerEntry,
};

/// Queries of bookings.
#[derive(Default)]
pub struct LedgerQuery;

#[Object]
impl LedgerQuery {
    /// The bookings on what one of your teams may spend, newest first.
    async fn ledger_entries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The team.")] team_id: ID,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<LedgerEntry>> {
        let team = decode(Noun::Team, &team_id)?;
        connection(ledger::entries(ctx.house(), ctx.actor(), team, &page_request(first, after)?).await, LedgerEntry)
    }
}

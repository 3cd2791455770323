//! Reading the audit trail.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{audit, id::Noun};

use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::{Resolve, decode},
    types::audit_entry::AuditEntry,
};

/// Queries of the audit trail.
#[derive(Default)]
pub struct AuditEntryQuery;

#[Object]
impl AuditEntryQuery {
    /// Who did what in a team that you administer, newest first.
    async fn audit_entries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The team.")] team_id: ID,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<AuditEntry>> {
        let team = decode(Noun::Team, &team_id)?;
        connection(audit::of_team(ctx.house(), ctx.actor(), team, &page_request(first, after)?).await, AuditEntry)
    }
}

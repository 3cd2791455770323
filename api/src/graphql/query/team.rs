//! Reading teams.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{id::Noun, team as teams};

use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::{Resolve, decode},
    failure,
    types::team::Team,
};

/// Queries of teams.
#[derive(Default)]
pub struct TeamQuery;

#[Object]
impl TeamQuery {
    /// One of your teams.
    async fn team(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<Team> {
        let id = decode(Noun::Team, &id)?;
        teams::get(ctx.house(), ctx.actor(), id).await.map(Team).map_err(failure::read_error)
    }

    /// Your teams, oldest first.
    async fn teams(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Team>> {
        connection(teams::list(ctx.house(), ctx.actor(), &page_request(first, after)?).await, Team)
    }
}

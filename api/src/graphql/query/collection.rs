//! Reading collections.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{id::Noun, social::collection};

use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::{Resolve, decode},
    failure,
    types::collection::Collection,
};

/// Queries of collections.
#[derive(Default)]
pub struct CollectionQuery;

#[Object]
impl CollectionQuery {
    /// A collection: a public one, or one of your teams.
    async fn collection(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<Collection> {
        let id = decode(Noun::Collection, &id)?;
        collection::get(ctx.house(), ctx.actor(), id).await.map(Collection).map_err(failure::read_error)
    }

    /// The collections of a team that you may see, newest first. A person's are `User.collections`.
    async fn collections(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The team; all of yours without.")] team_id: Option<ID>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Collection>> {
        let team = team_id.map(|id| decode(Noun::Team, &id)).transpose()?;
        let page = page_request(first, after)?;
        connection(collection::list(ctx.house(), ctx.actor(), team, &page).await, Collection)
    }
}

//! Reading one's feed.

use async_graphql::{Context, Object, Result};
use atelier_domain::social::feed;

use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::Resolve,
    types::feed::FeedEntry,
};

/// Queries of feeds.
#[derive(Default)]
pub struct FeedQuery;

#[Object]
impl FeedQuery {
    /// The LoRAs and versions that those published whom you follow, newest first.
    async fn feed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<FeedEntry>> {
        let page = page_request(first, after)?;
        connection(feed::read(ctx.house(), ctx.actor(), &page).await, FeedEntry)
    }
}

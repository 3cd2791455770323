//! Reading what was reported.

use async_graphql::{Context, Object, Result};
use atelier_domain::moderation;

use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::Resolve,
    types::moderation::{ModerationCase, ModerationQueueOrder, ModerationQueueState},
};

/// Queries of moderation.
#[derive(Default)]
pub struct ModerationQuery;

#[Object]
impl ModerationQuery {
    /// Things that were reported or hidden, one row each. For those who administer the installation.
    async fn moderation_queue(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them; OPEN without.")] state: Option<ModerationQueueState>,
        #[graphql(desc = "What comes first; NEWEST without.")] sort: Option<ModerationQueueOrder>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<ModerationCase>> {
        let state = state.map_or(moderation::QueueState::Open, Into::into);
        let sort = sort.map_or(moderation::QueueSort::Newest, Into::into);
        let page = page_request(first, after)?;
        connection(moderation::queue(ctx.house(), ctx.actor(), state, sort, &page).await, ModerationCase)
    }
}

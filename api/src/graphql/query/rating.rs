//! Reading ratings.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{
    id::Noun,
    social::rating::{self, RatingSort},
};

use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::{Resolve, decode},
    types::rating::{Rating, RatingOrder},
};

/// Queries of ratings.
#[derive(Default)]
pub struct RatingQuery;

#[Object]
impl RatingQuery {
    /// The ratings of a LoRA, without those of people whom you block.
    async fn ratings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The LoRA.")] lora_id: ID,
        #[graphql(desc = "What comes first; NEWEST without.")] sort: Option<RatingOrder>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Rating>> {
        let id = decode(Noun::Lora, &lora_id)?;
        let sort = sort.map_or(RatingSort::Newest, Into::into);
        let page = page_request(first, after)?;
        connection(rating::list(ctx.house(), ctx.actor(), id, sort, &page).await, Rating)
    }
}

//! Reading ratings.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{id::Noun, lora as loras};

use crate::graphql::{
    connection::ConnectionOf,
    context::{Resolve, decode},
    failure,
    loaders::pages::load_page,
    types::rating::Rating,
};

/// Queries of ratings.
#[derive(Default)]
pub struct RatingQuery;

#[Object]
impl RatingQuery {
    /// The ratings of a LoRA, newest first.
    async fn ratings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The LoRA.")] lora_id: ID,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Rating>> {
        let id = decode(Noun::Lora, &lora_id)?;
        loras::get(ctx.house(), ctx.actor(), id).await.map_err(failure::read_error)?;
        load_page(ctx, |pages| &pages.lora_ratings, id, (first, after), Rating).await
    }
}

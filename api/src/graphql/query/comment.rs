//! Reading comments.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{id::Noun, social::comment};

use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::{Resolve, decode},
    failure,
    types::comment::Comment,
};

/// Queries of comments.
#[derive(Default)]
pub struct CommentQuery;

#[Object]
impl CommentQuery {
    /// A comment on a LoRA that you may see.
    async fn comment(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<Comment> {
        let id = decode(Noun::Comment, &id)?;
        comment::get(ctx.house(), ctx.actor(), id).await.map(Comment).map_err(failure::read_error)
    }

    /// The comments that begin a thread on a LoRA, newest first; their answers are `replies`.
    async fn comments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The LoRA.")] lora_id: ID,
        #[graphql(desc = "Only resolved threads, or only open ones; all without.")] resolved: Option<bool>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Comment>> {
        let id = decode(Noun::Lora, &lora_id)?;
        let page = page_request(first, after)?;
        connection(comment::threads(ctx.house(), ctx.actor(), id, resolved, &page).await, Comment)
    }
}

//! Reading people.

use async_graphql::{Context, Error, ID, Object, Result};
use atelier_domain::{account, id::Noun};

use crate::graphql::{
    context::{Resolve, decode},
    failure,
    types::user::{User, Viewer},
};

/// Queries of people.
#[derive(Default)]
pub struct UserQuery;

#[Object]
impl UserQuery {
    /// You.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        account::own(ctx.house(), ctx.actor()).await.map(Viewer).map_err(failure::read_error)
    }

    /// A person, by id or by handle.
    async fn user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Their id.")] id: Option<ID>,
        #[graphql(desc = "Their name in addresses.")] handle: Option<String>,
    ) -> Result<User> {
        let found = match (id, handle) {
            (Some(id), None) => account::get(ctx.house(), ctx.actor(), decode(Noun::User, &id)?).await,
            (None, Some(handle)) => account::by_handle(ctx.house(), ctx.actor(), &handle).await,
            (Some(_), Some(_)) | (None, None) => return Err(which()),
        };
        found.map(User).map_err(failure::read_error)
    }
}

fn which() -> Error {
    failure::coded("Name either `id` or `handle`, and not both.", "BAD_REQUEST")
}

//! Reading uploads.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{id::Noun, upload as uploads};

use crate::graphql::{
    context::{Resolve, decode},
    failure,
    types::upload::Upload,
};

/// Queries of uploads.
#[derive(Default)]
pub struct UploadQuery;

#[Object]
impl UploadQuery {
    /// An upload of one of your teams.
    async fn upload(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<Upload> {
        let id = decode(Noun::Upload, &id)?;
        uploads::get(ctx.house(), ctx.actor(), id).await.map(Upload).map_err(failure::read_error)
    }
}

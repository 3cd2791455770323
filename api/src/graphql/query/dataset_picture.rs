//! Reading pictures of data sets.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{dataset::pictures, id::Noun};

use crate::graphql::{
    context::{Resolve, decode},
    failure,
    types::dataset_picture::DatasetPicture,
};

/// Queries of pictures of data sets.
#[derive(Default)]
pub struct DatasetPictureQuery;

#[Object]
impl DatasetPictureQuery {
    /// A picture of a data set of one of your teams.
    async fn dataset_picture(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<DatasetPicture> {
        let id = decode(Noun::DatasetPicture, &id)?;
        pictures::one(ctx.house(), ctx.actor(), id).await.map(DatasetPicture).map_err(failure::read_error)
    }
}

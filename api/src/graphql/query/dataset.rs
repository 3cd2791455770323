//! Reading data sets.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{dataset as datasets, id::Noun};

use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::{Resolve, decode},
    failure,
    types::dataset::Dataset,
};

/// Queries of data sets.
#[derive(Default)]
pub struct DatasetQuery;

#[Object]
impl DatasetQuery {
    /// A data set of one of your teams.
    async fn dataset(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<Dataset> {
        let id = decode(Noun::Dataset, &id)?;
        datasets::get(ctx.house(), ctx.actor(), id).await.map(Dataset).map_err(failure::read_error)
    }

    /// Data sets of your teams, newest first.
    async fn datasets(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
        #[graphql(desc = "Of one team only.")] team_id: Option<ID>,
    ) -> Result<ConnectionOf<Dataset>> {
        let team = team_id.map(|id| decode(Noun::Team, &id)).transpose()?;
        connection(datasets::list(ctx.house(), ctx.actor(), team, &page_request(first, after)?).await, Dataset)
    }
}

//! Reading generations and their pictures.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{
    generation::{self, AssetFilter},
    id::Noun,
};

use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::{Resolve, decode},
    failure,
    types::generation::{Asset, Generation},
};

/// Queries of generations.
#[derive(Default)]
pub struct GenerationQuery;

#[Object]
impl GenerationQuery {
    /// A generation of one of your teams.
    async fn generation(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<Generation> {
        let id = decode(Noun::Generation, &id)?;
        generation::get(ctx.house(), ctx.actor(), id).await.map(Generation).map_err(failure::read_error)
    }

    /// Generations of your teams, newest first.
    async fn generations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of one team only.")] team_id: Option<ID>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Generation>> {
        let team = team_id.map(|id| decode(Noun::Team, &id)).transpose()?;
        connection(generation::list(ctx.house(), ctx.actor(), team, &page_request(first, after)?).await, Generation)
    }

    /// A picture of one of your teams.
    async fn asset(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<Asset> {
        let id = decode(Noun::Asset, &id)?;
        generation::asset(ctx.house(), ctx.actor(), id).await.map(Asset).map_err(failure::read_error)
    }

    /// Pictures of your teams, newest first.
    async fn assets(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of one team only.")] team_id: Option<ID>,
        #[graphql(desc = "Of one generation only.")] generation_id: Option<ID>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Asset>> {
        let team = team_id.map(|id| decode(Noun::Team, &id)).transpose()?;
        let generation = generation_id.map(|id| decode(Noun::Generation, &id)).transpose()?;
        let filter = AssetFilter { team, generation };
        connection(generation::assets(ctx.house(), ctx.actor(), &filter, &page_request(first, after)?).await, Asset)
    }
}

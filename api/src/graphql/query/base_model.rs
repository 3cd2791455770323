//! Reading base models.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{base_model as base_models, id::Noun};

use crate::graphql::{
    context::{Resolve, decode},
    failure,
    types::base_model::BaseModel,
};

/// Queries of base models.
#[derive(Default)]
pub struct BaseModelQuery;

#[Object]
impl BaseModelQuery {
    /// A base model that is offered to everyone or to one of your teams.
    async fn base_model(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<BaseModel> {
        let id = decode(Noun::BaseModel, &id)?;
        base_models::get(ctx.house(), ctx.actor(), id).await.map(BaseModel).map_err(failure::read_error)
    }

    /// The base models that are offered to everyone or to your teams, the installation's default first; of one team, the
    /// one first that it uses when nobody names one.
    async fn base_models(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Offered to one of your teams only.")] team_id: Option<ID>,
    ) -> Result<Vec<BaseModel>> {
        let team = team_id.map(|id| decode(Noun::Team, &id)).transpose()?;
        let models = base_models::list(ctx.house(), ctx.actor(), team).await.map_err(failure::read_error)?;
        Ok(models.into_iter().map(BaseModel).collect())
    }
}

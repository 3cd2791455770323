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
    /// A base model.
    async fn base_model(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<BaseModel> {
        let id = decode(Noun::BaseModel, &id)?;
        base_models::get(ctx.house(), id).await.map(BaseModel).map_err(failure::read_error)
    }

    /// The base models of this installation, the default one first.
    async fn base_models(&self, ctx: &Context<'_>) -> Result<Vec<BaseModel>> {
        let models = base_models::list(ctx.house()).await.map_err(failure::read_error)?;
        Ok(models.into_iter().map(BaseModel).collect())
    }
}

//! Reading trainings.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{id::Noun, training};

use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::{Resolve, decode},
    failure,
    types::training::TrainingRun,
};

/// Queries of trainings.
#[derive(Default)]
pub struct TrainingQuery;

#[Object]
impl TrainingQuery {
    /// A training of one of your teams.
    async fn training_run(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<TrainingRun> {
        let id = decode(Noun::TrainingRun, &id)?;
        training::get(ctx.house(), ctx.actor(), id).await.map(TrainingRun).map_err(failure::read_error)
    }

    /// Trainings of your teams, newest first.
    async fn training_runs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of one LoRA only.")] lora_id: Option<ID>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<TrainingRun>> {
        let lora = lora_id.map(|id| decode(Noun::Lora, &id)).transpose()?;
        connection(training::list(ctx.house(), ctx.actor(), lora, &page_request(first, after)?).await, TrainingRun)
    }
}

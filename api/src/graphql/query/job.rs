//! Reading jobs.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{
    id::Noun,
    jobs::control::{self, JobFilter},
};

use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::{Resolve, decode},
    failure,
    types::job::{Job, JobKind, JobState},
};

/// Queries of jobs.
#[derive(Default)]
pub struct JobQuery;

#[Object]
impl JobQuery {
    /// A job of one of your teams.
    async fn job(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<Job> {
        let id = decode(Noun::Job, &id)?;
        control::get(ctx.house(), ctx.actor(), id).await.map(Job).map_err(failure::read_error)
    }

    /// Jobs of your teams, newest first.
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of one team only.")] team_id: Option<ID>,
        #[graphql(desc = "In one state only.")] state: Option<JobState>,
        #[graphql(desc = "Of one kind only.")] kind: Option<JobKind>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Job>> {
        let team = team_id.map(|id| decode(Noun::Team, &id)).transpose()?;
        let filter = JobFilter { team, state: state.map(Into::into), kind: kind.map(Into::into) };
        connection(control::list(ctx.house(), ctx.actor(), &filter, &page_request(first, after)?).await, Job)
    }
}

//! Watching jobs.

use std::sync::Arc;

use async_graphql::{Context, ID, Result, Subscription};
use atelier_domain::{context::Context as House, id::Noun, jobs};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use crate::graphql::{
    context::{Resolve, decode},
    failure,
    scalars::BigInt,
    types::job_event::JobEvent,
};

/// Events are read in pieces of so many.
const PIECE: u64 = 100;

/// Subscriptions of jobs.
#[derive(Default)]
pub struct JobSubscription;

#[Subscription]
impl JobSubscription {
    /// Every event of a job after a number, the past ones first. It completes when the job has ended. A client that
    /// reconnects with the last `sequence` it saw misses nothing and sees nothing twice.
    async fn job_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The job.")] id: ID,
        #[graphql(desc = "The last sequence already seen; all events without it.")] after: Option<BigInt>,
    ) -> Result<impl Stream<Item = Result<JobEvent>> + use<>> {
        let id = decode(Noun::Job, &id)?;
        let house = Arc::clone(ctx.house());
        jobs::control::get(&house, ctx.actor(), id).await.map_err(failure::read_error)?;
        Ok(events(house, id, after.map_or(0, |after| after.0)))
    }
}

/// The events of a job from a number on, until it ends.
fn events(house: Arc<House>, job: Uuid, after: i64) -> impl Stream<Item = Result<JobEvent>> {
    let changes = house.events.subscribe();
    let pieces =
        stream::try_unfold((house, changes, after, false), move |(house, mut changes, after, ended)| async move {
            if ended {
                return Ok(None);
            }
            loop {
                changes.mark_unchanged();
                let rows =
                    jobs::progress::after(house.db.read(), job, after, PIECE).await.map_err(anyhow::Error::from)?;
                let events = rows.into_iter().map(JobEvent::new).collect::<anyhow::Result<Vec<_>>>()?;
                if let Some(last) = events.last() {
                    let (sequence, ended) = (last.sequence_number(), last.is_last());
                    return Ok(Some((events, (house, changes, sequence, ended))));
                }
                if jobs::control::has_ended(house.db.read(), job, after).await.map_err(anyhow::Error::from)? {
                    return Ok(None);
                }
                if changes.changed().await.is_err() {
                    return Ok(None);
                }
            }
        });
    pieces
        .map_err(|error: anyhow::Error| failure::unexpected(&error))
        .map_ok(|events| stream::iter(events.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

//! Watching notifications.

use std::sync::Arc;

use async_graphql::{Context, Result, Subscription};
use atelier_domain::{actor::Actor, context::Context as House, error::ReadError, social::notification};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};

use crate::graphql::{context::Resolve, failure, scalars::BigInt, types::notification::Notification};

/// Notifications are read in pieces of so many.
const PIECE: u64 = 100;

/// Subscriptions of notifications.
#[derive(Default)]
pub struct NotificationSubscription;

#[Subscription]
impl NotificationSubscription {
    /// Your notifications after a number, the past ones first, then each as it comes. A client that reconnects with the
    /// last `sequence` it saw misses nothing and sees nothing twice.
    async fn notification_added(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The last sequence already seen, 0 for all; without it only what comes from now on.")]
        after: Option<BigInt>,
    ) -> Result<impl Stream<Item = Result<Notification>> + use<>> {
        let (house, actor) = (Arc::clone(ctx.house()), ctx.actor().clone());
        let last = notification::last_sequence(&house, &actor).await.map_err(failure::read_error)?;
        Ok(added(house, actor, after.map_or(last, |after| after.0)))
    }
}

/// The notifications of an actor from a number on, without end.
fn added(house: Arc<House>, actor: Actor, after: i64) -> impl Stream<Item = Result<Notification>> {
    let changes = house.events.subscribe();
    let pieces = stream::try_unfold((house, actor, changes, after), |(house, actor, mut changes, after)| async move {
        loop {
            changes.mark_unchanged();
            let rows = notification::after(&house, &actor, after, PIECE).await?;
            if let Some(last) = rows.last().map(|row| row.sequence) {
                return Ok(Some((rows, (house, actor, changes, last))));
            }
            if changes.changed().await.is_err() {
                return Ok(None);
            }
        }
    });
    pieces
        .map_err(|error: ReadError| failure::read_error(error))
        .map_ok(|rows| stream::iter(rows.into_iter().map(|row| Ok(Notification(row)))))
        .try_flatten()
        .boxed()
}

//! Counting everything again from the events.

use super::{
    consumer::{NAME, announce},
    facts::Facts,
    tally::Tally,
};
use crate::{context::Context, database, outbox};

/// How many events are read at once.
const PIECE: u64 = 1_000;

/// What a rebuild came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Events that were read.
    pub events: usize,
    /// Rows that were written: one a version and day.
    pub days: usize,
    /// Rows that had not been as the events say.
    pub wrong: usize,
}

/// Counts all usage again from the first event on, and puts it in the place of what was counted so far: at once, so that
/// nobody sees half of it. The service may run; its counter waits for the last step and goes on after it.
///
/// All counts are held in memory meanwhile: about 300 bytes for each version and day with any usage.
///
/// # Errors
/// What the database says; nothing was changed then.
pub async fn rebuild(ctx: &Context) -> anyhow::Result<Rebuilt> {
    let (mut tally, mut position, mut events) = (Tally::default(), 0, 0);
    loop {
        let piece = outbox::after(ctx.db.read(), position, PIECE).await?;
        let Some(last) = piece.last().map(|event| event.sequence) else { break };
        tally.count(&piece, &Facts::of(ctx.db.read(), &piece).await?);
        (position, events) = (last, events + piece.len());
    }
    let tx = ctx.db.write().await?;
    database::serialize(&tx, &format!("consumer:{NAME}")).await?;
    loop {
        // What came in meanwhile, and must not be counted by the counter as well.
        let piece = outbox::after(&tx, position, PIECE).await?;
        let Some(last) = piece.last().map(|event| event.sequence) else { break };
        tally.count(&piece, &Facts::of(&tx, &piece).await?);
        (position, events) = (last, events + piece.len());
    }
    // What the counter had not come to yet is no mistake of its.
    let mut counted = Tally::written(&tx).await?;
    let mut behind = outbox::position(&tx, NAME).await?;
    loop {
        let missed = outbox::after(&tx, behind, PIECE).await?;
        let Some(last) = missed.last().map(|event| event.sequence) else { break };
        counted.count(&missed, &Facts::of(&tx, &missed).await?);
        behind = last;
    }
    let (wrong, loras) = tally.differences(&counted);
    Tally::erase(&tx).await?;
    tally.write(&tx).await?;
    outbox::advance(&tx, ctx, NAME, position).await?;
    announce(&tx, ctx, tally.teams_of(&loras).into_iter()).await?;
    ctx.commit(tx).await?;
    Ok(Rebuilt { events, days: tally.len(), wrong })
}

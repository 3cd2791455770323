//! Building the search index anew while people search.
//!
//! One process keeps the index: whoever wants it built anew leaves a wish in the database, and that process fulfils it.
//! Searches go on in the old index until the new one is whole, and changes reach both.

use anyhow::Context as _;
use sea_orm::DatabaseTransaction;
use serde::{Deserialize, Serialize};

use super::index_consumer::HandOver;
use crate::{context::Context, instance_value};

/// Name of the value that holds the wish.
const WISH: &str = "search_rebuild";

/// How far the last wish has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Rebuild {
    /// Nobody has begun.
    Wished,
    /// So many LoRAs are in the new index.
    Running {
        /// How many.
        loras: usize,
    },
    /// The new index is searched.
    Done {
        /// How many LoRAs it was given.
        loras: usize,
    },
}

/// Wishes for the index to be built anew. Where that is under way already, it fulfils the wish: changes reach it too.
///
/// # Errors
/// What the database says.
pub async fn wish(ctx: &Context) -> anyhow::Result<()> {
    note(ctx, Rebuild::Wished).await
}

/// The same in the caller's transaction.
///
/// # Errors
/// What the database says.
pub(crate) async fn wish_in(tx: &DatabaseTransaction, ctx: &Context) -> anyhow::Result<()> {
    note_in(tx, ctx, Rebuild::Wished).await
}

/// How far the last wish has come, if there was one.
///
/// # Errors
/// What the database says.
pub async fn progress(ctx: &Context) -> anyhow::Result<Option<Rebuild>> {
    let wish = instance_value::read(ctx.db.read(), WISH).await?;
    wish.map(|wish| serde_json::from_str(&wish).context("The wish for a new index cannot be read.")).transpose()
}

/// Fulfils a wish, if there is one: the process that keeps the index calls this again and again. What an earlier process
/// did not end begins anew. Returns how many LoRAs the new index was given.
///
/// # Errors
/// What the database or the engine says. The wish stays.
pub async fn fulfil(ctx: &Context) -> anyhow::Result<usize> {
    match progress(ctx).await? {
        None | Some(Rebuild::Done { .. }) => return Ok(0),
        Some(Rebuild::Wished | Rebuild::Running { .. }) => {}
    }
    note(ctx, Rebuild::Running { loras: 0 }).await?;
    ctx.search.begin_rebuild().await.context("A new search index cannot be begun.")?;
    let mut all = HandOver::begin(ctx).await?;
    while all.piece(ctx).await? {
        note(ctx, Rebuild::Running { loras: all.count }).await?;
    }
    ctx.search.rebuilt().await.context("The new search index cannot be put in place.")?;
    note(ctx, Rebuild::Done { loras: all.count }).await?;
    Ok(all.count)
}

async fn note(ctx: &Context, rebuild: Rebuild) -> anyhow::Result<()> {
    let tx = ctx.db.write().await?;
    note_in(&tx, ctx, rebuild).await?;
    tx.commit().await?;
    Ok(())
}

async fn note_in(tx: &DatabaseTransaction, ctx: &Context, rebuild: Rebuild) -> anyhow::Result<()> {
    instance_value::put(tx, ctx, WISH, serde_json::to_string(&rebuild)?).await?;
    Ok(())
}

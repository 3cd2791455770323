//! Counts what happened, each event once.

use async_trait::async_trait;
use atelier_entities::{kinds::EventKind, outbox_event};
use sea_orm::{DatabaseTransaction, DbErr};
use serde_json::json;
use uuid::Uuid;

use super::{facts::Facts, tally::Tally};
use crate::{
    context::Context,
    outbox::{self, Consumer},
};

/// The name under which the position is kept.
pub(super) const NAME: &str = "lora_usage";

/// Counts how much LoRAs are used.
#[derive(Debug, Default)]
pub struct UsageCounter;

#[async_trait]
impl Consumer for UsageCounter {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn consume(
        &self,
        ctx: &Context,
        tx: &DatabaseTransaction,
        events: &[outbox_event::Model],
    ) -> anyhow::Result<()> {
        let facts = Facts::of(tx, events).await?;
        let mut tally = Tally::going_on(tx, &facts, events).await?;
        tally.count(events, &facts);
        tally.write(tx).await?;
        announce(tx, ctx, tally.touched().iter().map(|(lora, team)| (*lora, *team))).await?;
        Ok(())
    }
}

/// Tells that figures of LoRAs changed: the search index follows.
pub(super) async fn announce(
    tx: &DatabaseTransaction,
    ctx: &Context,
    loras: impl Iterator<Item = (Uuid, Uuid)>,
) -> Result<(), DbErr> {
    for (lora, team) in loras {
        let event = outbox::Event {
            kind: EventKind::LoraChanged,
            team: Some(team),
            actor: None,
            subject: lora,
            payload: json!({ "figure": "usage" }),
        };
        outbox::append(tx, ctx, event).await?;
    }
    Ok(())
}

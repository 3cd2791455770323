//! Marking notifications.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{
    id::Noun,
    social::notification::{self, ReadMark},
};

use crate::{
    graphql::{
        context::{Resolve, decode_all},
        scalars::BigInt,
    },
    payload,
};

/// Which notifications you have read: those that are named, or all up to a number.
#[derive(InputObject)]
pub struct MarkNotificationsReadInput {
    /// These, at most 100.
    pub ids: Option<Vec<ID>>,
    /// All up to this sequence.
    pub through_sequence: Option<BigInt>,
}

payload! {
    /// The answer to `markNotificationsRead`.
    pub struct MarkNotificationsReadPayload {
        /// How many are unread now.
        unread_count: BigInt
    }
}

/// Mutations of notifications.
#[derive(Default)]
pub struct NotificationMutation;

#[Object]
impl NotificationMutation {
    /// Marks notifications as read.
    async fn mark_notifications_read(
        &self,
        ctx: &Context<'_>,
        input: MarkNotificationsReadInput,
    ) -> Result<MarkNotificationsReadPayload> {
        let mark = ReadMark {
            ids: input.ids.map(|ids| decode_all(Noun::Notification, &ids)).transpose()?,
            through: input.through_sequence.map(|sequence| sequence.0),
        };
        let outcome = notification::mark_read(ctx.house(), ctx.actor(), mark).await;
        MarkNotificationsReadPayload::answer(outcome, |count| BigInt(i64::try_from(count).unwrap_or(i64::MAX)))
    }
}

//! Reading by which channels one is told.

use async_graphql::{Context, Object, Result};
use atelier_domain::social::notification_preference as preference;

use crate::graphql::{context::Resolve, failure, types::notification_preference::NotificationPreference};

/// Queries of notification preferences.
#[derive(Default)]
pub struct NotificationPreferenceQuery;

#[Object]
impl NotificationPreferenceQuery {
    /// By which channels you are told, of every kind of thing: as you said, or as it comes.
    async fn notification_preferences(&self, ctx: &Context<'_>) -> Result<Vec<NotificationPreference>> {
        let channels = preference::list(ctx.house(), ctx.actor()).await.map_err(failure::read_error)?;
        Ok(channels.into_iter().map(NotificationPreference::from).collect())
    }
}

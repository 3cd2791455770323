//! Reading notifications.

use async_graphql::{Context, Object, Result};
use atelier_domain::social::notification;

use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::Resolve,
    types::notification::Notification,
};

/// Queries of notifications.
#[derive(Default)]
pub struct NotificationQuery;

#[Object]
impl NotificationQuery {
    /// Your notifications, newest first.
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that you have not read.", default)] unread_only: bool,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Notification>> {
        let page = page_request(first, after)?;
        connection(notification::list(ctx.house(), ctx.actor(), unread_only, &page).await, Notification)
    }
}

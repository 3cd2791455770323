//! Subscriptions, one file a noun. Each takes `after:`, so that a client that reconnects misses nothing.

use async_graphql::MergedSubscription;

pub mod job;
pub mod notification;

/// Everything that can be watched.
#[derive(MergedSubscription, Default)]
pub struct Subscription(job::JobSubscription, notification::NotificationSubscription);

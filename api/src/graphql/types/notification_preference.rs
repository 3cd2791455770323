//! By which channels one is told.

use async_graphql::{Enum, SimpleObject};
use atelier_domain::{entities::kinds, social::notification_preference::Channels};

use super::notification::NotificationKind;

/// How soon one is told by mail.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "kinds::MailFrequency")]
pub enum MailFrequency {
    /// Not by mail.
    Off,
    /// By a mail of its own, at once.
    Immediate,
    /// In the daily digest, unless you have read it before.
    Daily,
}

/// By which channels you are told of a kind of thing.
#[derive(SimpleObject)]
pub struct NotificationPreference {
    /// Of what.
    pub kind: NotificationKind,
    /// Whether it comes into `notifications` and `notificationAdded`.
    pub in_app: bool,
    /// Whether and how soon a mail says it.
    pub mail: MailFrequency,
}

impl From<(kinds::NotificationKind, Channels)> for NotificationPreference {
    fn from((kind, channels): (kinds::NotificationKind, Channels)) -> Self {
        Self { kind: kind.into(), in_app: channels.in_app, mail: channels.mail.into() }
    }
}

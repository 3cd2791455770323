//! Saying by which channels one is told.

use async_graphql::{Context, InputObject, Object, Result};
use atelier_domain::social::notification_preference::{self as preference, ChangedChannels};

use crate::{
    graphql::{
        context::Resolve,
        types::{
            notification::NotificationKind,
            notification_preference::{MailFrequency, NotificationPreference},
        },
    },
    payload,
};

/// How you want to be told of a kind of thing; what is left out stays.
#[derive(InputObject)]
pub struct NotificationPreferenceInput {
    /// Of what.
    pub kind: NotificationKind,
    /// Whether it comes into `notifications` and `notificationAdded`.
    pub in_app: Option<bool>,
    /// Whether and how soon a mail says it.
    pub mail: Option<MailFrequency>,
}

/// How you want to be told.
#[derive(InputObject)]
pub struct UpdateNotificationPreferencesInput {
    /// The kinds that change, each once; the others stay as they are.
    pub preferences: Vec<NotificationPreferenceInput>,
}

payload! {
    /// The answer to `updateNotificationPreferences`.
    pub struct UpdateNotificationPreferencesPayload {
        /// How you are told now, of every kind.
        preferences: Vec<NotificationPreference>
    }
}

/// Mutations of notification preferences.
#[derive(Default)]
pub struct NotificationPreferenceMutation;

#[Object]
impl NotificationPreferenceMutation {
    /// Changes by which channels you are told. What was written before stays; mails that wait are dropped where mail is
    /// switched off.
    async fn update_notification_preferences(
        &self,
        ctx: &Context<'_>,
        input: UpdateNotificationPreferencesInput,
    ) -> Result<UpdateNotificationPreferencesPayload> {
        let changes = input.preferences.into_iter().map(|change| ChangedChannels {
            kind: change.kind.into(),
            in_app: change.in_app,
            mail: change.mail.map(Into::into),
        });
        let outcome = preference::update(ctx.house(), ctx.actor(), &changes.collect::<Vec<_>>()).await;
        UpdateNotificationPreferencesPayload::answer(outcome, |channels| {
            channels.into_iter().map(NotificationPreference::from).collect()
        })
    }
}

//! The audit trail.

use async_graphql::{Context, ID, Json, Object, Result};
use atelier_domain::{entities::audit_entry, id::Noun};
use chrono::{DateTime, Utc};

use super::user::User;
use crate::graphql::{context::encode, loaders::load};

/// Who did what to which thing.
pub struct AuditEntry(pub audit_entry::Model);

#[Object]
impl AuditEntry {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::AuditEntry, self.0.id)
    }

    /// Who; none for the house itself.
    async fn actor(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let Some(id) = self.0.actor_id else { return Ok(None) };
        load(ctx, |loaders| &loaders.users, id).await.map(|row| row.map(User))
    }

    /// The policy's name of the deed, such as `LoraPublish`.
    async fn action(&self) -> &str {
        &self.0.action
    }

    /// What else there is to know of the deed.
    async fn detail(&self) -> Json<serde_json::Value> {
        Json(self.0.detail.clone())
    }

    /// When.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

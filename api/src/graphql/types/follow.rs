//! Who follows whom.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{entities::follow, id::Noun};
use chrono::{DateTime, Utc};

use super::user::User;
use crate::graphql::{context::encode, loaders::load};

/// That one person follows another.
pub struct Follow(pub follow::Model);

#[Object]
impl Follow {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Follow, self.0.id)
    }

    /// Who follows.
    async fn follower(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load(ctx, |loaders| &loaders.users, self.0.follower_id).await.map(|row| row.map(User))
    }

    /// Whom.
    async fn followed(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load(ctx, |loaders| &loaders.users, self.0.followed_id).await.map(|row| row.map(User))
    }

    /// Since when.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

//! People.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use atelier_domain::{
    account, blob,
    entities::{user, user_block},
    id::Noun,
    lora::versions::words,
    moderation,
    social::{block, notification},
};
use chrono::{DateTime, Utc};

use super::{collection::Collection, follow::Follow, lora::Lora, moderation::hidden_reason, team::Team};
use crate::graphql::{
    connection::{ConnectionOf, connection, page_request},
    context::{Resolve, encode},
    failure,
    loaders::{load, pages::load_page},
    scalars::BigInt,
};

/// Which of a person's LoRAs come first.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreatorLoraSortOrder {
    /// Those that were published last.
    Newest,
    /// The most downloaded.
    Downloads,
}

/// A person, as everybody sees them.
pub struct User(pub user::Model);

impl User {
    /// Whether the moderators let whoever asks read the profile.
    fn is_shown(&self, ctx: &Context<'_>) -> bool {
        moderation::shows_text(ctx.actor(), self.0.id, self.0.hidden_at)
    }
}

#[Object]
impl User {
    /// Their id.
    pub async fn id(&self) -> ID {
        encode(Noun::User, self.0.id)
    }

    /// Their name in addresses.
    async fn handle(&self) -> &str {
        &self.0.handle
    }

    /// Their name; the one in addresses while the moderators hide their profile.
    async fn display_name(&self, ctx: &Context<'_>) -> &str {
        if self.is_shown(ctx) { &self.0.display_name } else { &self.0.handle }
    }

    /// What they say of themselves; empty while the moderators hide their profile.
    async fn bio(&self, ctx: &Context<'_>) -> &str {
        if self.is_shown(ctx) { &self.0.bio } else { "" }
    }

    /// Since when the moderators hide name and text of their profile from everybody but them.
    async fn hidden_at(&self) -> Option<DateTime<Utc>> {
        self.0.hidden_at
    }

    /// Why the moderators hide their profile; they themselves read it.
    async fn hidden_reason(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        hidden_reason(ctx, self.0.id, self.0.hidden_at).await
    }

    /// Their picture as WebP, at most 256 pixels on its longer edge: a signed link. Send one by `createUpload` for the
    /// purpose `USER_AVATAR`.
    async fn avatar_url(&self, ctx: &Context<'_>) -> Option<String> {
        let sha256 = self.0.avatar_sha256.as_ref().filter(|_| self.is_shown(ctx))?;
        Some(blob::link(ctx.house(), sha256, &format!("{}.webp", self.0.handle)))
    }

    /// Addresses of theirs elsewhere.
    async fn links(&self, ctx: &Context<'_>) -> Vec<String> {
        if self.is_shown(ctx) { words(&self.0.links) } else { Vec::new() }
    }

    /// How many LoRAs they have published.
    async fn published_lora_count(&self, ctx: &Context<'_>) -> Result<BigInt> {
        Ok(BigInt(load(ctx, |loaders| &loaders.creator_totals, self.0.id).await?.unwrap_or_default().loras))
    }

    /// How often the LoRAs that they have published were downloaded: each person counts once a version.
    async fn download_count(&self, ctx: &Context<'_>) -> Result<BigInt> {
        Ok(BigInt(load(ctx, |loaders| &loaders.creator_totals, self.0.id).await?.unwrap_or_default().downloads))
    }

    /// The LoRAs that they have published.
    async fn loras(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What comes first; NEWEST without.")] sort: Option<CreatorLoraSortOrder>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Lora>> {
        match sort.unwrap_or(CreatorLoraSortOrder::Newest) {
            CreatorLoraSortOrder::Newest => {
                load_page(ctx, |pages| &pages.creator_newest_loras, self.0.id, (first, after), Lora).await
            }
            CreatorLoraSortOrder::Downloads => {
                load_page(ctx, |pages| &pages.creator_most_downloaded_loras, self.0.id, (first, after), Lora).await
            }
        }
    }

    /// The collections that they have made and that you may see, newest first.
    async fn collections(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Collection>> {
        load_page(ctx, |pages| &pages.creator_collections, self.0.id, (first, after), Collection).await
    }

    /// How many people follow them.
    async fn follower_count(&self, ctx: &Context<'_>) -> Result<BigInt> {
        Ok(BigInt(load(ctx, |loaders| &loaders.follower_counts, self.0.id).await?.unwrap_or_default()))
    }

    /// How many people they follow.
    async fn following_count(&self, ctx: &Context<'_>) -> Result<BigInt> {
        Ok(BigInt(load(ctx, |loaders| &loaders.following_counts, self.0.id).await?.unwrap_or_default()))
    }

    /// Whether you follow them.
    async fn is_followed_by_viewer(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(load(ctx, |loaders| &loaders.followed_by_viewer, self.0.id).await?.unwrap_or_default())
    }

    /// Whether you block them.
    async fn is_blocked_by_viewer(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(load(ctx, |loaders| &loaders.blocked_by_viewer, self.0.id).await?.unwrap_or_default())
    }

    /// Who follows them, newest first.
    async fn followers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Follow>> {
        load_page(ctx, |pages| &pages.user_followers, self.0.id, (first, after), Follow).await
    }

    /// Whom they follow, newest first.
    async fn following(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Follow>> {
        load_page(ctx, |pages| &pages.user_following, self.0.id, (first, after), Follow).await
    }

    /// Since when they have an account.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// You: what only you see of your account.
pub struct Viewer(pub user::Model);

#[Object]
impl Viewer {
    /// Your profile, as others see it.
    async fn user(&self) -> User {
        User(self.0.clone())
    }

    /// The mail address that you sign in with.
    async fn email(&self) -> &str {
        &self.0.email
    }

    /// Whether you administer this installation.
    async fn is_administrator(&self) -> bool {
        self.0.is_administrator
    }

    /// Your own team, which owns what you make unless you name another.
    async fn personal_team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        let Ok(person) = ctx.actor().person() else { return Ok(None) };
        load(ctx, |loaders| &loaders.teams, person.personal_team).await.map(|row| row.map(Team))
    }

    /// The tags that you block, in the order of the alphabet; at most 200.
    async fn blocked_tags(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        block::blocked_tags(ctx.house(), ctx.actor()).await.map_err(failure::read_error)
    }

    /// The people whom you block, newest first.
    async fn blocked_users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<BlockedUser>> {
        let page = page_request(first, after)?;
        connection(block::blocked_users(ctx.house(), ctx.actor(), &page).await, BlockedUser)
    }

    /// How many of your notifications are unread.
    async fn unread_notification_count(&self, ctx: &Context<'_>) -> Result<BigInt> {
        let count = notification::unread_count(ctx.house(), ctx.actor()).await.map_err(failure::read_error)?;
        Ok(BigInt(i64::try_from(count).unwrap_or(i64::MAX)))
    }

    /// Number of your last notification: pass it as `after:` to `notificationAdded`.
    async fn last_notification_sequence(&self, ctx: &Context<'_>) -> Result<BigInt> {
        notification::last_sequence(ctx.house(), ctx.actor()).await.map(BigInt).map_err(failure::read_error)
    }
}

/// Somebody whom you block.
pub struct BlockedUser(user_block::Model);

#[Object]
impl BlockedUser {
    /// The person.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load(ctx, |loaders| &loaders.users, self.0.blocked_id).await.map(|row| row.map(User))
    }

    /// Since when.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// What somebody who is signed in holds.
#[derive(SimpleObject)]
pub struct Session {
    /// Send it as `Authorization: Bearer …`. It is good for ten minutes.
    pub access_token: String,
    /// From then on the access token is worthless: call `refreshSession` before.
    pub access_token_expires_at: DateTime<Utc>,
    /// For `refreshSession`, once. Keep it secret.
    pub refresh_token: String,
    /// From then on the refresh token is worthless.
    pub refresh_token_expires_at: DateTime<Utc>,
    /// Who is signed in.
    pub user: User,
}

impl From<account::Session> for Session {
    fn from(session: account::Session) -> Self {
        Self {
            access_token: session.access_token,
            access_token_expires_at: session.access_token_expires_at,
            refresh_token: session.refresh_token,
            refresh_token_expires_at: session.refresh_token_expires_at,
            user: User(session.user),
        }
    }
}

//! Invitations to teams.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{entities::invitation, id::Noun};
use chrono::{DateTime, Utc};

use super::{membership::Role, team::Team, user::User};
use crate::graphql::{context::encode, loaders::load};

/// An invitation to a team, sent by mail.
pub struct Invitation(pub invitation::Model);

#[Object]
impl Invitation {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Invitation, self.0.id)
    }

    /// The team.
    async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        load(ctx, |loaders| &loaders.teams, self.0.team_id).await.map(|row| row.map(Team))
    }

    /// The mail address that it went to.
    async fn email(&self) -> &str {
        &self.0.email
    }

    /// What the person will be.
    async fn role(&self) -> Role {
        self.0.role.into()
    }

    /// Who invited.
    async fn invited_by(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load(ctx, |loaders| &loaders.users, self.0.invited_by).await.map(|row| row.map(User))
    }

    /// From then on it cannot be accepted.
    async fn expires_at(&self) -> DateTime<Utc> {
        self.0.expires_at
    }

    /// When it was accepted.
    async fn accepted_at(&self) -> Option<DateTime<Utc>> {
        self.0.accepted_at
    }

    /// When it was taken back.
    async fn revoked_at(&self) -> Option<DateTime<Utc>> {
        self.0.revoked_at
    }

    /// When it was sent.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

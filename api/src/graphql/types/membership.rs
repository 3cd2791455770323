//! Who belongs to which team, and as what.

use async_graphql::{Context, Enum, ID, Object, Result};
use atelier_domain::{
    entities::{kinds, membership},
    id::Noun,
};
use chrono::{DateTime, Utc};

use super::{team::Team, user::User};
use crate::graphql::{context::encode, loaders::load};

/// What a member may do. Each role includes those above it in this list.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "kinds::Role")]
pub enum Role {
    /// Sees what belongs to the team.
    Viewer,
    /// Makes and publishes: data sets, trainings, LoRAs, pictures.
    Creator,
    /// Judges what others made.
    Reviewer,
    /// Manages members, invitations and the team itself.
    Administrator,
    /// Everything, the team's end included.
    Owner,
}

/// That a person belongs to a team.
pub struct Membership(pub membership::Model);

#[Object]
impl Membership {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Membership, self.0.id)
    }

    /// The person.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load(ctx, |loaders| &loaders.users, self.0.user_id).await.map(|row| row.map(User))
    }

    /// The team; none if you had not joined it when you sent the request.
    async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        load(ctx, |loaders| &loaders.teams, self.0.team_id).await.map(|row| row.map(Team))
    }

    /// What they may do.
    async fn role(&self) -> Role {
        self.0.role.into()
    }

    /// Since when.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

//! Teams.

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use atelier_domain::{entities::team, id::Noun, ledger::Balance};
use chrono::{DateTime, Utc};

use super::{
    invitation::Invitation,
    membership::{Membership, Role},
};
use crate::graphql::{
    connection::ConnectionOf,
    context::{Resolve, encode},
    loaders::{load, pages::load_page},
    scalars::BigInt,
};

/// What owns things: one person's own team, or several people.
pub struct Team(pub team::Model);

#[Object]
impl Team {
    /// Its id.
    pub async fn id(&self) -> ID {
        encode(Noun::Team, self.0.id)
    }

    /// Its name in addresses.
    async fn slug(&self) -> &str {
        &self.0.slug
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it is one person's own team.
    async fn is_personal(&self) -> bool {
        self.0.personal_user_id.is_some()
    }

    /// What you were in it when you sent the request; none if you were no member.
    async fn viewer_role(&self, ctx: &Context<'_>) -> Option<Role> {
        ctx.actor().role_in(self.0.id).map(Into::into)
    }

    /// Its members, in the order in which they came.
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Membership>> {
        load_page(ctx, |pages| &pages.team_members, self.0.id, (first, after), Membership).await
    }

    /// Its invitations, newest first; none for who does not manage its members.
    async fn invitations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Result<ConnectionOf<Invitation>> {
        load_page(ctx, |pages| &pages.team_invitations, self.0.id, (first, after), Invitation).await
    }

    /// What it may spend; none for who is no member.
    async fn credits(&self, ctx: &Context<'_>) -> Result<Option<Credits>> {
        load(ctx, |loaders| &loaders.team_credits, self.0.id).await.map(|balance| balance.map(Credits::from))
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it was deleted.
    async fn deleted_at(&self) -> Option<DateTime<Utc>> {
        self.0.deleted_at
    }
}

/// The credits of a team.
#[derive(SimpleObject)]
pub struct Credits {
    /// May be spent.
    pub available: BigInt,
    /// Are set aside for jobs that have not ended.
    pub reserved: BigInt,
}

impl From<Balance> for Credits {
    fn from(balance: Balance) -> Self {
        Self { available: BigInt(balance.available), reserved: BigInt(balance.reserved) }
    }
}

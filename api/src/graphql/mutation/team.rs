//! Making and ending teams.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{
    id::Noun,
    team::{self as teams, NewTeam},
};

use crate::{
    graphql::{
        context::{Resolve, decode},
        types::team::Team,
    },
    payload,
};

/// A team to be made.
#[derive(InputObject)]
pub struct CreateTeamInput {
    /// Its name, 1 to 80 characters.
    pub name: String,
    /// Its name in addresses: 3 to 32 lower-case letters, digits and dashes.
    pub slug: String,
    /// The same key and input give the same answer for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `createTeam`.
    pub struct CreateTeamPayload {
        /// The team; you are its owner. Ask for its members and credits in the next request.
        team: Team
    }
}

/// What to change on a team.
#[derive(InputObject)]
pub struct UpdateTeamInput {
    /// The team.
    pub id: ID,
    /// Its name, 1 to 80 characters.
    pub name: String,
}

payload! {
    /// The answer to `updateTeam`.
    pub struct UpdateTeamPayload {
        /// The team.
        team: Team
    }
}

/// Which team to delete.
#[derive(InputObject)]
pub struct DeleteTeamInput {
    /// The team.
    pub id: ID,
}

payload! {
    /// The answer to `deleteTeam`.
    pub struct DeleteTeamPayload {
        /// What is left of it.
        team: Team
    }
}

/// Which team to leave.
#[derive(InputObject)]
pub struct LeaveTeamInput {
    /// The team.
    pub id: ID,
}

payload! {
    /// The answer to `leaveTeam`.
    pub struct LeaveTeamPayload {
        /// The team that you left.
        team: Team
    }
}

/// Mutations of teams.
#[derive(Default)]
pub struct TeamMutation;

#[Object]
impl TeamMutation {
    /// Makes a team, whose owner you are.
    async fn create_team(&self, ctx: &Context<'_>, input: CreateTeamInput) -> Result<CreateTeamPayload> {
        let new = NewTeam { name: input.name, slug: input.slug };
        let key = input.idempotency_key.as_deref();
        CreateTeamPayload::answer(teams::create(ctx.house(), ctx.actor(), new, key).await, Team)
    }

    /// Renames a team.
    async fn update_team(&self, ctx: &Context<'_>, input: UpdateTeamInput) -> Result<UpdateTeamPayload> {
        let id = decode(Noun::Team, &input.id)?;
        UpdateTeamPayload::answer(teams::update(ctx.house(), ctx.actor(), id, &input.name).await, Team)
    }

    /// Ends a team that has nothing published and no work under way. Its name is never given again.
    async fn delete_team(&self, ctx: &Context<'_>, input: DeleteTeamInput) -> Result<DeleteTeamPayload> {
        let id = decode(Noun::Team, &input.id)?;
        DeleteTeamPayload::answer(teams::delete(ctx.house(), ctx.actor(), id).await, Team)
    }

    /// Leaves a team. The last owner cannot.
    async fn leave_team(&self, ctx: &Context<'_>, input: LeaveTeamInput) -> Result<LeaveTeamPayload> {
        let id = decode(Noun::Team, &input.id)?;
        LeaveTeamPayload::answer(teams::leave(ctx.house(), ctx.actor(), id).await, Team)
    }
}

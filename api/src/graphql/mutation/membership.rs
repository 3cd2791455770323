//! Changing who may do what in a team.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{id::Noun, team::members};

use crate::{
    graphql::{
        context::{Resolve, decode},
        types::membership::{Membership, Role},
    },
    payload,
};

/// Which member becomes what.
#[derive(InputObject)]
pub struct ChangeMemberRoleInput {
    /// The membership.
    pub id: ID,
    /// What they are from now on; at most what you are.
    pub role: Role,
}

payload! {
    /// The answer to `changeMemberRole`.
    pub struct ChangeMemberRolePayload {
        /// The membership.
        membership: Membership
    }
}

/// Which member to remove.
#[derive(InputObject)]
pub struct RemoveMemberInput {
    /// The membership.
    pub id: ID,
}

payload! {
    /// The answer to `removeMember`.
    pub struct RemoveMemberPayload {
        /// The membership that has ended.
        membership: Membership
    }
}

/// Mutations of memberships.
#[derive(Default)]
pub struct MembershipMutation;

#[Object]
impl MembershipMutation {
    /// Gives a member another role.
    async fn change_member_role(
        &self,
        ctx: &Context<'_>,
        input: ChangeMemberRoleInput,
    ) -> Result<ChangeMemberRolePayload> {
        let id = decode(Noun::Membership, &input.id)?;
        let outcome = members::change_role(ctx.house(), ctx.actor(), id, input.role.into()).await;
        ChangeMemberRolePayload::answer(outcome, Membership)
    }

    /// Removes a member from a team.
    async fn remove_member(&self, ctx: &Context<'_>, input: RemoveMemberInput) -> Result<RemoveMemberPayload> {
        let id = decode(Noun::Membership, &input.id)?;
        RemoveMemberPayload::answer(members::remove(ctx.house(), ctx.actor(), id).await, Membership)
    }
}

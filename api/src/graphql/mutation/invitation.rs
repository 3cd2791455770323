//! Inviting people to teams.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{
    id::Noun,
    team::invitations::{self, NewInvitation},
};

use crate::{
    graphql::{
        context::{Resolve, decode},
        types::{
            invitation::Invitation,
            membership::{Membership, Role},
        },
    },
    payload,
};

/// Who is to be invited.
#[derive(InputObject)]
pub struct InviteMemberInput {
    /// The team.
    pub team_id: ID,
    /// Their mail address.
    pub email: String,
    /// What they will be; at most what you are.
    pub role: Role,
    /// The same key and input give the same answer for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `inviteMember`.
    pub struct InviteMemberPayload {
        /// The invitation.
        invitation: Invitation
    }
}

/// Which invitation to take back.
#[derive(InputObject)]
pub struct RevokeInvitationInput {
    /// The invitation.
    pub id: ID,
}

payload! {
    /// The answer to `revokeInvitation`.
    pub struct RevokeInvitationPayload {
        /// The invitation, which is worthless now.
        invitation: Invitation
    }
}

/// The link from the mail.
#[derive(InputObject)]
pub struct AcceptInvitationInput {
    /// What stands behind `#token=` in the link.
    pub token: String,
}

payload! {
    /// The answer to `acceptInvitation`.
    pub struct AcceptInvitationPayload {
        /// Your membership.
        membership: Membership
    }
}

/// Mutations of invitations.
#[derive(Default)]
pub struct InvitationMutation;

#[Object]
impl InvitationMutation {
    /// Invites somebody to a team by mail.
    async fn invite_member(&self, ctx: &Context<'_>, input: InviteMemberInput) -> Result<InviteMemberPayload> {
        let team = decode(Noun::Team, &input.team_id)?;
        let new = NewInvitation { team, email: input.email, role: input.role.into() };
        let key = input.idempotency_key.as_deref();
        InviteMemberPayload::answer(invitations::invite(ctx.house(), ctx.actor(), new, key).await, Invitation)
    }

    /// Takes an invitation back.
    async fn revoke_invitation(
        &self,
        ctx: &Context<'_>,
        input: RevokeInvitationInput,
    ) -> Result<RevokeInvitationPayload> {
        let id = decode(Noun::Invitation, &input.id)?;
        RevokeInvitationPayload::answer(invitations::revoke(ctx.house(), ctx.actor(), id).await, Invitation)
    }

    /// Joins a team with the token from the mail. You must be signed in with the address that was invited.
    async fn accept_invitation(
        &self,
        ctx: &Context<'_>,
        input: AcceptInvitationInput,
    ) -> Result<AcceptInvitationPayload> {
        let outcome = invitations::accept(ctx.house(), ctx.actor(), &input.token).await;
        AcceptInvitationPayload::answer(outcome, Membership)
    }
}

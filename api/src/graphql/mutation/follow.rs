//! Following people.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{id::Noun, social::follow};

use crate::{
    graphql::{
        context::{Resolve, decode},
        types::user::User,
    },
    payload,
};

/// Whom to follow.
#[derive(InputObject)]
pub struct FollowUserInput {
    /// The person.
    pub user_id: ID,
}

payload! {
    /// The answer to `followUser`.
    pub struct FollowUserPayload {
        /// Whom you follow.
        user: User
    }
}

/// Whom to follow no longer.
#[derive(InputObject)]
pub struct UnfollowUserInput {
    /// The person.
    pub user_id: ID,
}

payload! {
    /// The answer to `unfollowUser`.
    pub struct UnfollowUserPayload {
        /// Whom you follow no longer.
        user: User
    }
}

/// Mutations of follows.
#[derive(Default)]
pub struct FollowMutation;

#[Object]
impl FollowMutation {
    /// Follows somebody: you are told what they publish.
    async fn follow_user(&self, ctx: &Context<'_>, input: FollowUserInput) -> Result<FollowUserPayload> {
        let id = decode(Noun::User, &input.user_id)?;
        FollowUserPayload::answer(follow::follow(ctx.house(), ctx.actor(), id).await, User)
    }

    /// Follows somebody no longer.
    async fn unfollow_user(&self, ctx: &Context<'_>, input: UnfollowUserInput) -> Result<UnfollowUserPayload> {
        let id = decode(Noun::User, &input.user_id)?;
        UnfollowUserPayload::answer(follow::unfollow(ctx.house(), ctx.actor(), id).await, User)
    }
}

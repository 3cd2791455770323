//! Blocking tags and people.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{id::Noun, social::block};

use crate::{
    graphql::{
        context::{Resolve, decode},
        types::user::User,
    },
    payload,
};

/// A tag that you do not want to see.
#[derive(InputObject)]
pub struct BlockTagInput {
    /// The tag, at most 40 characters, in any case.
    pub tag: String,
}

payload! {
    /// The answer to `blockTag`.
    pub struct BlockTagPayload {
        /// All the tags that you block, in the order of the alphabet.
        blocked_tags: Vec<String>
    }
}

/// A tag to be seen again.
#[derive(InputObject)]
pub struct UnblockTagInput {
    /// The tag.
    pub tag: String,
}

payload! {
    /// The answer to `unblockTag`.
    pub struct UnblockTagPayload {
        /// All the tags that you block, in the order of the alphabet.
        blocked_tags: Vec<String>
    }
}

/// Whom to block.
#[derive(InputObject)]
pub struct BlockUserInput {
    /// The person.
    pub user_id: ID,
}

payload! {
    /// The answer to `blockUser`.
    pub struct BlockUserPayload {
        /// Whom you block.
        user: User
    }
}

/// Whom to block no longer.
#[derive(InputObject)]
pub struct UnblockUserInput {
    /// The person.
    pub user_id: ID,
}

payload! {
    /// The answer to `unblockUser`.
    pub struct UnblockUserPayload {
        /// Whom you block no longer.
        user: User
    }
}

/// Mutations of blocks.
#[derive(Default)]
pub struct BlockMutation;

#[Object]
impl BlockMutation {
    /// Blocks a tag: LoRAs that have it do not come up in your searches, lists and notifications. Asking for one by its
    /// id still works.
    async fn block_tag(&self, ctx: &Context<'_>, input: BlockTagInput) -> Result<BlockTagPayload> {
        BlockTagPayload::answer(block::block_tag(ctx.house(), ctx.actor(), &input.tag).await, |tags| tags)
    }

    /// Blocks a tag no longer.
    async fn unblock_tag(&self, ctx: &Context<'_>, input: UnblockTagInput) -> Result<UnblockTagPayload> {
        UnblockTagPayload::answer(block::unblock_tag(ctx.house(), ctx.actor(), &input.tag).await, |tags| tags)
    }

    /// Blocks somebody: what they make, say and do does not come up, and they cannot comment on, rate or follow what is
    /// yours. Neither follows the other any more. They are not told.
    async fn block_user(&self, ctx: &Context<'_>, input: BlockUserInput) -> Result<BlockUserPayload> {
        let id = decode(Noun::User, &input.user_id)?;
        BlockUserPayload::answer(block::block_user(ctx.house(), ctx.actor(), id).await, User)
    }

    /// Blocks somebody no longer.
    async fn unblock_user(&self, ctx: &Context<'_>, input: UnblockUserInput) -> Result<UnblockUserPayload> {
        let id = decode(Noun::User, &input.user_id)?;
        UnblockUserPayload::answer(block::unblock_user(ctx.house(), ctx.actor(), id).await, User)
    }
}

//! Saying what a version works with.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{id::Noun, social::compatibility_vote};

use crate::{
    graphql::{
        context::{Resolve, decode},
        types::lora_version::LoraVersion,
    },
    payload,
};

/// A word on a version and a base model.
#[derive(InputObject)]
pub struct VoteCompatibilityInput {
    /// The version.
    pub version_id: ID,
    /// The base model.
    pub base_model_id: ID,
    /// Whether the version works with it.
    pub works: bool,
}

payload! {
    /// The answer to `voteCompatibility`.
    pub struct VoteCompatibilityPayload {
        /// The version.
        version: LoraVersion
    }
}

/// A word to be taken back.
#[derive(InputObject)]
pub struct WithdrawCompatibilityVoteInput {
    /// The version.
    pub version_id: ID,
    /// The base model.
    pub base_model_id: ID,
}

payload! {
    /// The answer to `withdrawCompatibilityVote`.
    pub struct WithdrawCompatibilityVotePayload {
        /// The version.
        version: LoraVersion
    }
}

/// Mutations of votes on compatibility.
#[derive(Default)]
pub struct CompatibilityVoteMutation;

#[Object]
impl CompatibilityVoteMutation {
    /// Says that a version works with a base model, or that it does not. Saying otherwise later replaces it.
    async fn vote_compatibility(
        &self,
        ctx: &Context<'_>,
        input: VoteCompatibilityInput,
    ) -> Result<VoteCompatibilityPayload> {
        let version = decode(Noun::LoraVersion, &input.version_id)?;
        let base_model = decode(Noun::BaseModel, &input.base_model_id)?;
        let voted = compatibility_vote::cast(ctx.house(), ctx.actor(), version, base_model, input.works).await;
        VoteCompatibilityPayload::answer(voted, LoraVersion)
    }

    /// Takes your word on a version and a base model back.
    async fn withdraw_compatibility_vote(
        &self,
        ctx: &Context<'_>,
        input: WithdrawCompatibilityVoteInput,
    ) -> Result<WithdrawCompatibilityVotePayload> {
        let version = decode(Noun::LoraVersion, &input.version_id)?;
        let base_model = decode(Noun::BaseModel, &input.base_model_id)?;
        let withdrawn = compatibility_vote::withdraw(ctx.house(), ctx.actor(), version, base_model).await;
        WithdrawCompatibilityVotePayload::answer(withdrawn, LoraVersion)
    }
}

//! Rating LoRAs.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{
    id::Noun,
    social::{
        rating::{self, RateLora, vote},
        review_request::{self, AskForReview},
    },
};

use crate::{
    graphql::{
        context::{Resolve, decode, decode_all},
        types::{lora::Lora, rating::Rating},
    },
    payload,
};

/// A judgement.
#[derive(InputObject)]
pub struct RateLoraInput {
    /// The LoRA.
    pub lora_id: ID,
    /// The version; the latest without one.
    pub version_id: Option<ID>,
    /// 1 to 5.
    pub stars: i32,
    /// Why, at most 5,000 characters.
    pub review: Option<String>,
    /// The same key and input give the same answer for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `rateLora`.
    pub struct RateLoraPayload {
        /// The rating.
        rating: Rating
    }
}

/// Which rating to take back.
#[derive(InputObject)]
pub struct DeleteRatingInput {
    /// The rating, one of yours.
    pub id: ID,
}

payload! {
    /// The answer to `deleteRating`.
    pub struct DeleteRatingPayload {
        /// The LoRA, whose figures do without it now.
        lora: Lora
    }
}

/// Which rating is helpful.
#[derive(InputObject)]
pub struct VoteRatingHelpfulInput {
    /// The rating, not one of yours.
    pub rating_id: ID,
}

payload! {
    /// The answer to `voteRatingHelpful`.
    pub struct VoteRatingHelpfulPayload {
        /// The rating.
        rating: Rating
    }
}

/// For which rating to take your vote back.
#[derive(InputObject)]
pub struct WithdrawRatingVoteInput {
    /// The rating.
    pub rating_id: ID,
}

payload! {
    /// The answer to `withdrawRatingVote`.
    pub struct WithdrawRatingVotePayload {
        /// The rating.
        rating: Rating
    }
}

/// Whom to ask for a review.
#[derive(InputObject)]
pub struct AskForReviewInput {
    /// The LoRA, one of your team's.
    pub lora_id: ID,
    /// One to 20 people: members of its team and, once it is published, people who follow you.
    pub user_ids: Vec<ID>,
    /// What to look at, at most 300 characters.
    pub note: Option<String>,
    /// The same key and input give the same answer for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `askForReview`.
    pub struct AskForReviewPayload {
        /// The LoRA.
        lora: Lora
    }
}

/// Mutations of ratings.
#[derive(Default)]
pub struct RatingMutation;

#[Object]
impl RatingMutation {
    /// Asks people for their review of a LoRA of your team. Who was asked within the last week is not asked again.
    async fn ask_for_review(&self, ctx: &Context<'_>, input: AskForReviewInput) -> Result<AskForReviewPayload> {
        let asked = AskForReview {
            lora: decode(Noun::Lora, &input.lora_id)?,
            people: decode_all(Noun::User, &input.user_ids)?,
            note: input.note.unwrap_or_default(),
        };
        let key = input.idempotency_key.as_deref();
        AskForReviewPayload::answer(review_request::ask_for_review(ctx.house(), ctx.actor(), asked, key).await, Lora)
    }

    /// Rates a version of a LoRA. A second rating replaces your first.
    async fn rate_lora(&self, ctx: &Context<'_>, input: RateLoraInput) -> Result<RateLoraPayload> {
        let new = RateLora {
            lora: decode(Noun::Lora, &input.lora_id)?,
            version: input.version_id.map(|id| decode(Noun::LoraVersion, &id)).transpose()?,
            stars: input.stars,
            review: input.review.unwrap_or_default(),
        };
        let key = input.idempotency_key.as_deref();
        RateLoraPayload::answer(rating::rate(ctx.house(), ctx.actor(), new, key).await, Rating)
    }

    /// Takes one of your ratings back: it counts and shows no more.
    async fn delete_rating(&self, ctx: &Context<'_>, input: DeleteRatingInput) -> Result<DeleteRatingPayload> {
        let id = decode(Noun::Rating, &input.id)?;
        DeleteRatingPayload::answer(rating::delete(ctx.house(), ctx.actor(), id).await, Lora)
    }

    /// Says that somebody's rating is helpful. Saying so twice is saying it once.
    async fn vote_rating_helpful(
        &self,
        ctx: &Context<'_>,
        input: VoteRatingHelpfulInput,
    ) -> Result<VoteRatingHelpfulPayload> {
        let id = decode(Noun::Rating, &input.rating_id)?;
        VoteRatingHelpfulPayload::answer(vote::vote(ctx.house(), ctx.actor(), id).await, Rating)
    }

    /// Takes your vote for a rating back.
    async fn withdraw_rating_vote(
        &self,
        ctx: &Context<'_>,
        input: WithdrawRatingVoteInput,
    ) -> Result<WithdrawRatingVotePayload> {
        let id = decode(Noun::Rating, &input.rating_id)?;
        WithdrawRatingVotePayload::answer(vote::withdraw(ctx.house(), ctx.actor(), id).await, Rating)
    }
}

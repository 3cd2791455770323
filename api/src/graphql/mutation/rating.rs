//! Rating LoRAs.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{
    id::Noun,
    social::rating::{self, RateLora},
};

use crate::{
    graphql::{
        context::{Resolve, decode},
        types::rating::Rating,
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

/// Mutations of ratings.
#[derive(Default)]
pub struct RatingMutation;

#[Object]
impl RatingMutation {
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
}

//! Granting credits.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{
    id::Noun,
    team::credits::{self, Grant},
};

use crate::{
    graphql::{
        context::{Resolve, decode},
        scalars::BigInt,
        types::team::Team,
    },
    payload,
};

/// A grant to be made.
#[derive(InputObject)]
pub struct GrantCreditsInput {
    /// The team.
    pub team_id: ID,
    /// Credits, 1 to 1,000,000,000.
    pub amount: BigInt,
    /// The same key and input are booked once in 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `grantCredits`.
    pub struct GrantCreditsPayload {
        /// The team.
        team: Team
    }
}

/// Mutations of credits.
#[derive(Default)]
pub struct LedgerMutation;

#[Object]
impl LedgerMutation {
    /// Grants credits to a team. For those who administer the installation.
    async fn grant_credits(&self, ctx: &Context<'_>, input: GrantCreditsInput) -> Result<GrantCreditsPayload> {
        let grant = Grant { team: decode(Noun::Team, &input.team_id)?, amount: input.amount.0 };
        let key = input.idempotency_key.as_deref();
        GrantCreditsPayload::answer(credits::grant(ctx.house(), ctx.actor(), grant, key).await, Team)
    }
}

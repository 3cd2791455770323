//! Reading how much LoRAs are used.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{id::Noun, usage};
use chrono::NaiveDate;

use crate::graphql::{
    context::{Resolve, decode},
    failure,
    types::usage::{CreatorDashboard, LoraUsage},
};

/// Queries of usage.
#[derive(Default)]
pub struct UsageQuery;

#[Object]
impl UsageQuery {
    /// How much a LoRA of one of your teams was used, by day and by version. The figures follow what happens within
    /// seconds.
    async fn lora_usage(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The LoRA.")] lora_id: ID,
        #[graphql(desc = "The first day, of UTC; 29 days before the last without.")] from: Option<NaiveDate>,
        #[graphql(desc = "The last day, included; today without. At most 366 days are shown.")] to: Option<NaiveDate>,
    ) -> Result<LoraUsage> {
        let id = decode(Noun::Lora, &lora_id)?;
        usage::lora_usage(ctx.house(), ctx.actor(), id, from, to).await.map(LoraUsage).map_err(failure::read_error)
    }

    /// How the LoRAs of one of your teams do: totals, days, each LoRA, ratings, followers.
    async fn creator_dashboard(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The team; your own without.")] team_id: Option<ID>,
        #[graphql(desc = "So many days until today, 1 to 366; 30 without.")] days: Option<i32>,
    ) -> Result<CreatorDashboard> {
        let team = team_id.map(|id| decode(Noun::Team, &id)).transpose()?;
        let dashboard = usage::dashboard(ctx.house(), ctx.actor(), team, days).await;
        dashboard.map(CreatorDashboard).map_err(failure::read_error)
    }
}

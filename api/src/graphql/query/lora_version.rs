//! Reading versions of LoRAs.

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::{id::Noun, lora::versions};

use crate::graphql::{
    context::{Resolve, decode},
    failure,
    types::lora_version::LoraVersion,
};

/// Queries of versions of LoRAs.
#[derive(Default)]
pub struct LoraVersionQuery;

#[Object]
impl LoraVersionQuery {
    /// A version of a LoRA: published, or of one of your teams.
    async fn lora_version(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<LoraVersion> {
        let id = decode(Noun::LoraVersion, &id)?;
        let (_, version) = versions::get(ctx.house(), ctx.actor(), id).await.map_err(failure::read_error)?;
        Ok(LoraVersion(version))
    }

    /// The versions whose file a hash names, as it came or converted to another layout: SHA-256, AutoV2, AutoV3 or BLAKE3 in any
    /// case, or the first eight or more digits of one. A short hash may name several.
    async fn lora_by_hash(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "8 to 64 hexadecimal digits.")] hash: String,
    ) -> Result<Vec<LoraVersion>> {
        let found = versions::by_hash(ctx.house(), ctx.actor(), &hash).await.map_err(failure::read_error)?;
        Ok(found.into_iter().map(LoraVersion).collect())
    }
}

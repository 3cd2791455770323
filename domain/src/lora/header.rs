//! What the header of a file that is written here says of the LoRA's card, as modelspec 1.0.1 calls it
//! (<https://github.com/Stability-AI/ModelSpec>).

use std::collections::BTreeMap;

use atelier_entities::{lora, lora_version as version, preview};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::versions::words;
use crate::{context::Context, error::ReadError};

/// A thumbnail is left out of a header when it has more bytes.
const LARGEST_THUMBNAIL: usize = 256 * 1024;

/// Licence and tags, as far as there are any.
pub fn card(lora: &lora::Model) -> BTreeMap<String, String> {
    let texts = [("modelspec.license", lora.license.clone()), ("modelspec.tags", words(&lora.tags).join(", "))];
    texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| (key.to_owned(), text)).collect()
}

/// The same, with the first picture of a version's gallery that everybody may see.
pub(super) async fn card_of_version(
    ctx: &Context,
    lora: &lora::Model,
    version: &version::Model,
) -> Result<BTreeMap<String, String>, ReadError> {
    let mut card = card(lora);
    let first = preview::Entity::find()
        .filter(preview::Column::LoraVersionId.eq(version.id))
        .filter(preview::Column::HiddenAt.is_null())
        .order_by_asc(preview::Column::Position)
        .one(ctx.db.read())
        .await?;
    let Some(first) = first else { return Ok(card) };
    match ctx.blobs.read(&first.thumbnail_sha256).await {
        Ok(thumbnail) if thumbnail.len() <= LARGEST_THUMBNAIL => {
            let url = format!("data:image/webp;base64,{}", STANDARD.encode(thumbnail));
            card.insert("modelspec.thumbnail".to_owned(), url);
        }
        Ok(_) => {}
        // The weights are what was asked for.
        Err(error) => tracing::warn!(%error, preview = %first.id, "a header goes without its thumbnail"),
    }
    Ok(card)
}

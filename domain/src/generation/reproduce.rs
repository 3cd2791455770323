//! Making a picture again: the same model, LoRAs, prompt, seed, steps, guidance and size.

use atelier_entities::{generation, generation_lora, preview as previews};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;
use uuid::Uuid;

use super::{
    assets,
    pictures::GivenPictures,
    size_conditioning::SizeConditioning,
    start::{Call, StartGeneration, StartGenerationError, WantedLora, begin},
};
use crate::{actor::Actor, context::Context, error::ReadError, preview};

/// What is made again.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum ReproducedPicture {
    /// A picture that was generated.
    Asset(Uuid),
    /// A picture of a version's gallery.
    Preview(Uuid),
}

/// What a person asks for.
#[derive(Clone, Debug, Serialize)]
pub struct ReproduceAsset {
    /// The picture.
    pub picture: ReproducedPicture,
    /// The team that pays and keeps the new picture; none is the person's own.
    pub team: Option<Uuid>,
    /// Makes a repeated call harmless.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// Asks for a picture once more, on its own. On the same kind of device it becomes the same picture.
///
/// # Errors
/// [`StartGenerationError`]; what the picture needs and the actor may not see, or not use, is refused by name.
pub async fn reproduce(
    ctx: &Context,
    actor: &Actor,
    input: ReproduceAsset,
) -> Result<generation::Model, StartGenerationError> {
    let (wanted, given) = match input.picture {
        ReproducedPicture::Asset(id) => of_asset(ctx, actor, id).await?,
        ReproducedPicture::Preview(id) => (
            of_preview(preview::get(ctx, actor, id).await?),
            GivenPictures { pictures: Vec::new(), strength: None, margins: None },
        ),
    };
    let wanted = StartGeneration { team: input.team, ..wanted };
    let call = Call { name: "reproduceAsset", input: &input, key: input.idempotency_key.as_deref() };
    begin(ctx, actor, call, &wanted, given).await
}

async fn of_asset(ctx: &Context, actor: &Actor, id: Uuid) -> Result<(StartGeneration, GivenPictures), ReadError> {
    let asset = assets::asset(ctx, actor, id).await?;
    let earlier = super::get(ctx, actor, asset.generation_id).await?;
    let given = GivenPictures::again(ctx, &earlier).await?;
    let loras = generation_lora::Entity::find()
        .filter(generation_lora::Column::GenerationId.eq(earlier.id))
        .order_by_asc(generation_lora::Column::Position)
        .all(ctx.db.read())
        .await?;
    let loras =
        loras.into_iter().map(|used| WantedLora { version: used.lora_version_id, strength: Some(used.strength) });
    let wanted = StartGeneration {
        base_model: Some(earlier.base_model_id),
        prompt: earlier.prompt.clone(),
        negative_prompt: earlier.negative_prompt.clone(),
        loras: loras.collect(),
        merges_loras: earlier.merges_loras,
        seed: Some(asset.seed),
        width: Some(earlier.width),
        height: Some(earlier.height),
        steps: Some(earlier.steps),
        guidance: Some(earlier.guidance),
        size_conditioning: SizeConditioning::of(&earlier),
        ..one_picture()
    };
    Ok((wanted, given))
}

fn of_preview(preview: previews::Model) -> StartGeneration {
    StartGeneration {
        base_model: Some(preview.base_model_id),
        prompt: preview.prompt,
        loras: vec![WantedLora { version: preview.lora_version_id, strength: Some(preview.strength) }],
        seed: Some(preview.seed),
        width: Some(preview.width),
        height: Some(preview.height),
        steps: Some(preview.steps),
        guidance: Some(preview.guidance),
        ..one_picture()
    }
}

fn one_picture() -> StartGeneration {
    StartGeneration {
        team: None,
        base_model: None,
        prompt: String::new(),
        negative_prompt: String::new(),
        loras: Vec::new(),
        inserts_trigger_words: false,
        merges_loras: false,
        seed: None,
        width: None,
        height: None,
        steps: None,
        guidance: None,
        count: Some(1),
        references: Vec::new(),
        start: None,
        size_conditioning: None,
        idempotency_key: None,
    }
}

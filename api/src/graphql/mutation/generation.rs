//! Asking for pictures and deleting them.

use async_graphql::{Context, ID, InputObject, Object, OneofObject, Result};
use atelier_domain::{
    generation::{
        self, Margins, PictureSource, ReproduceAsset, ReproducedPicture, SizeConditioning, StartGeneration, WantedLora,
        WantedStart,
    },
    id::Noun,
};

use crate::{
    graphql::{
        context::{Resolve, decode},
        scalars::BigInt,
        types::generation::{Asset, Generation},
    },
    payload,
};

/// A LoRA to be used.
#[derive(InputObject)]
pub struct GenerationLoraInput {
    /// Its version.
    pub version_id: ID,
    /// Its strength, -4 to 4; what the version recommends without it, within what was measured to be safe on the model.
    pub strength: Option<f64>,
}

/// A picture to generate others from: one of these.
#[derive(OneofObject)]
pub enum PictureSourceInput {
    /// One that was generated before.
    AssetId(ID),
    /// One that was uploaded for the purpose GENERATION_PICTURE.
    UploadId(ID),
}

impl PictureSourceInput {
    /// As the domain takes it.
    ///
    /// # Errors
    /// `NOT_FOUND` for an id of something else.
    pub fn decoded(self) -> Result<PictureSource> {
        Ok(match self {
            Self::AssetId(id) => PictureSource::Asset(decode(Noun::Asset, &id)?),
            Self::UploadId(id) => PictureSource::Upload(decode(Noun::Upload, &id)?),
        })
    }
}

/// Pixels that are drawn around a picture.
#[derive(InputObject)]
pub struct GenerationMarginsInput {
    /// On the left.
    #[graphql(default)]
    pub left: i32,
    /// Above.
    #[graphql(default)]
    pub top: i32,
    /// On the right.
    #[graphql(default)]
    pub right: i32,
    /// Below.
    #[graphql(default)]
    pub bottom: i32,
}

/// A picture that the new ones begin as; it is cut to their shape.
#[derive(InputObject)]
pub struct GenerationStartInput {
    /// The picture.
    pub picture: PictureSourceInput,
    /// Where it is drawn anew, as large as the picture: white is, black stays as it is. Everywhere without it.
    pub mask: Option<PictureSourceInput>,
    /// How much of it is drawn anew: near 0 next to nothing, 1 everything.
    #[graphql(default = 0.6)]
    pub strength: f64,
    /// Carries the picture on beyond its edges: it is cut to what these margins leave of the new pictures' size and stays as it
    /// is, whatever the strength, and the margins are drawn. Without a mask.
    pub margins: Option<GenerationMarginsInput>,
}

impl GenerationStartInput {
    fn decoded(self) -> Result<WantedStart> {
        Ok(WantedStart {
            picture: self.picture.decoded()?,
            mask: self.mask.map(PictureSourceInput::decoded).transpose()?,
            strength: self.strength,
            margins: self.margins.map(|GenerationMarginsInput { left, top, right, bottom }| Margins {
                left,
                top,
                right,
                bottom,
            }),
        })
    }
}

/// What SDXL is told of a picture that it draws: as if it were the part of another one that begins at a corner. All are pixels.
#[derive(InputObject)]
pub struct SizeConditioningInput {
    /// Pixels across of the picture that it is drawn as if cut from; a small one gives blurred pictures.
    pub original_width: i32,
    /// Pixels down of it.
    pub original_height: i32,
    /// Pixels that were cut off on its left; many give pictures whose subject is cut off.
    #[graphql(default)]
    pub crop_left: i32,
    /// Pixels that were cut off above.
    #[graphql(default)]
    pub crop_top: i32,
}

impl From<SizeConditioningInput> for SizeConditioning {
    fn from(input: SizeConditioningInput) -> Self {
        let SizeConditioningInput { original_width, original_height, crop_left, crop_top } = input;
        Self { original_width, original_height, crop_left, crop_top }
    }
}

/// What is asked for; what is left out has the model's own defaults.
#[derive(InputObject)]
pub struct GeneratePicturesInput {
    /// What the pictures show.
    pub prompt: String,
    /// What they do not show.
    #[graphql(default)]
    pub negative_prompt: String,
    /// The team that pays and keeps the pictures; your own without it.
    pub team_id: Option<ID>,
    /// The model; the first LoRA's or the default one without it.
    pub base_model_id: Option<ID>,
    /// LoRAs, applied together.
    #[graphql(default)]
    pub loras: Vec<GenerationLoraInput>,
    /// Puts a LoRA's trigger word before the prompt where the prompt has none of its trigger words.
    #[graphql(default)]
    pub insert_trigger_words: bool,
    /// Merges the LoRAs into the model's weights for this generation. A step costs nothing for them then, but the merging
    /// takes a while: it pays for many pictures or steps. Beside the weights, without it, LoRAs are changed at once.
    #[graphql(default)]
    pub merge_loras: bool,
    /// Seed of the first picture, the others count on from it; drawn without it.
    pub seed: Option<BigInt>,
    /// Pixels across.
    pub width: Option<i32>,
    /// Pixels down.
    pub height: Option<i32>,
    /// Denoising steps.
    pub steps: Option<i32>,
    /// Guidance scale.
    pub guidance: Option<f64>,
    /// Number of pictures, 1 to 16; 1 without it.
    pub count: Option<i32>,
    /// Pictures that the new ones are made from, up to 10: for FLUX.2 models, which see them beside the prompt.
    #[graphql(default)]
    pub references: Vec<PictureSourceInput>,
    /// A picture that the new ones begin as: for SDXL models, which draw over it, whole or in part.
    pub start: Option<GenerationStartInput>,
    /// What SDXL models are told of the pictures' sizes; that they are whole without it.
    pub size_conditioning: Option<SizeConditioningInput>,
    /// Makes a repeated call harmless: the same key gives the first answer again for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `generatePictures`.
    pub struct GeneratePicturesPayload {
        /// The generation, queued.
        generation: Generation
    }
}

/// Which picture to make again.
#[derive(InputObject)]
pub struct ReproduceAssetInput {
    /// A generated picture, or a preview of a version.
    pub id: ID,
    /// The team that pays and keeps the new picture; your own without it.
    pub team_id: Option<ID>,
    /// Makes a repeated call harmless: the same key gives the first answer again for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `reproduceAsset`.
    pub struct ReproduceAssetPayload {
        /// The generation, queued; it makes one picture.
        generation: Generation
    }
}

/// Which picture to delete.
#[derive(InputObject)]
pub struct DeleteAssetInput {
    /// The picture.
    pub id: ID,
}

payload! {
    /// The answer to `deleteAsset`.
    pub struct DeleteAssetPayload {
        /// What is left: its recipe and hash.
        asset: Asset
    }
}

/// Mutations of generations.
#[derive(Default)]
pub struct GenerationMutation;

#[Object]
impl GenerationMutation {
    /// Asks for pictures. Watch the generation's job with `jobProgress`. A LoRA that does not fit the model is refused
    /// before anything is queued.
    async fn generate_pictures(
        &self,
        ctx: &Context<'_>,
        input: GeneratePicturesInput,
    ) -> Result<GeneratePicturesPayload> {
        let loras = input.loras.into_iter().map(|lora| {
            Ok(WantedLora { version: decode(Noun::LoraVersion, &lora.version_id)?, strength: lora.strength })
        });
        let input = StartGeneration {
            team: input.team_id.map(|id| decode(Noun::Team, &id)).transpose()?,
            base_model: input.base_model_id.map(|id| decode(Noun::BaseModel, &id)).transpose()?,
            prompt: input.prompt,
            negative_prompt: input.negative_prompt,
            loras: loras.collect::<Result<Vec<_>>>()?,
            inserts_trigger_words: input.insert_trigger_words,
            merges_loras: input.merge_loras,
            seed: input.seed.map(|seed| seed.0),
            width: input.width,
            height: input.height,
            steps: input.steps,
            guidance: input.guidance,
            count: input.count,
            references: input.references.into_iter().map(PictureSourceInput::decoded).collect::<Result<Vec<_>>>()?,
            start: input.start.map(GenerationStartInput::decoded).transpose()?,
            size_conditioning: input.size_conditioning.map(Into::into),
            idempotency_key: input.idempotency_key,
        };
        GeneratePicturesPayload::answer(generation::start(ctx.house(), ctx.actor(), input).await, Generation)
    }

    /// Makes a picture again, on its own: from the same model, LoRAs, prompt, seed, steps, guidance and size. On the same kind
    /// of device it becomes the same picture.
    async fn reproduce_asset(&self, ctx: &Context<'_>, input: ReproduceAssetInput) -> Result<ReproduceAssetPayload> {
        let picture = match decode(Noun::Preview, &input.id) {
            Ok(id) => ReproducedPicture::Preview(id),
            Err(_) => ReproducedPicture::Asset(decode(Noun::Asset, &input.id)?),
        };
        let input = ReproduceAsset {
            picture,
            team: input.team_id.map(|id| decode(Noun::Team, &id)).transpose()?,
            idempotency_key: input.idempotency_key,
        };
        ReproduceAssetPayload::answer(generation::reproduce(ctx.house(), ctx.actor(), input).await, Generation)
    }

    /// Deletes a picture; its recipe and hash stay.
    async fn delete_asset(&self, ctx: &Context<'_>, input: DeleteAssetInput) -> Result<DeleteAssetPayload> {
        let id = decode(Noun::Asset, &input.id)?;
        DeleteAssetPayload::answer(generation::delete_asset(ctx.house(), ctx.actor(), id).await, Asset)
    }
}

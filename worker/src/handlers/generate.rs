//! Generates pictures.

use atelier_domain::{
    context::Context,
    entities::kinds::GenerationPictureRole,
    generation::{self, GenerationWork, Margins, RenderedAsset, SizeConditioning},
    jobs::claim::Claim,
    ports::inspector::model_folder,
};
use atelier_inference::{self as inference, LoraUse, Picture, RecipeLora, RecipeStart, RenderRequest, StartPicture};

use super::{
    Failure,
    render::{recipe, recipe_lora, render, store},
};
use crate::{device::Device, files::local_copy, sink::StopFlag};

/// Preview pictures of a generation, about: each costs a decoding.
const PREVIEWS: u32 = 5;

/// A preview picture is sent every so many steps.
pub fn preview_every(steps: u32) -> u32 {
    (steps / PREVIEWS).max(1)
}

/// Renders what a generation asks for.
///
/// # Errors
/// [`Failure`].
pub async fn generate(ctx: &Context, device: &Device, claim: &Claim, stop: &StopFlag) -> Result<(), Failure> {
    let work = generation::load(ctx, claim.job.subject_id).await?;
    let folder = model_folder(&ctx.settings.models, &work.base_model.folder);
    let request = request(ctx, &work).await?;
    let used = work.loras.iter().map(|used| recipe_lora(&used.lora.name, &used.version, used.strength));
    let used: Vec<RecipeLora> = used.collect();
    let pictures = u32::try_from(request.seeds.len()).unwrap_or(u32::MAX);
    let made = render(ctx, device, claim.lease, stop, folder, request.clone(), (0, pictures)).await?;
    let mut assets = Vec::with_capacity(made.pictures.len());
    for one in made.pictures {
        let mut recipe = recipe(&request, (&work.base_model.name, &made.sampler), one.seed, used.clone());
        (recipe.references, recipe.start) = (references_of(&work), start_of(&work));
        let stored = store(ctx, one.picture, recipe.to_text_chunks()).await?;
        assets.push(RenderedAsset {
            picture: stored.picture,
            thumbnail: stored.thumbnail,
            blurhash: stored.blurhash,
            width: stored.width,
            height: stored.height,
            seed: i64::try_from(one.seed).unwrap_or(i64::MAX),
            recipe: serde_json::to_value(&recipe).map_err(anyhow::Error::from)?,
        });
    }
    Ok(generation::complete(ctx, claim.lease, assets).await?)
}

async fn request(ctx: &Context, work: &GenerationWork) -> Result<RenderRequest, Failure> {
    let generation = &work.generation;
    let mut loras = Vec::with_capacity(work.loras.len());
    for used in &work.loras {
        let path = local_copy(ctx, &used.version.blob_sha256, &ctx.settings.work.join("loras"), "safetensors").await?;
        loras.push(LoraUse { path, strength: used.strength });
    }
    let first = generation.seed.unsigned_abs();
    let GivenPictures { references, start } = given_pictures(ctx, work).await?;
    Ok(RenderRequest {
        prompt: generation.prompt.clone(),
        negative_prompt: generation.negative_prompt.clone(),
        width: generation.width.unsigned_abs(),
        height: generation.height.unsigned_abs(),
        steps: generation.steps.unsigned_abs(),
        guidance: generation.guidance,
        seeds: (0..u64::from(generation.count.unsigned_abs())).map(|index| first + index).collect(),
        loras,
        merges_loras: generation.merges_loras,
        preview_every: Some(preview_every(generation.steps.unsigned_abs())),
        references,
        start,
        size_conditioning: SizeConditioning::of(generation).map(|sizes| inference::SizeConditioning {
            original_width: sizes.original_width.unsigned_abs(),
            original_height: sizes.original_height.unsigned_abs(),
            crop_left: sizes.crop_left.unsigned_abs(),
            crop_top: sizes.crop_top.unsigned_abs(),
        }),
    })
}

/// Hashes of the pictures of a generation that have a role.
fn hashes(work: &GenerationWork, role: GenerationPictureRole) -> impl Iterator<Item = String> {
    work.pictures.iter().filter(move |given| given.role == role).map(|given| given.blob_sha256.clone())
}

/// The references, as a recipe names them.
fn references_of(work: &GenerationWork) -> Vec<String> {
    hashes(work, GenerationPictureRole::Reference).collect()
}

/// The start, as a recipe names it.
fn start_of(work: &GenerationWork) -> Option<RecipeStart> {
    Some(RecipeStart {
        picture: hashes(work, GenerationPictureRole::Start).next()?,
        mask: hashes(work, GenerationPictureRole::Mask).next(),
        strength: work.generation.start_strength?,
        margins: Margins::of(&work.generation).map(around),
    })
}

/// The pictures of a generation, decoded.
struct GivenPictures {
    references: Vec<Picture>,
    start: Option<StartPicture>,
}

async fn given_pictures(ctx: &Context, work: &GenerationWork) -> Result<GivenPictures, Failure> {
    let (mut references, mut begins_as, mut mask) = (Vec::new(), None, None);
    for given in &work.pictures {
        let bytes = ctx.blobs.read(&given.blob_sha256).await?;
        let picture = tokio::task::spawn_blocking(move || Picture::decode(&bytes));
        let picture = picture.await.map_err(anyhow::Error::from)??;
        match given.role {
            GenerationPictureRole::Reference => references.push(picture),
            GenerationPictureRole::Start => begins_as = Some(picture),
            GenerationPictureRole::Mask => mask = Some(picture),
        }
    }
    let strength = work.generation.start_strength;
    let start = match (begins_as.zip(strength), Margins::of(&work.generation)) {
        (Some((picture, strength)), None) => Some(StartPicture { picture, strength, mask }),
        (Some((picture, _)), Some(margins)) => {
            let (width, height) = margins.leave((work.generation.width, work.generation.height));
            let picture = picture.resized_covering(width.unsigned_abs(), height.unsigned_abs());
            Some(StartPicture::around(&picture, around(margins))?)
        }
        (None, _) => None,
    };
    Ok(GivenPictures { references, start })
}

/// Margins in the order in which pictures and recipes have them.
fn around(margins: Margins) -> [u32; 4] {
    [margins.left, margins.top, margins.right, margins.bottom].map(i32::unsigned_abs)
}

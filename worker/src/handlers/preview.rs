//! Renders the previews of a LoRA version.

use atelier_domain::{
    context::Context,
    jobs::claim::Claim,
    ports::inspector::{inspect, model_folder},
    preview::{self, PreviewSettings, RenderedPreview},
};
use atelier_inference::{LoraUse, RenderRequest};

use super::{
    Failure,
    generate::preview_every,
    render::{recipe, recipe_lora, render, store},
};
use crate::{device::Device, files::local_copy, sink::StopFlag};

/// Renders a version's gallery.
///
/// # Errors
/// [`Failure`].
pub async fn preview(ctx: &Context, device: &Device, claim: &Claim, stop: &StopFlag) -> Result<(), Failure> {
    let work = preview::load(ctx, claim.job.subject_id).await?;
    let folder = model_folder(&ctx.settings.models, &work.base_model.folder);
    let lora = local_copy(ctx, &work.version.blob_sha256, &ctx.settings.work.join("loras"), "safetensors").await?;
    let mut previews = Vec::with_capacity(work.pictures.len());
    let pictures = u32::try_from(work.pictures.len()).unwrap_or(u32::MAX);
    for ((prompt, seed), before) in work.pictures.iter().zip(0..) {
        let request = RenderRequest {
            prompt: prompt.clone(),
            negative_prompt: String::new(),
            width: work.base_model.native_width.unsigned_abs(),
            height: work.base_model.native_height.unsigned_abs(),
            steps: work.base_model.default_steps.unsigned_abs(),
            guidance: work.base_model.default_guidance,
            seeds: vec![seed.unsigned_abs()],
            loras: vec![LoraUse { path: lora.clone(), strength: work.strength }],
            merges_loras: false,
            preview_every: Some(preview_every(work.base_model.default_steps.unsigned_abs())),
            references: Vec::new(),
            start: None,
            size_conditioning: None,
        };
        let used = recipe_lora(&work.lora.name, &work.version, work.strength);
        let place = (before, pictures);
        let made = render(ctx, device, claim.lease, stop, folder.clone(), request.clone(), place).await?;
        let recipe = recipe(&request, (&work.base_model.name, &made.sampler), seed.unsigned_abs(), vec![used]);
        for one in made.pictures {
            let stored = store(ctx, one.picture, recipe.to_text_chunks()).await?;
            let png = ctx.blobs.read(&stored.picture.sha256).await?;
            let look = inspect(&ctx.inspector, move |inspector| inspector.look(&png)).await?;
            previews.push(RenderedPreview {
                picture: stored.picture,
                thumbnail: stored.thumbnail,
                blurhash: stored.blurhash,
                width: stored.width,
                height: stored.height,
                prompt: prompt.clone(),
                seed: *seed,
                look: look.map_err(|rejected| anyhow::anyhow!(rejected.0))?,
            });
        }
    }
    let settings = PreviewSettings {
        base_model: work.base_model.id,
        strength: work.strength,
        steps: work.base_model.default_steps,
        guidance: work.base_model.default_guidance,
    };
    Ok(preview::complete(ctx, claim.lease, settings, previews).await?)
}

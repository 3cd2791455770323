//! Renders pictures on the device and keeps the job informed: what previews and generations share.

use std::path::PathBuf;

use atelier_domain::{context::Context, entities::lora_version, jobs::Lease, ports::blobs::Stored};
use atelier_inference::{Picture, Recipe, RecipeLora, RenderRequest, Rendered, quality};

use super::Failure;
use crate::{
    device::{Device, Models},
    sink::{JobSink, Message, StopFlag, report},
};

/// The longer edge of a thumbnail, in pixels.
const THUMBNAIL_EDGE: u32 = 256;

/// Pictures, and what made them.
pub struct Made {
    /// The pictures.
    pub pictures: Vec<Rendered>,
    /// What stepped through the noise, as recipes name it.
    pub sampler: String,
}

/// Renders on the device, passing its steps on. The request's pictures are counted as following `before` others, of
/// `pictures` in all.
///
/// # Errors
/// [`Failure`].
pub async fn render(
    ctx: &Context,
    device: &Device,
    lease: Lease,
    stop: &StopFlag,
    folder: PathBuf,
    request: RenderRequest,
    (before, pictures): (u32, u32),
) -> Result<Made, Failure> {
    on_device(ctx, device, lease, stop, move |models, sink| {
        let mut sink = sink.counting(before, pictures);
        let model = models.get(&folder)?;
        let pictures = model.render(&request, &mut sink)?;
        Ok(Made { pictures, sampler: model.facts().sampler.clone() })
    })
    .await
}

/// Does something on the device whose steps are passed on.
///
/// # Errors
/// [`Failure`].
pub async fn on_device<T: Send + 'static>(
    ctx: &Context,
    device: &Device,
    lease: Lease,
    stop: &StopFlag,
    work: impl FnOnce(&mut Models, JobSink) -> atelier_inference::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let (sink, mut messages) = JobSink::new(stop.clone());
    let working = device.run(move |models| work(models, sink));
    tokio::pin!(working);
    loop {
        tokio::select! {
            biased;
            Some(message) = messages.recv() => {
                if let Message::Step(step) = message {
                    report(ctx, lease, stop, &step).await?;
                }
            }
            done = &mut working => return Ok(done??),
        }
    }
}

/// How a picture of a request is made again, with a model of this name and a sampler. Folders have no hash that other programs look
/// models up by.
pub fn recipe(request: &RenderRequest, (model, sampler): (&str, &str), seed: u64, loras: Vec<RecipeLora>) -> Recipe {
    Recipe {
        prompt: request.prompt.clone(),
        negative_prompt: request.negative_prompt.clone(),
        model: Some(model.to_owned()),
        model_hash: None,
        sampler: Some(sampler.to_owned()),
        seed: Some(seed),
        steps: Some(request.steps),
        guidance: Some(request.guidance),
        width: Some(request.width),
        height: Some(request.height),
        loras,
        references: Vec::new(),
        start: None,
        size_conditioning: request.size_conditioning,
    }
}

/// A version in a recipe, under its LoRA's name and the first digits of its AutoV3 hash.
pub fn recipe_lora(name: &str, version: &lora_version::Model, strength: f64) -> RecipeLora {
    RecipeLora { name: name.to_owned(), hash: Some(version.auto_v3.chars().take(12).collect()), strength }
}

/// A picture in the store, with what lists show of it.
pub struct StoredPicture {
    /// The picture as PNG.
    pub picture: Stored,
    /// A thumbnail as WebP.
    pub thumbnail: Stored,
    /// A blurred placeholder.
    pub blurhash: String,
    /// Pixels across.
    pub width: i32,
    /// Pixels down.
    pub height: i32,
}

/// Stores a picture with text beside its pixels.
///
/// # Errors
/// When the store cannot be written.
pub async fn store(ctx: &Context, picture: Picture, text: Vec<(String, String)>) -> Result<StoredPicture, Failure> {
    let (width, height) = (picture.width, picture.height);
    let encoded = tokio::task::spawn_blocking(move || {
        let thumbnail = picture.thumbnail(THUMBNAIL_EDGE);
        (picture.encode_png(&text), thumbnail.encode_webp(), quality::blurhash(&thumbnail))
    });
    let (png, webp, blurhash) = encoded.await.map_err(anyhow::Error::from)?;
    Ok(StoredPicture {
        picture: ctx.blobs.put(png, "image/png").await?,
        thumbnail: ctx.blobs.put(webp, "image/webp").await?,
        blurhash,
        width: i32::try_from(width).unwrap_or(i32::MAX),
        height: i32::try_from(height).unwrap_or(i32::MAX),
    })
}

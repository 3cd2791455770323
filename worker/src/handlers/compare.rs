//! Measures what a LoRA version does to a base model.

use atelier_domain::{
    context::Context,
    jobs::claim::Claim,
    lora::compatibility::{self, Measured},
    ports::inspector::model_folder,
};
use atelier_inference::{
    compare::{ComparisonGrid, PROMPTS, SEEDS, compare_on},
    inspect,
};

use super::{Failure, render::on_device};
use crate::{device::Device, files::local_copy, sink::StopFlag};

/// The strengths that are tried: those that people use.
const STRENGTHS: [f64; 5] = [0.5, 0.75, 1.0, 1.25, 1.5];

/// Prompts of the grid.
const MOST_PROMPTS: usize = 3;

/// Measures on the device, and keeps the sheet of pictures beside what was found.
///
/// # Errors
/// [`Failure`].
pub async fn compare(ctx: &Context, device: &Device, claim: &Claim, stop: &StopFlag) -> Result<(), Failure> {
    let work = compatibility::load(ctx, &claim.job).await?;
    let folder = model_folder(&ctx.settings.models, &work.base_model.folder);
    let lora = local_copy(ctx, &work.version.blob_sha256, &ctx.settings.work.join("loras"), "safetensors").await?;
    let grid = ComparisonGrid {
        lora,
        prompts: PROMPTS[..MOST_PROMPTS].iter().map(|prompt| (*prompt).to_owned()).collect(),
        trigger: work.trigger,
        strengths: STRENGTHS.to_vec(),
        seeds: SEEDS.to_vec(),
        steps: None,
    };
    let clip = ctx.settings.clip.clone();
    let compared = on_device(ctx, device, claim.lease, stop, move |models, mut sink| {
        let lora = inspect(&grid.lora)?;
        let (model, scorer) = models.get_with_scorer(&folder, clip.as_deref())?;
        compare_on(model, &grid, &lora, scorer, &mut sink)
    })
    .await?;
    let sheet = match compared.sheet {
        Some(sheet) => {
            let png = tokio::task::spawn_blocking(move || sheet.encode_png(&[])).await.map_err(anyhow::Error::from)?;
            Some(ctx.blobs.put(png, "image/png").await?)
        }
        None => None,
    };
    let found = compared.comparison;
    let measured = Measured {
        matched_share: found.matched_share,
        by_clip: found.by_clip,
        strengths: serde_json::to_value(&found.strengths).map_err(anyhow::Error::from)?,
        safe_range: found.safe_range,
        sheet,
    };
    Ok(compatibility::complete(ctx, claim.lease, measured).await?)
}

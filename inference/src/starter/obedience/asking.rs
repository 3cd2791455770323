//! Asks a model.

use burn::tensor::{Tensor, backend::Backend};

use super::question::Question;
use crate::{
    error::Result,
    flux2::pipeline::{Denoising, Flux2Pipeline},
    image::Picture,
    progress::Control,
    starter::pictures::from_tensor,
};

/// Questions that are rendered together.
const AT_ONCE: usize = 16;

/// How a model is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asking {
    /// Steps; what the model advises where none are said.
    pub steps: Option<u32>,
    /// Guidance scale; what the model advises where none is said.
    pub guidance: Option<f64>,
    /// Seed of the first question's noise; each further question has the next.
    pub seed: u64,
}

/// One picture for each question, in the model's own size.
///
/// # Errors
/// Those of rendering.
pub fn ask<B: Backend>(pipeline: &Flux2Pipeline<B>, questions: &[Question], asking: Asking) -> Result<Vec<Picture>> {
    let mut pictures = Vec::with_capacity(questions.len());
    for (questions, first) in questions.chunks(AT_ONCE).zip((asking.seed..).step_by(AT_ONCE)) {
        pictures.extend(ask_together(pipeline, questions, Asking { seed: first, ..asking })?);
    }
    Ok(pictures)
}

/// Different prompts as one batch: each has a context of its own, and what is not wanted is nothing for all.
fn ask_together<B: Backend>(
    pipeline: &Flux2Pipeline<B>,
    questions: &[Question],
    asking: Asking,
) -> Result<Vec<Picture>> {
    let configs = &pipeline.configs;
    let guidance = asking.guidance.or(configs.advised_guidance).unwrap_or(1.0);
    let edge = (configs.native_size / configs.size_multiple()) as usize;
    let seeds: Vec<u64> = (asking.seed..).take(questions.len()).collect();
    let prompts: Vec<&str> = questions.iter().map(|question| question.prompt.as_str()).collect();
    let negative = if pipeline.uses_guidance(guidance) { Some(pipeline.encode_prompts(&[""])?) } else { None };
    let latents = pipeline.denoise(Denoising {
        latents: pipeline.noise(&seeds, (edge, edge)),
        context: pipeline.encode_prompts(&prompts)?,
        negative,
        reference: None,
        grid: (edge, edge),
        steps: asking.steps.or(configs.advised_steps).unwrap_or(20),
        guidance,
        after_step: &mut |_, _: &Tensor<B, 3>, _: &Tensor<B, 3>| Control::Continue,
    })?;
    Ok(from_tensor(pipeline.decode(latents, (edge, edge))))
}

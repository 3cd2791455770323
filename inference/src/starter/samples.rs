//! Pictures that show how far the starter model's training is.

use burn::tensor::backend::Backend;

use crate::{
    error::Result,
    flux2::pipeline::{Flux2Pipeline, RenderRequest},
    image::Picture,
    progress::Quiet,
    quality::{Row, contact_sheet},
};

/// Captions that show how well the model obeys.
const CAPTIONS: [&str; 8] = [
    "a red circle on a blue background",
    "two green triangles on a yellow background",
    "a house beside a tree",
    "a small white star on the left, night",
    "a watercolour of a boat on the sea at sunset",
    "three orange squares, pixel art",
    "a purple heart above a white square",
    "a photo of a mountain at dawn",
];

/// Renders every caption from the same six seeds.
///
/// # Errors
/// Those of rendering.
pub fn sheet<B: Backend>(pipeline: &Flux2Pipeline<B>) -> Result<Picture> {
    let mut rows = Vec::new();
    for prompt in CAPTIONS {
        let request = RenderRequest {
            prompt: prompt.to_owned(),
            negative_prompt: String::new(),
            width: pipeline.configs.native_size,
            height: pipeline.configs.native_size,
            steps: pipeline.configs.advised_steps.unwrap_or(20),
            guidance: pipeline.configs.advised_guidance.unwrap_or(3.0),
            seeds: (1..=6).collect(),
            loras: Vec::new(),
            merges_loras: false,
            preview_every: None,
            references: Vec::new(),
            start: None,
            size_conditioning: None,
        };
        let pictures = pipeline.render(&request, &mut Quiet)?.into_iter().map(|one| one.picture).collect();
        rows.push(Row { title: prompt.to_owned(), pictures });
    }
    Ok(contact_sheet(&rows))
}

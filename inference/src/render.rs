//! What is asked of a model when pictures are wanted, and what it answers.

use std::path::PathBuf;

use crate::{
    error::{Error, Result},
    image::Picture,
    progress::{Control, Progress, Sink},
};

/// The longer edge of a preview, in pixels.
const PREVIEW_EDGE: u32 = 256;

/// The longest edge that is rendered, in pixels.
const LONGEST_EDGE: u32 = 4096;

/// The most steps of a picture.
const MOST_STEPS: u32 = 1000;

/// The most reference pictures: each may make the sequence longer by as much as the picture itself.
const MOST_REFERENCES: usize = 10;

/// What is to be rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderRequest {
    /// What the pictures show.
    pub prompt: String,
    /// What they do not show.
    pub negative_prompt: String,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Denoising steps.
    pub steps: u32,
    /// Guidance scale; 1 and below is none.
    pub guidance: f64,
    /// One seed a picture.
    pub seeds: Vec<u64>,
    /// LoRAs, applied together.
    pub loras: Vec<LoraUse>,
    /// Shows what the pictures look like every so many steps.
    pub preview_every: Option<u32>,
    /// Pictures that the pictures are made from, which models that edit take.
    pub references: Vec<Picture>,
}

/// A LoRA and its strength.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraUse {
    /// Its `.safetensors` file.
    pub path: PathBuf,
    /// Its strength; negative ones turn its effect round.
    pub strength: f64,
}

/// A rendered picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// Its seed.
    pub seed: u64,
    /// The picture.
    pub picture: Picture,
}

impl RenderRequest {
    /// Tells a sink of a step, from 1, of the pictures that begin with the one of a number, from 1. `show` decodes what the
    /// end is expected to look like; it is called only where a preview is due.
    pub(crate) fn report_step(
        &self,
        sink: &mut dyn Sink,
        picture: u32,
        step: u32,
        show: impl FnOnce() -> Vec<Picture>,
    ) -> Control {
        let is_due = self.preview_every.is_some_and(|every| step.is_multiple_of(every.max(1)));
        // After the last step comes the picture itself.
        if is_due && step < self.steps {
            show().iter().for_each(|picture| sink.preview(&picture.thumbnail(PREVIEW_EDGE)));
        }
        sink.report(&Progress::Rendering { picture, pictures: self.seeds.len() as u32, step, steps: self.steps })
    }

    /// Checks the request against a model whose sizes are multiples of a number of pixels.
    ///
    /// # Errors
    /// [`Error::Input`] with what is out of bounds.
    pub fn check(&self, multiple: u32) -> Result<()> {
        let refuse = |sentence: String| Err(Error::Input(sentence));
        for (name, pixels) in [("width", self.width), ("height", self.height)] {
            if pixels == 0 || pixels > LONGEST_EDGE || !pixels.is_multiple_of(multiple) {
                return refuse(format!(
                    "The {name} is {pixels}; this model renders multiples of {multiple} up to {LONGEST_EDGE}."
                ));
            }
        }
        if self.steps == 0 || self.steps > MOST_STEPS {
            return refuse(format!("{} steps are asked for; ask for 1 to {MOST_STEPS}.", self.steps));
        }
        if self.seeds.is_empty() {
            return refuse("No picture is asked for; ask for at least one.".to_owned());
        }
        if self.references.len() > MOST_REFERENCES {
            return refuse(format!(
                "{} reference pictures are given; give at most {MOST_REFERENCES}.",
                self.references.len()
            ));
        }
        if !self.guidance.is_finite() || self.loras.iter().any(|lora| !lora.strength.is_finite()) {
            return refuse("Guidance and strengths must be numbers.".to_owned());
        }
        Ok(())
    }
}

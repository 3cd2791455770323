//! What is asked of a model when pictures are wanted, and what it answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    image::Picture,
    progress::{Control, Progress, Sink},
};

/// The longer edge of a preview, in pixels.
const PREVIEW_EDGE: u32 = 256;

/// The longest edge that is rendered, in pixels.
pub(crate) const LONGEST_EDGE: u32 = 4096;

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
    /// Whether the LoRAs are added to a copy of the weights first instead of lying beside them: steps are a little faster, and
    /// the beginning is slower.
    pub merges_loras: bool,
    /// Shows what the pictures look like every so many steps.
    pub preview_every: Option<u32>,
    /// Pictures that the pictures are made from, which models that edit take.
    pub references: Vec<Picture>,
    /// A picture that the pictures begin as, which SDXL takes.
    pub start: Option<StartPicture>,
    /// What SDXL is told of the pictures' sizes; that they are whole without it.
    pub size_conditioning: Option<SizeConditioning>,
}

/// What SDXL is told of a picture that it draws: as if it were the part of another one that begins at a corner, cut out at its
/// own size (Podell et al., 2023, section 2.2). All are pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeConditioning {
    /// Pixels across of the picture that it is drawn as if cut from; a small one gives blurred pictures.
    pub original_width: u32,
    /// Pixels down of it.
    pub original_height: u32,
    /// Pixels that were cut off on its left; many give pictures whose subject is cut off.
    pub crop_left: u32,
    /// Pixels that were cut off above.
    pub crop_top: u32,
}

/// A picture that is drawn over, whole or in part.
#[derive(Clone, Debug, PartialEq)]
pub struct StartPicture {
    /// The picture; it is cut to the shape that is asked for.
    pub picture: Picture,
    /// How much of it is drawn anew: near 0 next to nothing, 1 everything.
    pub strength: f64,
    /// Where it is drawn anew: white is, black stays as it is to the last bit. Everywhere without it.
    pub mask: Option<Picture>,
}

impl StartPicture {
    /// A picture that stands in a larger one, whose rest is drawn: so many pixels are added on the left, above, on the right
    /// and below.
    ///
    /// # Errors
    /// [`Error::Input`] when nothing is added, or more than a picture may have.
    pub fn around(picture: &Picture, [left, top, right, bottom]: [u32; 4]) -> Result<Self> {
        let sum = |edge: u32, one: u32, other: u32| edge.checked_add(one).and_then(|sum| sum.checked_add(other));
        let (width, height) = (sum(picture.width, left, right), sum(picture.height, top, bottom));
        let (Some(width), Some(height)) = (width, height) else {
            return Err(Error::Input("More pixels are added than a picture can have; add fewer.".to_owned()));
        };
        if width > LONGEST_EDGE || height > LONGEST_EDGE || left + top + right + bottom == 0 {
            return Err(Error::Input(format!(
                "With what is added the picture has {width} x {height} pixels; add something, up to {LONGEST_EDGE} an edge."
            )));
        }
        let source = |at: u32, before: u32, edge: u32| at.saturating_sub(before).min(edge - 1);
        let lies_outside = |at: u32, before: u32, edge: u32| at < before || at >= before + edge;
        let (mut rgb, mut mask) = (Vec::new(), Vec::new());
        for y in 0..height {
            for x in 0..width {
                // What is to be drawn begins as the nearest edge, so that colours carry on.
                rgb.extend(picture.pixel(source(x, left, picture.width), source(y, top, picture.height)));
                let is_new = lies_outside(x, left, picture.width) || lies_outside(y, top, picture.height);
                mask.extend([if is_new { 255 } else { 0 }; 3]);
            }
        }
        let mask = Some(Picture { width, height, rgb: mask });
        Ok(Self { picture: Picture { width, height, rgb }, strength: 1.0, mask })
    }
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
        if let Some(start) = &self.start
            && !(start.strength > 0.0 && start.strength <= 1.0)
        {
            return refuse(format!("The strength of the start is {}; it lies above 0 and up to 1.", start.strength));
        }
        if !self.guidance.is_finite() || self.loras.iter().any(|lora| !lora.strength.is_finite()) {
            return refuse("Guidance and strengths must be numbers.".to_owned());
        }
        Ok(())
    }
}

//! Pictures that begin as a picture, whole or in part: image to image, inpainting, outpainting.
//! `pipeline_stable_diffusion_xl_img2img.py`, and `pipeline_stable_diffusion_xl_inpaint.py` for UNets of four channels.

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};

use super::pipeline::SdxlPipeline;
use crate::{
    error::{Error, Result},
    image::Picture,
    render::StartPicture,
    starter::pictures::to_tensor,
};

/// A mask is white from here on.
const WHITE: u8 = 128;

/// How far what is drawn fades into what stays, in pixels.
const FADE: usize = 8;

/// What a picture begins as.
#[derive(Clone, Debug)]
pub struct Start<B: Backend> {
    /// Latents of the picture, `[1, channels, rows, columns]`.
    pub latents: Tensor<B, 4>,
    /// Where it is drawn anew: 1 is, 0 stays; `[1, 1, rows, columns]`.
    pub mask: Option<Tensor<B, 4>>,
    /// How much of it is drawn anew, above 0 and up to 1.
    pub strength: f64,
}

impl<B: Backend> Start<B> {
    /// The step that drawing begins with, of so many: less strength, fewer steps.
    pub(super) fn first_step(&self, steps: u32) -> usize {
        let drawn = ((f64::from(steps) * self.strength) as u32).clamp(1, steps);
        (steps - drawn) as usize
    }

    /// Whether some of it stays.
    pub(super) fn is_partial(&self) -> bool {
        self.mask.is_some()
    }

    /// The picture under noise of a level.
    pub(super) fn at(&self, sigma: f32, noise: &Tensor<B, 4>) -> Tensor<B, 4> {
        let batch = noise.dims()[0];
        self.latents.clone().repeat_dim(0, batch) + noise.clone().mul_scalar(sigma)
    }

    /// Latents of a level in which everything that stays is the picture's.
    pub(super) fn kept(&self, latents: Tensor<B, 4>, sigma: f32, noise: &Tensor<B, 4>) -> Tensor<B, 4> {
        let Some(mask) = &self.mask else { return latents };
        let [batch, channels, _, _] = latents.dims();
        let mask = mask.clone().repeat_dim(0, batch).repeat_dim(1, channels);
        let stays = mask.clone().neg().add_scalar(1.0);
        latents * mask + self.at(sigma, noise) * stays
    }
}

impl<B: Backend> SdxlPipeline<B> {
    /// The latents of a start, brought to a size in pixels.
    ///
    /// # Errors
    /// [`Error::Input`] when the mask has another shape than the picture, or is black everywhere.
    pub fn start(&self, start: &StartPicture, (width, height): (u32, u32)) -> Result<Start<B>> {
        let picture = start.picture.resized_covering(width, height);
        let latents = self.autoencoder.encode(to_tensor::<B>([&picture], &self.device), &self.configs.autoencoder);
        let mask = start.mask.as_ref().map(|mask| self.mask(mask, &start.picture, (width, height))).transpose()?;
        Ok(Start { latents, mask, strength: start.strength })
    }

    /// The mask, one number a latent: that of the pixel in its upper left corner, as the reference takes it.
    fn mask(&self, mask: &Picture, picture: &Picture, (width, height): (u32, u32)) -> Result<Tensor<B, 4>> {
        let refuse = |sentence: &str| Err(Error::Input(sentence.to_owned()));
        if (mask.width, mask.height) != (picture.width, picture.height) {
            return refuse("The mask has another size than the picture. Give one of the same size.");
        }
        let is_white = white(mask, (width, height));
        if !is_white.contains(&true) {
            return refuse(
                "The mask is black everywhere, so that nothing would be drawn. Paint white what is to be drawn.",
            );
        }
        let (rows, columns) = self.grid(height, width);
        let multiple = self.configs.size_multiple() as usize;
        let at = |row: usize, column: usize| is_white[row * multiple * width as usize + column * multiple];
        let values = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let values: Vec<f32> = values.map(|(row, column)| if at(row, column) { 1.0 } else { 0.0 }).collect();
        Ok(Tensor::from_data(TensorData::new(values, [1, 1, rows, columns]), (&self.device, DType::F32)))
    }
}

/// Which pixels of a mask are white, once it has a size.
fn white(mask: &Picture, (width, height): (u32, u32)) -> Vec<bool> {
    mask.resized_covering(width, height).rgb.chunks_exact(3).map(|pixel| pixel[0] >= WHITE).collect()
}

/// What stays of a start that is drawn over in part, under every picture that is drawn.
pub(super) struct Ground {
    below: Picture,
    shares: Vec<f32>,
}

impl Ground {
    /// That of a start, at the size of what is drawn; none where all of it is drawn.
    pub(super) fn of(start: &StartPicture, (width, height): (u32, u32)) -> Option<Self> {
        let mask = start.mask.as_ref()?;
        let below = start.picture.resized_covering(width, height);
        Some(Self { below, shares: shares(&white(mask, (width, height)), width as usize) })
    }

    /// A drawn picture laid over it: what stays is the start's to the last bit, and what is drawn fades into it.
    pub(super) fn under(&self, drawn: &Picture) -> Picture {
        let pixels = drawn.rgb.chunks_exact(3).zip(self.below.rgb.chunks_exact(3)).zip(&self.shares);
        let mixed = pixels.flat_map(|((over, under), share)| {
            let mix = move |place: usize| f32::from(over[place]) * share + f32::from(under[place]) * (1.0 - share);
            [0, 1, 2].map(|place| mix(place).round() as u8)
        });
        Picture { width: drawn.width, height: drawn.height, rgb: mixed.collect() }
    }
}

/// How much of what is drawn is seen at every pixel: nothing where the mask is black, and less near to it.
fn shares(is_white: &[bool], width: usize) -> Vec<f32> {
    let height = is_white.len() / width;
    // Steps to the nearest black pixel, up to the fade, along rows and then along columns.
    let mut distance: Vec<usize> = is_white.iter().map(|is| if *is { FADE } else { 0 }).collect();
    let mut relax = |at: usize, from: usize| distance[at] = distance[at].min(distance[from] + 1);
    for y in 0..height {
        (1..width).for_each(|x| relax(y * width + x, y * width + x - 1));
        (0..width - 1).rev().for_each(|x| relax(y * width + x, y * width + x + 1));
    }
    for x in 0..width {
        (1..height).for_each(|y| relax(y * width + x, (y - 1) * width + x));
        (0..height - 1).rev().for_each(|y| relax(y * width + x, (y + 1) * width + x));
    }
    distance.into_iter().map(|steps| steps as f32 / FADE as f32).collect()
}

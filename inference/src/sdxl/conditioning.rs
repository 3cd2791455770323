//! What an SDXL picture is conditioned on: the states of two text encoders, their pooled text, and sizes. `encode_prompt`
//! and `_get_add_time_ids` of `pipeline_stable_diffusion_xl.py`.

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};

use crate::render::SizeConditioning;

/// Numbers of the size conditioning.
pub const SIZES: usize = 6;

/// The texts of a batch of pictures.
#[derive(Clone, Debug)]
pub struct TextConditioning<B: Backend> {
    /// States of both encoders side by side, `[batch, tokens, context]`.
    pub context: Tensor<B, 3>,
    /// What the second encoder says of the text as a whole, `[batch, projection]`.
    pub pooled: Tensor<B, 2>,
}

impl<B: Backend> TextConditioning<B> {
    /// Zeros of the same shapes: what stands for no text where a folder says so.
    pub fn zeros_like(&self) -> Self {
        Self { context: self.context.zeros_like(), pooled: self.pooled.zeros_like() }
    }

    /// One text repeated for a batch.
    pub fn for_batch(self, batch: usize) -> Self {
        if self.context.dims()[0] == batch {
            return self;
        }
        Self { context: self.context.repeat_dim(0, batch), pooled: self.pooled.repeat_dim(0, batch) }
    }

    /// One text that was encoded in several chunks: their states one behind the other, and the first one's pooled text.
    pub fn joined(chunks: Vec<Self>) -> Self {
        let pooled = chunks[0].pooled.clone();
        Self { context: Tensor::cat(chunks.into_iter().map(|chunk| chunk.context).collect(), 1), pooled }
    }

    /// These texts, then others.
    pub fn and(self, others: Self) -> Self {
        Self {
            context: Tensor::cat(vec![self.context, others.context], 0),
            pooled: Tensor::cat(vec![self.pooled, others.pooled], 0),
        }
    }
}

/// The size conditioning of a picture that is whole, in pixels.
pub fn whole(height: u32, width: u32) -> [u32; SIZES] {
    [height, width, 0, 0, height, width]
}

/// The size conditioning of a picture that is drawn as if it were cut from another one, in pixels.
pub fn cut(from: &SizeConditioning, height: u32, width: u32) -> [u32; SIZES] {
    [from.original_height, from.original_width, from.crop_top, from.crop_left, height, width]
}

/// The size conditioning of pictures, `[batch, 6]`: original height and width, the crop's top and left, target height and
/// width, all in pixels.
pub fn sizes<B: Backend>(pictures: &[[u32; SIZES]], device: &B::Device) -> Tensor<B, 2> {
    let numbers: Vec<f32> = pictures.iter().flatten().map(|pixels| *pixels as f32).collect();
    Tensor::from_data(TensorData::new(numbers, [pictures.len(), SIZES]), (device, DType::F32))
}

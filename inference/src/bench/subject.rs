//! Pipelines as they are measured.

use std::collections::BTreeMap;

use burn::{
    module::Module,
    tensor::{Distribution, Int, Tensor, TensorData, backend::Backend},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    RANK,
    operations::{self, Generation, Passes},
};
use crate::{
    error::Result,
    flux2::pipeline::{Denoising as Flux2Denoising, Flux2Pipeline},
    lora::{
        LowRankPair,
        inject::{self, Prepared},
    },
    progress::Control,
    sdxl::{
        conditioning::{TextConditioning, whole},
        pipeline::{Denoising as SdxlDenoising, SdxlPipeline},
    },
    starter::pictures::from_tensor,
    training::sdxl::row,
};

/// A picture to be made.
#[derive(Clone, Copy)]
pub(super) struct Picture {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Denoising steps, and steps of a training that learns from pictures of this size.
    pub steps: u32,
}

impl Picture {
    /// Whether both edges are multiples of so many pixels, and there are any.
    pub(super) fn is_made_of(self, multiple: u32) -> bool {
        [self.width, self.height].iter().all(|edge| *edge > 0 && edge.is_multiple_of(multiple))
    }
}

/// A pipeline as it is measured.
pub(super) trait Subject<B: Backend>: Sized {
    /// The pipeline.
    type Pipeline;
    /// What a text becomes.
    type Text: Clone;
    /// What is denoised.
    type Latents;

    /// What is measured.
    fn pipeline(&self) -> &Self::Pipeline;
    /// The size and the steps that the model was made for.
    fn advised(&self) -> Picture;
    /// Pixels that sizes are multiples of.
    fn multiple(&self) -> u32;
    /// Parameters of what denoises.
    fn parameters(&self) -> usize;
    /// Operations of making a picture, stage by stage.
    fn operations(&self, picture: Picture) -> Generation;
    /// Operations of learning from one picture, with pairs of this rank.
    fn training_operations(&self, picture: Picture, rank: usize) -> Passes;
    /// This with LoRAs beside every linear layer.
    fn with_loras(&self, loras: &[Prepared<B>]) -> Result<Self>;
    /// Low-rank pairs for every linear layer.
    fn pairs(&self) -> Pairs;
    /// Token ids → text.
    fn text(&self) -> Result<Self::Text>;
    /// The same as a training caches it, `[1, values]`.
    fn cached_text(&self) -> Result<Tensor<B, 2>>;
    /// Noise → latents; `after_step` is called after each.
    fn denoise(&self, text: Self::Text, picture: Picture, after_step: &mut dyn FnMut()) -> Result<Self::Latents>;
    /// Latents → picture.
    fn decode(&self, latents: Self::Latents, picture: Picture) -> crate::image::Picture;
}

/// Pairs of low rank, by the paths of their layers.
pub(super) type Pairs = BTreeMap<String, LowRankPair>;

/// Drawn pairs for layers of these features in and out.
fn drawn_pairs<'a>(layers: impl Iterator<Item = (&'a String, (usize, usize))>) -> Pairs {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut numbers = |count: usize| (0..count).map(|_| random.random_range(-0.01f32..0.01)).collect::<Vec<_>>();
    layers
        .map(|(name, (inputs, outputs))| {
            let (a, b) = (numbers(RANK * inputs), numbers(outputs * RANK));
            (name.clone(), LowRankPair { a, b, rank: RANK, inputs, outputs, kernel: None, scale: 1.0 })
        })
        .collect()
}

/// FLUX.2.
pub(super) struct Flux2Subject<B: Backend>(pub Flux2Pipeline<B>);

impl<B: Backend> Subject<B> for Flux2Subject<B> {
    type Pipeline = Flux2Pipeline<B>;
    type Text = Tensor<B, 3>;
    type Latents = Tensor<B, 3>;

    fn pipeline(&self) -> &Flux2Pipeline<B> {
        &self.0
    }

    fn advised(&self) -> Picture {
        let configs = &self.0.configs;
        let steps = configs.advised_steps.unwrap_or(if configs.is_distilled { 4 } else { 50 });
        Picture { width: configs.native_size, height: configs.native_size, steps }
    }

    fn multiple(&self) -> u32 {
        self.0.configs.size_multiple()
    }

    fn parameters(&self) -> usize {
        self.0.transformer.num_params()
    }

    fn operations(&self, picture: Picture) -> Generation {
        let (rows, columns) = self.0.grid(picture.height, picture.width);
        let configs = &self.0.configs;
        let times = if configs.is_guided_freely() { 2.0 } else { 1.0 };
        let layers = self.0.text_layers.iter().copied().max().unwrap_or_default();
        Generation {
            text: operations::text_decoder(&configs.text_encoder.decoder(), self.0.prompt_length, layers),
            step: times * self.training_operations(picture, 0).forward,
            decode: operations::decoder(&configs.autoencoder.shape(), (2 * rows, 2 * columns)),
        }
    }

    fn training_operations(&self, picture: Picture, rank: usize) -> Passes {
        let (rows, columns) = self.0.grid(picture.height, picture.width);
        operations::flux2_transformer(&self.0.configs.transformer, (self.0.prompt_length, rows * columns), rank)
    }

    fn pairs(&self) -> Pairs {
        let mut transformer = (*self.0.transformer).clone();
        let layers = inject::Adaptable::linear_layers(&mut transformer);
        drawn_pairs(layers.iter().map(|(name, layer)| (name, layer.features())))
    }

    fn with_loras(&self, loras: &[Prepared<B>]) -> Result<Self> {
        let mut transformer = self.0.transformer.clone();
        for lora in loras {
            lora.attach(&mut *transformer, 0.5)?;
        }
        inject::add_up(&mut *transformer, &self.0.device);
        Ok(Self(Flux2Pipeline { transformer, ..self.0.clone() }))
    }

    fn text(&self) -> Result<Tensor<B, 3>> {
        let length = self.0.prompt_length;
        let ids: Vec<i32> = (0..length as i32).map(|place| place % 200).collect();
        let ids = Tensor::<B, 2, Int>::from_data(TensorData::new(ids, [1, length]), &self.0.device);
        self.0.encode_tokens(ids, &[vec![true; length]])
    }

    fn cached_text(&self) -> Result<Tensor<B, 2>> {
        let text = self.text()?;
        let [_, tokens, width] = text.dims();
        Ok(text.reshape([1, tokens * width]))
    }

    fn denoise(&self, text: Tensor<B, 3>, picture: Picture, after_step: &mut dyn FnMut()) -> Result<Tensor<B, 3>> {
        let pipeline = &self.0;
        let grid = self.0.grid(picture.height, picture.width);
        pipeline.denoise(Flux2Denoising {
            latents: pipeline.noise(&[0], grid),
            negative: pipeline.configs.is_guided_freely().then(|| text.clone()),
            context: text,
            reference: None,
            grid,
            steps: picture.steps,
            guidance: 3.5,
            after_step: &mut |_, _, _| {
                after_step();
                Control::Continue
            },
        })
    }

    fn decode(&self, latents: Tensor<B, 3>, picture: Picture) -> crate::image::Picture {
        from_tensor(self.0.decode(latents, self.0.grid(picture.height, picture.width))).swap_remove(0)
    }
}

/// SDXL.
pub(super) struct SdxlSubject<B: Backend>(pub SdxlPipeline<B>);

impl<B: Backend> Subject<B> for SdxlSubject<B> {
    type Pipeline = SdxlPipeline<B>;
    type Text = TextConditioning<B>;
    type Latents = Tensor<B, 4>;

    fn pipeline(&self) -> &SdxlPipeline<B> {
        &self.0
    }

    fn advised(&self) -> Picture {
        let configs = &self.0.configs;
        let steps = configs.advised_steps.unwrap_or(if configs.is_turbo() { 1 } else { 30 });
        Picture { width: configs.native_size(), height: configs.native_size(), steps }
    }

    fn multiple(&self) -> u32 {
        self.0.configs.size_multiple()
    }

    fn parameters(&self) -> usize {
        self.0.unet.num_params()
    }

    fn operations(&self, picture: Picture) -> Generation {
        let grid = self.0.grid(picture.height, picture.width);
        let configs = &self.0.configs;
        let times = if configs.is_turbo() { 1.0 } else { 2.0 };
        let text = operations::clip_text_encoder(&configs.text_encoder, self.0.tokenizer.longest(), false)
            + operations::clip_text_encoder(&configs.text_encoder_2, self.0.tokenizer_2.longest(), true);
        Generation {
            text,
            step: times * self.training_operations(picture, 0).forward,
            decode: operations::decoder(&configs.autoencoder.shape(), grid),
        }
    }

    fn training_operations(&self, picture: Picture, rank: usize) -> Passes {
        let grid = self.0.grid(picture.height, picture.width);
        operations::unet(&self.0.configs.unet, grid, self.0.tokenizer.longest(), rank)
    }

    fn pairs(&self) -> Pairs {
        let mut unet = (*self.0.unet).clone();
        let layers = inject::Adaptable::linear_layers(&mut unet);
        drawn_pairs(layers.iter().map(|(name, layer)| (name, layer.features())))
    }

    fn with_loras(&self, loras: &[Prepared<B>]) -> Result<Self> {
        let mut unet = self.0.unet.clone();
        for lora in loras {
            lora.attach(&mut *unet, 0.5)?;
        }
        inject::add_up(&mut *unet, &self.0.device);
        Ok(Self(SdxlPipeline { unet, ..self.0.clone() }))
    }

    fn text(&self) -> Result<TextConditioning<B>> {
        let ids = |longest: usize| (0..longest as u32).map(|place| place % 200).collect::<Vec<_>>();
        self.0.encode_tokens(ids(self.0.tokenizer.longest()), ids(self.0.tokenizer_2.longest()))
    }

    fn cached_text(&self) -> Result<Tensor<B, 2>> {
        Ok(row(self.text()?))
    }

    fn denoise(&self, text: Self::Text, picture: Picture, after_step: &mut dyn FnMut()) -> Result<Tensor<B, 4>> {
        let pipeline = &self.0;
        let (rows, columns) = pipeline.grid(picture.height, picture.width);
        let shape = [1, pipeline.configs.unet.in_channels, rows, columns];
        let noise = || Tensor::random(shape, Distribution::Normal(0.0, 1.0), &pipeline.device);
        pipeline.denoise(SdxlDenoising {
            noise: noise(),
            start: None,
            unwanted: (!pipeline.configs.is_turbo()).then(|| text.clone()),
            wanted: text,
            sizes: whole(picture.height, picture.width),
            steps: picture.steps,
            guidance: 5.0,
            step_noise: &mut |_| Ok(noise()),
            after_step: &mut |_, _, _| {
                after_step();
                Control::Continue
            },
        })
    }

    fn decode(&self, latents: Tensor<B, 4>, _: Picture) -> crate::image::Picture {
        from_tensor(self.0.decode(latents)).swap_remove(0)
    }
}

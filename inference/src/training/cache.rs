//! Latents and text contexts of the pictures, computed once: the encoders do nothing while the LoRA learns.

use std::collections::HashMap;

use burn::tensor::{Tensor, backend::Backend};

use super::{bucketing, dataset::Example, spec::TrainingSpec};
use crate::{
    error::{Error, Result},
    flux2::{latents::to_tokens, pipeline::Flux2Pipeline},
    progress::{Control, Progress, Sink},
    starter::pictures::to_tensor,
};

/// Latents of a view of a picture.
#[derive(Clone)]
pub struct View<B: Backend> {
    /// `[1, tokens, channels]`.
    pub latents: Tensor<B, 3>,
    /// Rows and columns of tokens.
    pub grid: (usize, usize),
    /// Which context belongs to it.
    pub context: usize,
}

/// Everything that a training needs of its pictures.
pub struct Cache<B: Backend> {
    /// Views to learn from, picture by picture.
    pub learnt: Vec<View<B>>,
    /// Held-out pictures, one view each.
    pub held_out: Vec<View<B>>,
    /// Contexts, each `[1, text tokens, context]`; the first is that of no prompt.
    pub contexts: Vec<Tensor<B, 3>>,
}

impl<B: Backend> Cache<B> {
    /// Encodes every view of the pictures that are learnt from, every held-out picture and every prompt.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the sink says so.
    pub fn fill(
        pipeline: &Flux2Pipeline<B>,
        spec: &TrainingSpec,
        resolution: u32,
        (learnt, held_out): (&[&Example], &[&Example]),
        sink: &mut dyn Sink,
    ) -> Result<Self> {
        let sizes = bucketing::sizes(resolution, pipeline.configs.size_multiple());
        let mut prompts = Prompts::new(pipeline)?;
        let total = learnt.len() as u32 * spec.repeats + held_out.len() as u32;
        let mut done = 0;
        let mut encode = |example: &Example, picture: u64, number: u32| {
            let size = bucketing::nearest(&sizes, example.picture.width, example.picture.height);
            let seed = spec.seed.wrapping_add(picture.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let view = bucketing::view(&example.picture, size, number, seed);
            let packed = pipeline.autoencoder.encode_packed(to_tensor::<B>([&view], &pipeline.device));
            let [_, _, rows, columns] = packed.dims();
            done += 1;
            if sink.report(&Progress::CachingLatents { done, total }) == Control::Stop {
                return Err(Error::Stopped);
            }
            Ok(View { latents: to_tokens(packed), grid: (rows, columns), context: prompts.number(&example.prompt)? })
        };
        let mut views = Vec::with_capacity(learnt.len() * spec.repeats as usize);
        for (example, picture) in learnt.iter().zip(0..) {
            for number in 0..spec.repeats {
                views.push(encode(example, picture, number)?);
            }
        }
        let held_out = held_out.iter().map(|example| encode(example, 0, 0)).collect::<Result<_>>()?;
        Ok(Self { learnt: views, held_out, contexts: prompts.contexts })
    }

    /// Latents and contexts of views of one size, side by side; `context` gives the context of a view.
    pub fn batch(&self, views: &[&View<B>], context: impl Fn(usize) -> usize) -> (Tensor<B, 3>, Tensor<B, 3>) {
        let latents = views.iter().map(|view| view.latents.clone()).collect();
        let contexts = (0..views.len()).map(|place| self.contexts[context(place)].clone()).collect();
        (Tensor::cat(latents, 0), Tensor::cat(contexts, 0))
    }
}

/// Contexts of prompts, each computed once.
struct Prompts<'a, B: Backend> {
    pipeline: &'a Flux2Pipeline<B>,
    numbers: HashMap<String, usize>,
    contexts: Vec<Tensor<B, 3>>,
}

impl<'a, B: Backend> Prompts<'a, B> {
    fn new(pipeline: &'a Flux2Pipeline<B>) -> Result<Self> {
        let mut prompts = Self { pipeline, numbers: HashMap::new(), contexts: Vec::new() };
        prompts.number("")?;
        Ok(prompts)
    }

    fn number(&mut self, prompt: &str) -> Result<usize> {
        if let Some(number) = self.numbers.get(prompt) {
            return Ok(*number);
        }
        self.contexts.push(self.pipeline.encode_prompts(&[prompt])?);
        let number = self.contexts.len() - 1;
        self.numbers.insert(prompt.to_owned(), number);
        Ok(number)
    }
}

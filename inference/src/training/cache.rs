//! Latents and texts of the pictures, computed once: the encoders do nothing while the LoRA learns.

use std::collections::HashMap;

use burn::tensor::{
    Tensor,
    backend::{AutodiffBackend, Backend},
};

use super::{
    bucketing::{self, Frame},
    dataset::Example,
    spec::TrainingSpec,
    trainable::Trainable,
};
use crate::{
    error::{Error, Result},
    progress::{Control, Progress, Sink},
};

/// Latents of a view of a picture.
#[derive(Clone)]
pub struct View<B: Backend> {
    /// `[1, values]`, in the family's own order.
    pub latents: Tensor<B, 2>,
    /// Rows and columns of latents.
    pub grid: (usize, usize),
    /// What it shows of the picture.
    pub frame: Frame,
    /// Which text belongs to it.
    pub text: usize,
}

/// Everything that a training needs of its pictures.
pub struct Cache<B: Backend> {
    /// Views to learn from, picture by picture.
    pub learnt: Vec<View<B>>,
    /// Held-out pictures, one view each.
    pub held_out: Vec<View<B>>,
    /// Texts, each `[1, values]`; the first is that of no prompt.
    pub texts: Vec<Tensor<B, 2>>,
}

impl<I: Backend> Cache<I> {
    /// Encodes every view of the pictures that are learnt from, every held-out picture and every prompt.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the sink says so.
    pub fn fill<B: AutodiffBackend<InnerBackend = I>, P: Trainable<B>>(
        pipeline: &P,
        spec: &TrainingSpec,
        resolution: u32,
        (learnt, held_out): (&[&Example], &[&Example]),
        sink: &mut dyn Sink,
    ) -> Result<Self> {
        let sizes = bucketing::sizes(resolution, pipeline.bucket_step());
        let all: Vec<&str> = learnt.iter().chain(held_out).map(|example| example.prompt.as_str()).collect();
        let mut prompts = Prompts::<B, P>::new(pipeline, pipeline.text_chunks(&all)?)?;
        let total = learnt.len() as u32 * spec.repeats + held_out.len() as u32;
        let mut done = 0;
        let mut encode = |example: &Example, picture: u64, number: u32| {
            let size = bucketing::nearest(&sizes, example.picture.width, example.picture.height);
            let seed = spec.seed.wrapping_add(picture.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let (shown, frame) = bucketing::view(&example.picture, size, number, seed);
            let (latents, grid) = pipeline.encode_picture(&shown);
            done += 1;
            if sink.report(&Progress::CachingLatents { done, total }) == Control::Stop {
                return Err(Error::Stopped);
            }
            Ok(View { latents, grid, frame, text: prompts.number(&example.prompt)? })
        };
        let mut views = Vec::with_capacity(learnt.len() * spec.repeats as usize);
        for (example, picture) in learnt.iter().zip(0..) {
            for number in 0..spec.repeats {
                views.push(encode(example, picture, number)?);
            }
        }
        let held_out = held_out.iter().map(|example| encode(example, 0, 0)).collect::<Result<_>>()?;
        Ok(Self { learnt: views, held_out, texts: prompts.texts })
    }

    /// Latents and texts of views of one size, one row a view; `text` gives the text of a view.
    pub fn batch(&self, views: &[&View<I>], text: impl Fn(usize) -> usize) -> (Tensor<I, 2>, Tensor<I, 2>) {
        let latents = views.iter().map(|view| view.latents.clone()).collect();
        let texts = (0..views.len()).map(|place| self.texts[text(place)].clone()).collect();
        (Tensor::cat(latents, 0), Tensor::cat(texts, 0))
    }
}

/// Texts of prompts, each encoded once.
struct Prompts<'a, B: AutodiffBackend, P: Trainable<B>> {
    pipeline: &'a P,
    /// So many for each of them: all texts are of one length.
    chunks: usize,
    numbers: HashMap<String, usize>,
    texts: Vec<Tensor<B::InnerBackend, 2>>,
}

impl<'a, B: AutodiffBackend, P: Trainable<B>> Prompts<'a, B, P> {
    fn new(pipeline: &'a P, chunks: usize) -> Result<Self> {
        Ok(Self { pipeline, chunks, numbers: HashMap::new(), texts: vec![pipeline.encode_no_text(chunks)?] })
    }

    fn number(&mut self, prompt: &str) -> Result<usize> {
        if let Some(number) = self.numbers.get(prompt) {
            return Ok(*number);
        }
        self.texts.push(self.pipeline.encode_text(prompt, self.chunks)?);
        let number = self.texts.len() - 1;
        self.numbers.insert(prompt.to_owned(), number);
        Ok(number)
    }
}

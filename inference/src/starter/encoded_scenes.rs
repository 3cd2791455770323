//! Scenes with their latents: drawn and encoded in the background, and remembered.

use std::{sync::mpsc, thread};

use burn::{
    backend::{Flex, flex::FlexDevice},
    tensor::{Tensor, TensorData, backend::Backend},
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::{
    pictures::to_tensor,
    scenes::{scene, with_studies},
};
use crate::{
    error::{Error, Result},
    flux2::{autoencoder::Autoencoder, latents::to_tokens},
    text::tokenizer::{Encoded, Tokenizer},
};

/// How many batches are made ahead.
const AHEAD: usize = 8;

/// How many scenes are remembered.
const MEMORY: usize = 100_000;

/// How many have to be remembered before new ones are not waited for any more.
const ENOUGH: usize = 30_000;

/// A scene that was encoded.
pub struct EncodedScene {
    /// Latent tokens, row by row.
    pub latents: Vec<f32>,
    /// Its caption.
    pub caption: Encoded,
}

/// Remembers scenes that were seen, and sees new ones.
pub struct EncodedScenes {
    new: mpsc::Receiver<Result<Vec<EncodedScene>>>,
    seen: Vec<EncodedScene>,
}

impl EncodedScenes {
    /// Begins to draw and to encode, `fresh` scenes at once, on a thread of its own and on the processor wherever the model is
    /// trained. Every second is a study.
    pub fn begin(
        autoencoder: Autoencoder<Flex>,
        tokenizer: Tokenizer,
        prompt_length: usize,
        (first_seed, fresh, size): (u64, usize, u32),
    ) -> Self {
        let (sender, new) = mpsc::sync_channel(AHEAD);
        thread::spawn(move || {
            let mut seed = first_seed;
            loop {
                let seeds = seed..seed + fresh as u64;
                seed = seeds.end;
                let encoded = encode(&autoencoder, &tokenizer, prompt_length, seeds, size);
                // Nobody listens any more when training has ended.
                if sender.send(encoded).is_err() {
                    return;
                }
            }
        });
        Self { new, seen: Vec::new() }
    }

    /// The next new scenes, and as many as are missing of those seen before. Where many were seen, new ones are not waited
    /// for: a card learns faster than processors draw.
    ///
    /// # Errors
    /// When a caption could not be encoded.
    pub fn batch(&mut self, size: usize, random: &mut ChaCha8Rng) -> Result<Vec<&EncodedScene>> {
        let new = match self.new.try_recv() {
            Ok(new) => new?,
            Err(mpsc::TryRecvError::Empty) if self.seen.len() >= ENOUGH => Vec::new(),
            Err(_) => {
                self.new.recv().map_err(|_| Error::Input("The thread that draws scenes has ended.".to_owned()))??
            }
        };
        let count = new.len().min(size);
        let mut places = Vec::with_capacity(size);
        for scene in new {
            if self.seen.len() < MEMORY {
                places.push(self.seen.len());
                self.seen.push(scene);
            } else {
                let place = random.random_range(0..MEMORY);
                places.push(place);
                self.seen[place] = scene;
            }
        }
        places.truncate(count);
        places.extend((count..size).map(|_| random.random_range(0..self.seen.len())));
        Ok(places.into_iter().map(|place| &self.seen[place]).collect())
    }
}

fn encode(
    autoencoder: &Autoencoder<Flex>,
    tokenizer: &Tokenizer,
    prompt_length: usize,
    seeds: std::ops::Range<u64>,
    size: u32,
) -> Result<Vec<EncodedScene>> {
    let drawn: Vec<_> = seeds.into_par_iter().map(|seed| scene(with_studies(seed), size)).collect();
    let tokens =
        to_tokens(autoencoder.encode_packed(to_tensor::<Flex>(drawn.iter().map(|one| &one.picture), &FlexDevice)));
    let [_, count, channels] = tokens.dims();
    let values: Vec<f32> = tokens.into_data().iter::<f32>().collect();
    let pairs = drawn.iter().zip(values.chunks_exact(count * channels));
    pairs
        .map(|(scene, latents)| {
            Ok(EncodedScene {
                latents: latents.to_vec(),
                caption: tokenizer.encode_chat(&scene.caption, prompt_length)?,
            })
        })
        .collect()
}

/// Latents of scenes, `[scenes, tokens, channels]`.
pub fn latents<B: Backend>(scenes: &[&EncodedScene], channels: usize, device: &B::Device) -> Tensor<B, 3> {
    let values: Vec<f32> = scenes.iter().flat_map(|one| one.latents.iter().copied()).collect();
    let tokens = values.len() / scenes.len() / channels;
    Tensor::from_data(TensorData::new(values, [scenes.len(), tokens, channels]), device)
}

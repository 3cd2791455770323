//! What a family of models contributes to a training. Everything else is the same for all of them.

use std::collections::BTreeMap;

use burn::{
    module::{AutodiffModule, Module},
    optim::GradientsParams,
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};
use rand_chacha::ChaCha20Rng;

use super::{bucketing::Frame, layers::TrainedLayers, memory::MemoryEstimate, spec::TrainingSpec};
use crate::{
    error::Result,
    image::Picture,
    lora::{Adapter, Layout, LowRankPair, inject::Adaptable},
    progress::Sink,
    render::{RenderRequest, Rendered},
};

/// Pictures of one size and what their loss is computed at. Latents, noise and texts are one row a picture, in an order that
/// is the family's own.
pub struct Batch<B: Backend> {
    /// `[batch, values]`.
    pub latents: Tensor<B, 2>,
    /// Noise of variance one, `[batch, values]`.
    pub noise: Tensor<B, 2>,
    /// The time of each picture, as the family counts time.
    pub times: Vec<f32>,
    /// `[batch, values]`.
    pub texts: Tensor<B, 2>,
    /// What each picture shows of the one that it was cut from.
    pub frames: Vec<Frame>,
    /// Rows and columns of the latents.
    pub grid: (usize, usize),
}

/// A pipeline whose network LoRAs are trained on. `B` is the backend with gradients; the pipeline is on the one without.
pub trait Trainable<B: AutodiffBackend>: Sync {
    /// The network, with gradients.
    type Network: AutodiffModule<B, InnerModule = Self::Frozen> + Adaptable<B> + Sync;
    /// The network as it renders.
    type Frozen: Module<B::InnerBackend> + Adaptable<B::InnerBackend>;
    /// The prompts of a request, encoded.
    type Texts: Clone;

    /// Where it is.
    fn device(&self) -> &B::Device;

    /// The network that is trained.
    fn network(&self) -> &Self::Frozen;

    /// Whether a linear layer of the network is one of those that get a pair.
    fn is_trained(layer: &str, layers: TrainedLayers) -> bool;

    /// Estimates what a training takes beside the model's weights, on a device that has so many bytes left.
    fn memory(&self, spec: &TrainingSpec, available: Option<u64>) -> MemoryEstimate;

    /// Pixels of which the pictures' edges are multiples.
    fn bucket_step(&self) -> u32;

    /// Latents of a picture, `[1, values]`, and their rows and columns.
    fn encode_picture(&self, picture: &Picture) -> (Tensor<B::InnerBackend, 2>, (usize, usize));

    /// In how many chunks the longest of some prompts is encoded. Texts of as many chunks are of one length, so that they fit
    /// into one batch.
    ///
    /// # Errors
    /// When a tokenizer fails on one of them.
    fn text_chunks(&self, prompts: &[&str]) -> Result<usize>;

    /// A prompt as the network sees it, in so many chunks, `[1, values]`.
    ///
    /// # Errors
    /// When a tokenizer fails on it.
    fn encode_text(&self, prompt: &str, chunks: usize) -> Result<Tensor<B::InnerBackend, 2>>;

    /// What the network sees where there is no prompt, in so many chunks, `[1, values]`.
    ///
    /// # Errors
    /// When a tokenizer fails.
    fn encode_no_text(&self, chunks: usize) -> Result<Tensor<B::InnerBackend, 2>>;

    /// The prompts of a request, to be rendered by [`Self::render_with`].
    ///
    /// # Errors
    /// When a tokenizer fails on one of them.
    fn texts(&self, request: &RenderRequest) -> Result<Self::Texts>;

    /// Lets the text encoders go, and whatever the pipeline keeps of LoRAs that were used last. Whoever encodes a text next has them
    /// loaded again.
    fn release_text_encoders(&self);

    /// How many numbers the text encoders have, as far as they are loaded.
    fn text_encoder_numbers(&self) -> usize;

    /// Whether some pictures are learnt without their prompt, so that both sides of the guidance learn.
    fn leaves_prompts_out(&self) -> bool;

    /// Draws the times of so many pictures of a step.
    fn draw_times(&self, random: &mut ChaCha20Rng, count: usize) -> Vec<f32>;

    /// So many times, evenly over all.
    fn even_times(&self, count: u32) -> Vec<f32>;

    /// Mean loss of a batch, `[1]`, to be learnt from.
    fn loss(&self, network: &Self::Network, batch: Batch<B>) -> Tensor<B, 1>;

    /// Mean loss of a batch, times a weight, and its gradients, with [checkpoints](crate::nn::chain).
    fn checkpointed_gradients(&self, network: &Self::Network, batch: Batch<B>, weight: f64) -> (f32, GradientsParams);

    /// Mean loss of a batch, `[1]`, to be measured.
    fn loss_without_gradients(
        &self,
        network: &Self::Frozen,
        batch: Batch<B::InnerBackend>,
    ) -> Tensor<B::InnerBackend, 1>;

    /// Renders a request, whose prompts were encoded, with this network in place of the pipeline's own.
    ///
    /// # Errors
    /// Those of rendering.
    fn render_with(
        &self,
        network: Self::Frozen,
        texts: Self::Texts,
        request: &RenderRequest,
        sink: &mut dyn Sink,
    ) -> Result<Vec<Rendered>>;

    /// Pairs under the names of the network's layers as a LoRA of the family, and the layout that it is written in.
    fn adapter(&self, pairs: BTreeMap<String, LowRankPair>, metadata: BTreeMap<String, String>) -> (Adapter, Layout);

    /// The pairs of a LoRA of the family that a training goes on from, under the names of the network's layers.
    fn pairs_of(&self, adapter: Adapter) -> BTreeMap<String, LowRankPair>;
}

//! FLUX.2 in a training: rectified flow of packed latents.

use std::collections::BTreeMap;

use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{
        DType, Tensor, TensorData,
        backend::{AutodiffBackend, Backend},
    },
};
use rand_chacha::ChaCha20Rng;

use super::{
    layers::TrainedLayers,
    loss::{FlowTask, GUIDANCE, flow_task, logit_normal_times, mean_squared_error, rectified_flow},
    memory::{KEPT_A_FEATURE, Kept, MemoryEstimate, NUMBER, OF_OPTIMISER, kept_number, kept_scores},
    spec::TrainingSpec,
    trainable::{Batch, Trainable},
};
use crate::{
    error::Result,
    flux2::{
        latents::to_tokens,
        links::ChainConstants,
        pipeline::{Flux2Pipeline, Texts},
        position,
        transformer::Flux2Transformer,
    },
    image::Picture,
    lora::{Adapter, Layout, LowRankPair},
    nn::chain::{self, Constants},
    progress::Sink,
    render::{RenderRequest, Rendered},
    starter::pictures::to_tensor,
};

/// Mean of the normal distribution whose logistic function the times are.
const TIME_MEAN: f64 = 0.4;

/// The layer by whose width programs tell FLUX.2 from FLUX.1; it is always trained.
const TELLING_LAYER: &str = "transformer_blocks.0.ff.linear_in";

/// Tokens of a prompt, at most.
const LONGEST_PROMPT: u64 = 512;

impl<B: AutodiffBackend> Trainable<B> for Flux2Pipeline<B::InnerBackend> {
    type Network = Flux2Transformer<B>;
    type Frozen = Flux2Transformer<B::InnerBackend>;
    type Texts = Texts<B::InnerBackend>;

    fn device(&self) -> &B::Device {
        &self.device
    }

    fn network(&self) -> &Self::Frozen {
        &self.transformer
    }

    fn is_trained(layer: &str, layers: TrainedLayers) -> bool {
        is_trained(layer, layers)
    }

    fn memory(&self, spec: &TrainingSpec, available: Option<u64>) -> MemoryEstimate {
        let configs = &self.configs;
        let (hidden, context) = (configs.transformer.hidden() as u64, configs.transformer.joint_attention_dim as u64);
        let resolution = u64::from(spec.resolution.unwrap_or(configs.native_size));
        let picture_tokens = (resolution / u64::from(configs.size_multiple().max(1))).pow(2);
        let tokens = picture_tokens + LONGEST_PROMPT;
        let blocks = (configs.transformer.num_layers + configs.transformer.num_single_layers) as u64;
        // Features in and out of a block's linear layers together are about 24 times its width.
        let adapters = blocks * u64::from(spec.rank) * 24 * hidden * NUMBER * OF_OPTIMISER;
        let scores = configs.transformer.num_attention_heads as u64 * tokens * tokens;
        let kept_scores = kept_scores::<B>(&self.device, scores, configs.transformer.attention_head_dim);
        let block = tokens * hidden * KEPT_A_FEATURE + kept_scores;
        let a_number = u64::from(spec.batch_size) * kept_number::<B>();
        let kept =
            Kept { whole: blocks * block * a_number, checkpointed: (blocks * tokens * hidden + block) * a_number };
        let pictures = spec.pictures.len() as u64;
        let cache = pictures * u64::from(spec.repeats) * picture_tokens * 128 * NUMBER
            + (pictures + 1) * LONGEST_PROMPT * context * NUMBER;
        MemoryEstimate::of(adapters, kept, cache, available, spec.checkpointing)
    }

    fn bucket_step(&self) -> u32 {
        self.configs.size_multiple()
    }

    /// Tokens one after another.
    fn encode_picture(&self, picture: &Picture) -> (Tensor<B::InnerBackend, 2>, (usize, usize)) {
        let packed = self.autoencoder.encode_packed(to_tensor::<B::InnerBackend>([picture], &self.device));
        let [_, channels, rows, columns] = packed.dims();
        (to_tokens(packed).reshape([1, rows * columns * channels]), (rows, columns))
    }

    /// Its text encoders take in long prompts as a whole, and all are padded to one length.
    fn text_chunks(&self, _prompts: &[&str]) -> Result<usize> {
        Ok(1)
    }

    /// Tokens of the context one after another.
    fn encode_text(&self, prompt: &str, _chunks: usize) -> Result<Tensor<B::InnerBackend, 2>> {
        let context = self.encode_prompts(&[prompt])?;
        let [_, tokens, width] = context.dims();
        Ok(context.reshape([1, tokens * width]))
    }

    fn encode_no_text(&self, chunks: usize) -> Result<Tensor<B::InnerBackend, 2>> {
        Trainable::<B>::encode_text(self, "", chunks)
    }

    fn texts(&self, request: &RenderRequest) -> Result<Self::Texts> {
        self.texts(request)
    }

    fn release_text_encoders(&self) {
        self.text_encoder.release();
        self.adapted.forget();
    }

    fn text_encoder_numbers(&self) -> usize {
        self.text_encoder.if_loaded().map_or(0, |encoder| encoder.num_params())
    }

    fn leaves_prompts_out(&self) -> bool {
        self.configs.is_guided_freely()
    }

    /// From 0, the picture, to 1, the noise.
    fn draw_times(&self, random: &mut ChaCha20Rng, count: usize) -> Vec<f32> {
        logit_normal_times(random, count, TIME_MEAN)
    }

    fn even_times(&self, count: u32) -> Vec<f32> {
        (0..count).map(|time| (time as f32 + 0.5) / count as f32).collect()
    }

    fn loss(&self, network: &Flux2Transformer<B>, batch: Batch<B>) -> Tensor<B, 1> {
        self.flow_loss(network, batch)
    }

    fn checkpointed_gradients(
        &self,
        network: &Flux2Transformer<B>,
        batch: Batch<B>,
        weight: f64,
    ) -> (f32, GradientsParams) {
        let FlowBatch { picture, noise, time, context, positions } = self.flow_batch(batch);
        let FlowTask { noisy, velocity } = flow_task(picture, noise, &time);
        let text_tokens = context.dims()[1];
        let guidance = Tensor::full([1], GUIDANCE, (&time.device(), DType::F32));
        let first = network.before_chain(noisy, context, time, Some(guidance));
        let (text, picture) = &positions;
        let learning = ChainConstants { rotation: network.rotation(text, picture, &self.device), text_tokens };
        let frozen = ChainConstants { rotation: self.transformer.rotation(text, picture, &self.device), text_tokens };
        let constants = Constants { learning: &learning, frozen: &frozen };
        chain::gradients(network, &constants, first, true, |passed| {
            mean_squared_error(network.after_chain(&passed, text_tokens), velocity).mul_scalar(weight)
        })
    }

    fn loss_without_gradients(
        &self,
        network: &Self::Frozen,
        batch: Batch<B::InnerBackend>,
    ) -> Tensor<B::InnerBackend, 1> {
        self.flow_loss(network, batch)
    }

    fn render_with(
        &self,
        network: Self::Frozen,
        texts: Self::Texts,
        request: &RenderRequest,
        sink: &mut dyn Sink,
    ) -> Result<Vec<Rendered>> {
        Self { transformer: network.into(), ..self.clone() }.render_texts(texts, request, sink)
    }

    fn adapter(&self, pairs: BTreeMap<String, LowRankPair>, metadata: BTreeMap<String, String>) -> (Adapter, Layout) {
        (Adapter::new(pairs, metadata), Layout::Bfl)
    }

    fn pairs_of(&self, adapter: Adapter) -> BTreeMap<String, LowRankPair> {
        adapter.targets
    }
}

/// Whether a layer of the transformer is one of those that are trained. Never the last normalisation's, whose halves
/// converters disagree on, and not what embeds the time.
pub(super) fn is_trained(layer: &str, layers: TrainedLayers) -> bool {
    let outer = ["x_embedder", "context_embedder", "proj_out", "modulation"];
    let is_in_block = layer.starts_with("transformer_blocks.") || layer.starts_with("single_transformer_blocks.");
    match layers {
        TrainedLayers::All => is_in_block || outer.iter().any(|part| layer.contains(part)),
        TrainedLayers::Blocks => is_in_block,
        TrainedLayers::Attention => is_in_block && layer.contains(".attn.") || layer == TELLING_LAYER,
    }
}

impl<P: Backend> Flux2Pipeline<P> {
    /// The loss of a batch, on whatever backend the transformer is.
    fn flow_loss<B: Backend>(&self, transformer: &Flux2Transformer<B>, batch: Batch<B>) -> Tensor<B, 1> {
        let FlowBatch { picture, noise, time, context, positions: (text, tokens) } = self.flow_batch(batch);
        let rotation = transformer.rotation(&text, &tokens, &time.device());
        rectified_flow(transformer, picture, noise, time, context, GUIDANCE, &rotation)
    }

    /// A batch as the transformer sees it.
    fn flow_batch<B: Backend>(&self, batch: Batch<B>) -> FlowBatch<B> {
        let Batch { latents, noise, times, texts, grid: (rows, columns), .. } = batch;
        let ([count, values], [_, text_values]) = (latents.dims(), texts.dims());
        let shape = [count, rows * columns, values / (rows * columns)];
        let width = self.configs.transformer.joint_attention_dim;
        let text_tokens = text_values / width;
        FlowBatch {
            time: Tensor::from_data(TensorData::new(times, [count]), &latents.device()),
            picture: latents.reshape(shape),
            noise: noise.reshape(shape),
            context: texts.reshape([count, text_tokens, width]),
            positions: (position::text(text_tokens), position::picture(rows, columns, 0)),
        }
    }
}

/// A batch as the transformer sees it: see [`rectified_flow`].
struct FlowBatch<B: Backend> {
    picture: Tensor<B, 3>,
    noise: Tensor<B, 3>,
    time: Tensor<B, 1>,
    context: Tensor<B, 3>,
    /// Of the text and of the picture.
    positions: (Vec<[i64; 4]>, Vec<[i64; 4]>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_trained_can_be_read_by_everybody() {
        for layers in [TrainedLayers::All, TrainedLayers::Blocks, TrainedLayers::Attention] {
            assert!(is_trained("transformer_blocks.0.ff.linear_in", layers));
            assert!(is_trained("single_transformer_blocks.3.attn.to_out", layers));
            assert!(!is_trained("norm_out.linear", layers));
        }
    }
}

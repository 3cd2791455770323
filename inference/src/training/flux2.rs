//! FLUX.2 in a training: rectified flow of packed latents.

use std::collections::BTreeMap;

use burn::tensor::{
    Tensor, TensorData,
    backend::{AutodiffBackend, Backend},
};
use rand_chacha::ChaCha20Rng;

use super::{
    loss::{GUIDANCE, logit_normal_times, rectified_flow},
    memory::{KEPT_A_FEATURE, MemoryEstimate, NUMBER},
    spec::TrainingSpec,
    trainable::{Batch, Trainable},
};
use crate::{
    error::Result,
    flux2::{latents::to_tokens, pipeline::Flux2Pipeline, position, transformer::Flux2Transformer},
    image::Picture,
    lora::{Adapter, Layout, LowRankPair},
    progress::Sink,
    render::{RenderRequest, Rendered},
    starter::pictures::to_tensor,
};

/// Mean of the normal distribution whose logistic function the times are.
const TIME_MEAN: f64 = 0.4;

/// Tokens of a prompt, at most.
const LONGEST_PROMPT: u64 = 512;

impl<B: AutodiffBackend> Trainable<B> for Flux2Pipeline<B::InnerBackend> {
    type Network = Flux2Transformer<B>;
    type Frozen = Flux2Transformer<B::InnerBackend>;

    fn device(&self) -> &B::Device {
        &self.device
    }

    fn network(&self) -> &Self::Frozen {
        &self.transformer
    }

    /// Those of the blocks, and what leads into them and out of them. Never the last normalisation's, whose halves
    /// converters disagree on, and not what embeds the time.
    fn is_trained(layer: &str) -> bool {
        let outer = ["x_embedder", "context_embedder", "proj_out", "modulation"];
        layer.starts_with("transformer_blocks.")
            || layer.starts_with("single_transformer_blocks.")
            || outer.iter().any(|part| layer.contains(part))
    }

    fn memory(&self, spec: &TrainingSpec) -> MemoryEstimate {
        let configs = &self.configs;
        let (hidden, context) = (configs.transformer.hidden() as u64, configs.transformer.joint_attention_dim as u64);
        let resolution = u64::from(spec.resolution.unwrap_or(configs.native_size));
        let picture_tokens = (resolution / u64::from(configs.size_multiple().max(1))).pow(2);
        let tokens = picture_tokens + LONGEST_PROMPT;
        let blocks = (configs.transformer.num_layers + configs.transformer.num_single_layers) as u64;
        // Features in and out of a block's linear layers together are about 24 times its width. Weights, gradients, two
        // moments.
        let adapters = blocks * u64::from(spec.rank) * 24 * hidden * NUMBER * 4;
        // Scores of all heads: a head is 128 wide in the published models, never less than 16.
        let heads = (hidden / 128).max(1);
        let scores = 3 * heads * tokens * tokens;
        let activations = u64::from(spec.batch_size) * blocks * (tokens * hidden * KEPT_A_FEATURE + scores) * NUMBER;
        let pictures = spec.pictures.len() as u64;
        let cache = pictures * u64::from(spec.repeats) * picture_tokens * 128 * NUMBER
            + (pictures + 1) * LONGEST_PROMPT * context * NUMBER;
        MemoryEstimate::of(adapters, activations, cache)
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

    /// Tokens of the context one after another.
    fn encode_text(&self, prompt: &str) -> Result<Tensor<B::InnerBackend, 2>> {
        let context = self.encode_prompts(&[prompt])?;
        let [_, tokens, width] = context.dims();
        Ok(context.reshape([1, tokens * width]))
    }

    fn encode_no_text(&self) -> Result<Tensor<B::InnerBackend, 2>> {
        Trainable::<B>::encode_text(self, "")
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
        request: &RenderRequest,
        sink: &mut dyn Sink,
    ) -> Result<Vec<Rendered>> {
        Self { transformer: network, ..self.clone() }.render(request, sink)
    }

    fn adapter(&self, pairs: BTreeMap<String, LowRankPair>, metadata: BTreeMap<String, String>) -> (Adapter, Layout) {
        (Adapter::new(pairs, metadata), Layout::Bfl)
    }

    fn pairs_of(&self, adapter: Adapter) -> Result<BTreeMap<String, LowRankPair>> {
        Ok(adapter.targets)
    }
}

impl<P: Backend> Flux2Pipeline<P> {
    /// The loss of a batch, on whatever backend the transformer is.
    fn flow_loss<B: Backend>(&self, transformer: &Flux2Transformer<B>, batch: Batch<B>) -> Tensor<B, 1> {
        let Batch { latents, noise, times, texts, grid: (rows, columns), .. } = batch;
        let ([count, values], [_, text_values]) = (latents.dims(), texts.dims());
        let device = latents.device();
        let shape = [count, rows * columns, values / (rows * columns)];
        let width = self.configs.transformer.joint_attention_dim;
        let text_tokens = text_values / width;
        let time = Tensor::from_data(TensorData::new(times, [count]), &device);
        let rotation =
            transformer.rotation(&position::text(text_tokens), &position::picture(rows, columns, 0), &device);
        let context = texts.reshape([count, text_tokens, width]);
        rectified_flow(transformer, latents.reshape(shape), noise.reshape(shape), time, context, GUIDANCE, &rotation)
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::{Autodiff, Flex};

    use super::*;

    #[test]
    fn what_is_trained_can_be_read_by_everybody() {
        let is_trained = <Flux2Pipeline<Flex> as Trainable<Autodiff<Flex>>>::is_trained;
        assert!(is_trained("transformer_blocks.0.ff.linear_in"));
        assert!(is_trained("single_transformer_blocks.3.attn.to_out"));
        assert!(!is_trained("norm_out.linear"));
    }
}

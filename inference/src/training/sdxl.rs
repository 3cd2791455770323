//! SDXL and SDXL-Turbo in a training: prediction of noise, or of velocity, at the discrete times that the model was trained
//! at. As `diffusers/examples/dreambooth/train_dreambooth_lora_sdxl.py` and kohya's `sdxl_train_network.py` do; the text
//! encoders stay as they are.

use std::collections::BTreeMap;

use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{
        DType, Tensor, TensorData,
        backend::{AutodiffBackend, Backend},
    },
};
use rand::Rng;
use rand_chacha::ChaCha20Rng;

use super::{
    bucketing::Frame,
    layers::TrainedLayers,
    loss::{PredictionTask, mean_squared_error, noise_prediction, prediction_task},
    memory::{KEPT_A_FEATURE, Kept, MemoryEstimate, NUMBER, OF_OPTIMISER, kept_number, kept_scores},
    spec::TrainingSpec,
    trainable::{Batch, Trainable},
};
use crate::{
    error::Result,
    image::Picture,
    lora::{Adapter, Layout, LowRankPair},
    nn::chain::{self, Constants},
    progress::Sink,
    render::{RenderRequest, Rendered},
    sdxl::{
        conditioning::{SIZES, TextConditioning, sizes},
        config::UNetConfig,
        pipeline::{SdxlPipeline, Texts},
        text_context::TextContext,
        unet::{Conditions, UNet},
    },
    starter::pictures::to_tensor,
};

/// Edges of the pictures are multiples of so many latents: of 64 pixels, as in SDXL's own list of sizes (Podell et al.,
/// 2023, appendix I).
const BUCKET_LATENTS: u32 = 8;

/// The part of a pipeline that the trained layers belong to, as files name it.
const PART: &str = "unet.";

/// Layers on the way down for which the original numbering of a UNet's blocks, which kohya's names are made of, has room.
const NUMBERED_LAYERS: usize = 2;

/// Numbers that a residual block keeps for each place and each feature: two normalisations, activations and convolutions,
/// the time, the shortcut, and on the way up what is put beside the stream.
const KEPT_A_RESIDUAL_FEATURE: u64 = 16;

impl<B: AutodiffBackend> Trainable<B> for SdxlPipeline<B::InnerBackend> {
    type Network = UNet<B>;
    type Frozen = UNet<B::InnerBackend>;
    type Texts = Texts<B::InnerBackend>;

    fn device(&self) -> &B::Device {
        &self.device
    }

    fn network(&self) -> &Self::Frozen {
        &self.unet
    }

    fn is_trained(layer: &str, layers: TrainedLayers) -> bool {
        is_trained(layer, layers)
    }

    fn memory(&self, spec: &TrainingSpec, available: Option<u64>) -> MemoryEstimate {
        let configs = &self.configs;
        let captions: Vec<&str> = spec.pictures.iter().map(|picture| picture.caption.as_str()).collect();
        // What a tokenizer fails on is said when it is encoded.
        let chunks = self.chunks(&captions).unwrap_or(1);
        let (unet, text) = (&configs.unet, (self.tokenizer.longest() * chunks) as u64);
        let edge = u64::from(spec.resolution.unwrap_or(configs.native_size()) / configs.size_multiple().max(1));
        let adapters = OF_OPTIMISER * u64::from(spec.rank) * trained_features(unet) * NUMBER;
        let a_number = u64::from(spec.batch_size) * kept_number::<B>();
        let numbers = kept_numbers(unet, edge, text, |scores, width| kept_scores::<B>(&self.device, scores, width));
        let kept = Kept { whole: numbers.whole * a_number, checkpointed: numbers.checkpointed * a_number };
        let pictures = spec.pictures.len() as u64;
        let context = unet.cross_attention_dim as u64;
        let cache = pictures * u64::from(spec.repeats) * edge * edge * unet.in_channels as u64 * NUMBER
            + (pictures + 1) * (text * context + configs.text_encoder_2.projection_dim as u64) * NUMBER;
        MemoryEstimate::of(adapters, kept, cache, available, spec.checkpointing)
    }

    fn bucket_step(&self) -> u32 {
        self.configs.size_multiple() * BUCKET_LATENTS
    }

    /// Means of the latents, channel by channel.
    fn encode_picture(&self, picture: &Picture) -> (Tensor<B::InnerBackend, 2>, (usize, usize)) {
        let pixels = to_tensor::<B::InnerBackend>([picture], &self.device);
        let latents = self.autoencoder.encode(pixels, &self.configs.autoencoder);
        let [_, channels, rows, columns] = latents.dims();
        (latents.reshape([1, channels * rows * columns]), (rows, columns))
    }

    fn text_chunks(&self, prompts: &[&str]) -> Result<usize> {
        self.chunks(prompts)
    }

    /// Tokens of the context one after another, then the text as a whole: as prompts of any length are rendered.
    fn encode_text(&self, prompt: &str, chunks: usize) -> Result<Tensor<B::InnerBackend, 2>> {
        Ok(row(self.encode_in_chunks(prompt, chunks)?))
    }

    /// The same as stands for no prompt beside guidance: zeros, or an empty text, as the folder says.
    fn encode_no_text(&self, chunks: usize) -> Result<Tensor<B::InnerBackend, 2>> {
        let empty = self.encode_in_chunks("", chunks)?;
        Ok(row(if self.configs.force_zeros_for_empty_prompt { empty.zeros_like() } else { empty }))
    }

    fn texts(&self, request: &RenderRequest) -> Result<Self::Texts> {
        self.texts(request)
    }

    fn release_text_encoders(&self) {
        self.text_encoder.release();
        self.text_encoder_2.release();
        self.adapted.forget();
    }

    fn text_encoder_numbers(&self) -> usize {
        let encoders = [&self.text_encoder, &self.text_encoder_2];
        encoders.iter().filter_map(|encoder| encoder.if_loaded()).map(|encoder| encoder.num_params()).sum()
    }

    fn leaves_prompts_out(&self) -> bool {
        true
    }

    /// Numbers of the schedule that the model was trained with, each as likely as any other.
    fn draw_times(&self, random: &mut ChaCha20Rng, count: usize) -> Vec<f32> {
        let times = self.configs.scheduler.num_train_timesteps;
        (0..count).map(|_| random.random_range(0..times) as f32).collect()
    }

    fn even_times(&self, count: u32) -> Vec<f32> {
        let times = f64::from(self.configs.scheduler.num_train_timesteps);
        (0..count).map(|time| (times * (f64::from(time) + 0.5) / f64::from(count)).floor() as f32).collect()
    }

    fn loss(&self, network: &UNet<B>, batch: Batch<B>) -> Tensor<B, 1> {
        self.prediction_loss(network, batch)
    }

    fn checkpointed_gradients(&self, network: &UNet<B>, batch: Batch<B>, weight: f64) -> (f32, GradientsParams) {
        let UNetBatch { picture, noise, signal, conditions } = self.unet_batch(batch);
        let predicts = self.configs.scheduler.prediction();
        let PredictionTask { noisy, wanted } = prediction_task(picture, noise, &signal, predicts);
        let learning = network.chain_constants(&conditions);
        let frozen = self.unet.chain_constants(&conditions.without_gradients());
        let constants = Constants { learning: &learning, frozen: &frozen };
        // What comes before the first block is not trained.
        chain::gradients(network, &constants, network.before_chain(noisy), false, |passed| {
            mean_squared_error(network.after_chain(&passed), wanted).mul_scalar(weight)
        })
    }

    fn loss_without_gradients(
        &self,
        network: &Self::Frozen,
        batch: Batch<B::InnerBackend>,
    ) -> Tensor<B::InnerBackend, 1> {
        self.prediction_loss(network, batch)
    }

    fn render_with(
        &self,
        network: Self::Frozen,
        texts: Self::Texts,
        request: &RenderRequest,
        sink: &mut dyn Sink,
    ) -> Result<Vec<Rendered>> {
        Self { unet: network.into(), ..self.clone() }.render_texts(texts, request, sink)
    }

    /// kohya's names, which every program reads for SDXL; diffusers' for a UNet that has no original numbering.
    fn adapter(&self, pairs: BTreeMap<String, LowRankPair>, metadata: BTreeMap<String, String>) -> (Adapter, Layout) {
        let is_numbered = self.configs.unet.layers_per_block <= NUMBERED_LAYERS;
        let layout = if is_numbered { Layout::Kohya } else { Layout::Diffusers };
        let pairs = pairs.into_iter().map(|(layer, pair)| (format!("{PART}{layer}"), pair)).collect();
        (Adapter::of_sdxl(pairs, metadata), layout)
    }

    fn pairs_of(&self, adapter: Adapter) -> BTreeMap<String, LowRankPair> {
        let layer = |name: &str| name.strip_prefix(PART).unwrap_or(name).to_owned();
        adapter.targets.into_iter().map(|(name, pair)| (layer(&name), pair)).collect()
    }
}

/// Whether a layer of the UNet is one of those that are trained. All are those of the transformers, which kohya adapts where
/// nobody says otherwise: projections of attention, feed-forward layers, and what leads in and out.
fn is_trained(layer: &str, layers: TrainedLayers) -> bool {
    match layers {
        TrainedLayers::All => layer.contains("attentions."),
        TrainedLayers::Blocks => layer.contains(".transformer_blocks."),
        TrainedLayers::Attention => layer.contains(".attn1.") || layer.contains(".attn2."),
    }
}

/// Whether a module of a pipeline, its part before the path, is one of the layers that are trained.
pub(super) fn is_trained_module(module: &str, layers: TrainedLayers) -> bool {
    module.strip_prefix(PART).is_some_and(|layer| is_trained(layer, layers))
}

impl<P: Backend> SdxlPipeline<P> {
    /// The loss of a batch, on whatever backend the UNet is.
    fn prediction_loss<B: Backend>(&self, unet: &UNet<B>, batch: Batch<B>) -> Tensor<B, 1> {
        let UNetBatch { picture, noise, signal, conditions } = self.unet_batch(batch);
        noise_prediction(unet, picture, noise, &signal, self.configs.scheduler.prediction(), conditions)
    }

    /// A batch as the UNet sees it.
    fn unet_batch<B: Backend>(&self, batch: Batch<B>) -> UNetBatch<B> {
        let Batch { latents, noise, times, texts, frames, grid: (rows, columns) } = batch;
        let ([count, values], [_, text_values]) = (latents.dims(), texts.dims());
        let device = latents.device();
        let shape = [count, values / (rows * columns), rows, columns];
        let (width, pooled) = (self.configs.unet.cross_attention_dim, self.configs.text_encoder_2.projection_dim);
        let context = text_values - pooled;
        let scheduler = &self.configs.scheduler;
        let signal = scheduler.signal();
        let signal: Vec<f32> = times.iter().map(|time| signal[*time as usize]).collect();
        let frames: Vec<_> = frames.iter().map(size_conditioning).collect();
        let conditions = Conditions {
            times: Tensor::from_data(TensorData::new(times, [count]), (&device, DType::F32)),
            text: TextContext::of_one_look(texts.clone().narrow(1, 0, context).reshape([
                count,
                context / width,
                width,
            ])),
            pooled: texts.narrow(1, context, pooled),
            sizes: sizes(&frames, &device),
        };
        UNetBatch { picture: latents.reshape(shape), noise: noise.reshape(shape), signal, conditions }
    }
}

/// A batch as the UNet sees it: see [`noise_prediction`].
struct UNetBatch<B: Backend> {
    picture: Tensor<B, 4>,
    noise: Tensor<B, 4>,
    signal: Vec<f32>,
    conditions: Conditions<B>,
}

/// What SDXL is told of a view.
fn size_conditioning(frame: &Frame) -> [u32; SIZES] {
    let Frame { original, corner, target } = *frame;
    [original.0, original.1, corner.0, corner.1, target.0, target.1]
}

/// A text as one row, as it is cached.
pub(crate) fn row<B: Backend>(text: TextConditioning<B>) -> Tensor<B, 2> {
    let [batch, tokens, width] = text.context.dims();
    Tensor::cat(vec![text.context.reshape([batch, tokens * width]), text.pooled], 1)
}

/// Attentions of a level, each a transformer of some blocks.
fn attentions(config: &UNetConfig, level: usize) -> u64 {
    let down = if config.attends_down(level) { config.layers_per_block } else { 0 };
    let up = if config.attends_up(level) { config.layers_per_block + 1 } else { 0 };
    (down + up + usize::from(level + 1 == config.levels())) as u64
}

/// Features in and out of all trained layers.
fn trained_features(config: &UNetConfig) -> u64 {
    let context = config.cross_attention_dim as u64;
    let of_level = |level: usize| {
        let (width, depth) =
            (config.block_out_channels[level] as u64, config.transformer_layers_per_block.of(level) as u64);
        // Attention to itself has 8 widths in and out, to the text 6 and twice the context, the feed-forward part 14.
        attentions(config, level) * (4 * width + depth * (28 * width + 2 * context))
    };
    (0..config.levels()).map(of_level).sum()
}

/// Numbers that a picture of `edge` × `edge` latents and a text of so many tokens leave behind until their gradients are
/// there; `kept_scores` says how many are kept of so many scores of heads of a width.
fn kept_numbers(config: &UNetConfig, edge: u64, text: u64, kept_scores: impl Fn(u64, usize) -> u64) -> Kept {
    let last = config.levels() - 1;
    let of_level = |level: usize| {
        let width = config.block_out_channels[level] as u64;
        let places = (edge >> level).pow(2);
        let residual_blocks = 2 * config.layers_per_block as u64 + 1 + if level == last { 2 } else { 0 };
        let (heads, depth) = (config.attention_head_dim.of(level), config.transformer_layers_per_block.of(level));
        let scores = kept_scores(heads as u64 * places * (places + text), width as usize / heads);
        let residual = places * width * KEPT_A_RESIDUAL_FEATURE;
        let transformer = depth as u64 * (places * width * KEPT_A_FEATURE + scores);
        let attends = attentions(config, level);
        Level {
            whole: residual_blocks * residual + attends * transformer,
            // One more where the size changes.
            passed: (residual_blocks + 1) * places * width,
            link: residual + if attends > 0 { transformer } else { 0 },
        }
    };
    let levels: Vec<Level> = (0..=last).map(of_level).collect();
    let largest = levels.iter().map(|level| level.link).max().unwrap_or_default();
    Kept {
        whole: levels.iter().map(|level| level.whole).sum(),
        checkpointed: levels.iter().map(|level| level.passed).sum::<u64>() + largest,
    }
}

/// Numbers that a level keeps.
struct Level {
    /// Of all its blocks.
    whole: u64,
    /// Of what goes from block to block.
    passed: u64,
    /// Of a residual block and its attention.
    link: u64,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use burn::backend::Flex;

    use super::*;
    use crate::lora::inject::Adaptable;

    fn config(widths: [usize; 3], context: usize, layers: usize) -> UNetConfig {
        let config = serde_json::json!({
            "block_out_channels": widths, "layers_per_block": layers, "cross_attention_dim": context,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            "transformer_layers_per_block": [1, 2, 10], "attention_head_dim": [5, 10, 20], "norm_num_groups": 5,
            "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
            "addition_embed_type": "text_time", "use_linear_projection": true,
        });
        serde_json::from_value(config).expect("a configuration")
    }

    /// SDXL as it was published.
    fn published() -> UNetConfig {
        config([320, 640, 1280], 2048, 2)
    }

    #[test]
    fn what_a_training_keeps_grows_with_its_pictures() {
        let kept = |edge: u64| kept_numbers(&published(), edge, 77, |scores, _| 3 * scores);
        let readable = |numbers: u64| numbers as f64 * 4.0 / f64::from(1 << 30);
        let gibibytes = |edge: u64| readable(kept(edge).whole);
        // Attention keeps its scores, 70 blocks of them: a card of 80 GB has room at 1024 pixels.
        assert!((30.0..75.0).contains(&gibibytes(128)), "{}", gibibytes(128));
        assert!(gibibytes(64) < gibibytes(128) / 4.0);
        let checkpointed = readable(kept(128).checkpointed);
        assert!((1.0..8.0).contains(&checkpointed), "{checkpointed}");
    }

    #[test]
    fn what_is_trained_is_counted_and_called_what_other_programs_call_it() {
        let narrow = config([10, 20, 40], 24, 2);
        let mut unet = UNet::<Flex>::new(&narrow, &Default::default());
        let layers = unet.linear_layers();
        let trained: Vec<_> = layers.iter().filter(|(name, _)| is_trained(name, TrainedLayers::All)).collect();
        let features = trained.iter().map(|(_, layer)| layer.features()).map(|(inputs, outputs)| inputs + outputs);
        assert_eq!(features.sum::<usize>() as u64, trained_features(&narrow));
        // 11 transformers with two projections each, and 70 blocks with 10 layers each.
        assert_eq!(trained.len(), 722);
        let ends: BTreeSet<&str> = trained.iter().map(|(name, _)| name.rsplit_once('.').expect("a path").1).collect();
        assert_eq!(ends, BTreeSet::from(["0", "2", "proj", "proj_in", "proj_out", "to_k", "to_q", "to_v"]));
        for outside in ["time_embedding.linear_1", "up_blocks.0.resnets.0.time_emb_proj"] {
            assert!(!is_trained(outside, TrainedLayers::All), "{outside}");
        }
    }
}

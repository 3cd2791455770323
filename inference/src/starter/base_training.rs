//! Trains the starter model's transformer and text encoder together, from drawn scenes and their captions. Where the backend
//! computes in half precision, the weights and what the optimisers know are kept in full (Micikevicius et al., "Mixed Precision
//! Training", 2018).

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use burn::{
    backend::{Flex, flex::FlexDevice},
    module::{AutodiffModule, Module, ModuleMapper, Param},
    optim::{AdamW, AdamWConfig, GradientsParams, Muon, MuonConfig, Optimizer, adaptor::OptimizerAdaptor},
    record::{BinFileRecorder, FullPrecisionSettings, Recorder},
    tensor::{
        DType, Element, ElementConversion, Tensor,
        backend::{AutodiffBackend, Backend},
    },
};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use super::configuration::transformer_config;
use super::{
    configuration::write_frame,
    encoded_scenes::EncodedScenes,
    learner::{Learner, Lesson, gradients, inner_matrices},
    parts, samples,
    tokenizer::PROMPT_LENGTH,
    weight_average::WeightAverage,
};
use crate::{
    error::{Error, Result},
    flux2::{autoencoder::Autoencoder, configs::Configs, pipeline::Flux2Pipeline, transformer::Flux2Transformer},
    lora::{adapted::LastAdapted, shelf::Shelf},
    text::{decoder::Decoder, tokenizer::Tokenizer},
    weights::{
        folder,
        module_file::{Stored, load, save},
        on_demand::OnDemand,
    },
};

/// How the model is trained.
#[derive(Clone, Debug)]
pub struct BaseTraining {
    /// Edges of its pictures, in pixels: a batch is of one of them, each by turns.
    pub sizes: Vec<u32>,
    /// Pictures a step.
    pub batch: usize,
    /// How many of them are new; the others are drawn from those seen before.
    pub fresh: usize,
    /// How long.
    pub time: Duration,
    /// Parts of a batch that are computed at the same time.
    pub parts: usize,
    /// Learning rate of embeddings, vectors and outer layers (AdamW, Loshchilov and Hutter, 2019) at its peak; that of the
    /// blocks' matrices (Muon, Jordan et al., 2024) is [`MATRIX_RATE`] times as large.
    pub learning_rate: f64,
    /// First seed; go on from another one when training goes on.
    pub first_seed: u64,
}

/// Learning rate of matrices over that of the rest.
const MATRIX_RATE: f64 = 8.0;

/// What stays of the averaged weights at a step.
const AVERAGE_KEEPS: f32 = 0.998;

/// How often weights and samples are written.
const SAVE_EVERY: Duration = Duration::from_secs(480);

/// Steps over which learning rates rise.
const WARM_UP: f64 = 100.0;

/// Share of the time after which learning rates fall, to a twentieth at the end.
const FALL_FROM: f64 = 0.55;

/// Where the weights lie in the model's folder.
const TRANSFORMER: &str = "transformer/diffusion_pytorch_model.safetensors";
const TEXT_ENCODER: &str = "text_encoder/model.safetensors";

/// The two optimisers.
struct Optimisers<B: AutodiffBackend> {
    matrices: OptimizerAdaptor<Muon<B::InnerBackend>, Learner<B>, B>,
    rest: OptimizerAdaptor<AdamW, Learner<B>, B>,
}

/// Everything that changes.
struct Progress<B: AutodiffBackend> {
    learner: Learner<B>,
    optimisers: Optimisers<B>,
    average: WeightAverage<B::InnerBackend>,
    step: u64,
}

type Records = BinFileRecorder<FullPrecisionSettings>;

/// Trains into a folder whose autoencoder is there already. Goes on from the checkpoint in `checkpoint` if there is one,
/// else from the weights in the folder if there are any, with optimisers that have seen nothing.
///
/// # Errors
/// When the autoencoder is missing or a folder cannot be written.
pub fn train<B: AutodiffBackend>(
    folder: &Path,
    checkpoint: &Path,
    training: &BaseTraining,
    device: &B::Device,
) -> Result<()> {
    write_frame(folder)?;
    let configs = Configs::read(folder)?;
    let tokenizer = Tokenizer::load(&folder.join("tokenizer"))?;
    let decoder = autoencoder::<B::InnerBackend>(folder, &configs, device)?;
    let encoder = autoencoder::<Flex>(folder, &configs, &FlexDevice)?;
    let mut now = Progress::<B>::begin(&configs, folder, checkpoint, device)?;
    let nothing = tokenizer.encode_chat("", PROMPT_LENGTH)?;
    let seed = training.first_seed + (now.step << 20);
    let begin = |(place, size): (u64, &u32)| {
        let grid = *size as usize / configs.size_multiple() as usize;
        // Far from each other: nothing is drawn for two of them.
        let source = (seed + (place << 34), training.fresh, *size);
        (grid, EncodedScenes::begin(encoder.clone(), tokenizer.clone(), PROMPT_LENGTH, source))
    };
    let mut scenes: Vec<_> = (0u64..).zip(&training.sizes).map(begin).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let pools = parts::pools(training.parts)?;
    let (started, mut saved, begun_at, mut losses) = (Instant::now(), Instant::now(), now.step, Vec::new());
    while started.elapsed() < training.time {
        let turn = now.step as usize % scenes.len().max(1);
        let Some((grid, scenes)) = scenes.get_mut(turn) else {
            return Err(Error::Input("There is no size to train at. Name one.".to_owned()));
        };
        let batch = scenes.batch(training.batch, &mut random)?;
        let lesson = Lesson { configs: &configs, nothing: &nothing, grid: *grid, seed: random.next_u64() };
        let (loss, gradients) = gradients(&now.learner, &batch, lesson, &pools, device)?;
        losses.push(loss);
        let share = started.elapsed().as_secs_f64() / training.time.as_secs_f64();
        now.advance(gradients, training.learning_rate * schedule(now.step - begun_at, share));
        if now.step.is_multiple_of(50) {
            let rate = (now.step - begun_at) as f64 * training.batch as f64 / started.elapsed().as_secs_f64();
            let loss: f32 = Tensor::cat(std::mem::take(&mut losses), 0).mean().into_scalar().elem();
            tracing::info!(step = now.step, loss = format!("{loss:.4}"), rate = format!("{rate:.1}/s"), "model");
        }
        if saved.elapsed() > SAVE_EVERY {
            now.save(folder, checkpoint, &configs, &decoder, device)?;
            saved = Instant::now();
        }
    }
    now.save(folder, checkpoint, &configs, &decoder, device)
}

/// The folder's autoencoder.
fn autoencoder<B: Backend>(folder: &Path, configs: &Configs, device: &B::Device) -> Result<Autoencoder<B>> {
    let drawn = Autoencoder::new(&configs.autoencoder, device);
    load::<B, _>(drawn, &folder::weight_files(&folder.join("vae"))?, |name| Some(name.to_owned()))
}

/// Rises over the first steps, stays, falls towards the end of the time.
fn schedule(step: u64, share: f64) -> f64 {
    let rise = (step as f64 / WARM_UP).min(1.0);
    let fall = ((1.0 - share) / (1.0 - FALL_FROM)).clamp(0.05, 1.0);
    rise * fall
}

/// Casts weights to a precision, whatever the backend's own is.
struct In(DType);

/// What weights are learnt in.
const FULL: DType = DType::F32;

impl<B: Backend> ModuleMapper<B> for In {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|weight| if weight.dtype() == self.0 { weight } else { weight.cast(self.0) })
    }
}

/// Casts weights to [`FULL`], and has them learnt.
pub(super) struct Learnt;

impl<B: AutodiffBackend> ModuleMapper<B> for Learnt {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|weight| Tensor::from_inner(weight.inner().cast(FULL)).require_grad())
    }
}

impl<B: AutodiffBackend> Progress<B> {
    fn begin(configs: &Configs, folder: &Path, checkpoint: &Path, device: &B::Device) -> Result<Self> {
        let mut learner = Learner::<B> {
            transformer: Flux2Transformer::new(&configs.transformer, device),
            text_encoder: Decoder::new(&configs.text_encoder.decoder(), device),
        };
        let mut optimisers = Optimisers {
            matrices: MuonConfig::new().init::<B, Learner<B>>(),
            rest: AdamWConfig::new().with_weight_decay(1e-3).with_beta_2(0.99).init::<B, Learner<B>>(),
        };
        let (mut step, mut average) = (0, WeightAverage::default());
        let step_file = checkpoint.join("step.json");
        if step_file.exists() {
            // Records are read in the backend's own precision.
            if <B::FloatElem as Element>::dtype() != FULL {
                return Err(Error::Input(format!(
                    "`{}` holds a checkpoint, which is gone on from in f32 alone. Train in f32, or remove it to go on from the \
                     weights in the folder, with optimisers that have seen nothing.",
                    checkpoint.display()
                )));
            }
            step = folder::read_json(&step_file)?;
            let records = Records::new();
            let unreadable =
                |error| Error::Weights(format!("The checkpoint `{}` cannot be read: {error}.", checkpoint.display()));
            learner = learner.load_record(records.load(checkpoint.join("weights"), device).map_err(unreadable)?);
            let (matrices, rest) = (checkpoint.join("matrices"), checkpoint.join("rest"));
            optimisers.matrices = optimisers.matrices.load_record(records.load(matrices, device).map_err(unreadable)?);
            optimisers.rest = optimisers.rest.load_record(records.load(rest, device).map_err(unreadable)?);
            let averaged =
                learner.valid().load_record(records.load(checkpoint.join("average"), device).map_err(unreadable)?);
            average.resume(&averaged);
        } else if folder.join(TRANSFORMER).exists() && folder.join(TEXT_ENCODER).exists() {
            let keep = |name: &str| Some(name.to_owned());
            learner.transformer = load::<B, _>(learner.transformer, &[folder.join(TRANSFORMER)], keep)?;
            learner.text_encoder = load::<B, _>(learner.text_encoder, &[folder.join(TEXT_ENCODER)], keep)?;
            average.resume(&learner.valid().map(&mut In(FULL)));
        }
        let learner = learner.map(&mut Learnt);
        Ok(Self { learner, optimisers, average, step })
    }

    /// One step down the gradients.
    fn advance(&mut self, gradients: GradientsParams, rate: f64) {
        let (mut matrices, mut rest) = (GradientsParams::new(), gradients);
        for id in inner_matrices(&self.learner) {
            if let Some(gradient) = rest.remove::<B::InnerBackend, 2>(id) {
                matrices.register::<B::InnerBackend, 2>(id, gradient);
            }
        }
        let learner = self.optimisers.matrices.step(rate * MATRIX_RATE, self.learner.clone(), matrices);
        self.learner = self.optimisers.rest.step(rate, learner, rest);
        self.average.update(&self.learner.valid(), AVERAGE_KEEPS);
        self.step += 1;
    }

    /// Writes the checkpoint, the averaged weights in half precision, and a sheet of samples beside the folder.
    fn save(
        &self,
        folder: &Path,
        checkpoint: &Path,
        configs: &Configs,
        autoencoder: &Autoencoder<B::InnerBackend>,
        device: &B::Device,
    ) -> Result<()> {
        std::fs::create_dir_all(checkpoint).map_err(Error::io(checkpoint))?;
        let learnt = self.average.apply(self.learner.valid());
        let records = Records::new();
        let failed =
            |error| Error::Weights(format!("The checkpoint `{}` cannot be written: {error}.", checkpoint.display()));
        records.record(self.learner.clone().into_record(), checkpoint.join("weights")).map_err(failed)?;
        records.record(self.optimisers.matrices.to_record(), checkpoint.join("matrices")).map_err(failed)?;
        records.record(self.optimisers.rest.to_record(), checkpoint.join("rest")).map_err(failed)?;
        records.record(learnt.clone().into_record(), checkpoint.join("average")).map_err(failed)?;
        let step_file = checkpoint.join("step.json");
        std::fs::write(&step_file, self.step.to_string()).map_err(Error::io(&step_file))?;
        let file = folder.join(TRANSFORMER);
        save::<B::InnerBackend, _>(&learnt.transformer, &file, Stored::F16, BTreeMap::new())?;
        save::<B::InnerBackend, _>(&learnt.text_encoder, &folder.join(TEXT_ENCODER), Stored::F16, BTreeMap::new())?;
        let learnt = learnt.map(&mut In(<B::FloatElem as Element>::dtype()));
        let pipeline = Flux2Pipeline::<B::InnerBackend> {
            tokenizer: Tokenizer::load(&folder.join("tokenizer"))?,
            text_layers: configs.text_layers(),
            text_encoder: OnDemand::kept(learnt.text_encoder.into()),
            transformer: learnt.transformer.into(),
            autoencoder: autoencoder.clone().into(),
            scheduler: configs.scheduler.clone(),
            configs: configs.clone(),
            prompt_length: PROMPT_LENGTH,
            shelf: Shelf::default(),
            adapted: LastAdapted::default(),
            device: device.clone(),
        };
        let sheet = checkpoint.join(format!("samples-{:06}.png", self.step));
        std::fs::write(&sheet, samples::sheet(&pipeline)?.encode_png(&[])).map_err(Error::io(&sheet))
    }
}

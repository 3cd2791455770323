//! A training from beginning to end: cache, epochs, checkpoints, samples, report.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use burn::{
    module::AutodiffModule,
    tensor::{Element, backend::AutodiffBackend},
};

use super::{
    cache::Cache,
    checkpoint::{self, State},
    continued::read_continued,
    dataset,
    memory::MemoryEstimate,
    spec::{TrainingReport, TrainingSpec},
    trainable::Trainable,
    trainer::{Step, Trainer, batches, first_pairs},
    validation,
};
use crate::{
    device::is_processor,
    error::{Error, Result},
    lora::{
        self, AdapterFacts, Base, LowRankPair, fits,
        inject::{self, Adaptable},
        metadata,
    },
    model::ModelFacts,
    progress::{Control, EpochOutput, Progress, Sink},
    render::RenderRequest,
};

/// Within an epoch a checkpoint is written after so long.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(60);

/// Layers that a base model is told by, and weights of each.
const TELLING_LAYERS: usize = 16;
const TELLING_WEIGHTS: usize = 8;

/// Trains.
///
/// # Errors
/// As [`Model::train`](crate::Model::train).
pub fn run<B: AutodiffBackend, P: Trainable<B>>(
    pipeline: &P,
    spec: &TrainingSpec,
    facts: &ModelFacts,
    memory_left: Option<u64>,
    sink: &mut dyn Sink,
) -> Result<TrainingReport> {
    let estimate = memory(pipeline, spec, memory_left);
    estimate.check()?;
    let (pairs, network_arguments) = match &spec.init_lora {
        Some(path) => continued_pairs::<B, P>(pipeline, path, facts)?,
        None => (first_pairs::<B, P>(pipeline, spec), Some(metadata::network_arguments(&spec.layers.to_string()))),
    };
    let trainer = Trainer::<B, P>::new(pipeline, &pairs, spec)?;
    std::fs::create_dir_all(&spec.directory).map_err(Error::io(&spec.directory))?;
    let fingerprint = spec.fingerprint(&some_weights::<B, P>(pipeline))?;
    let resumed = checkpoint::load(&spec.directory, &fingerprint)?;
    tell(sink, &Progress::Preparing { what: "the pictures".to_owned() })?;
    let examples = dataset::read(spec)?;
    let (learnt, held_out) = dataset::split(examples.iter().map(|example| &example.picture), spec.validation_share);
    let pick = |numbers: &[usize]| numbers.iter().map(|number| &examples[*number]).collect::<Vec<_>>();
    let resolution = spec.resolution.unwrap_or(facts.native_width);
    let cache = Cache::fill::<B, P>(pipeline, spec, resolution, (&pick(&learnt), &pick(&held_out)), sink)?;
    let samples = samples::<B, P>(pipeline, spec, facts)?;
    // Nothing is encoded any more.
    pipeline.release_text_encoders();
    B::memory_cleanup(pipeline.device());
    let mut run = Run {
        pipeline,
        spec,
        facts,
        cache,
        samples,
        trainer,
        network_arguments,
        state: State::default(),
        pictures: learnt.len(),
        started: Instant::now(),
    };
    match resumed {
        Some((state, tensors)) => {
            run.trainer.optimiser.resume(&mut run.trainer.network, &tensors, state.step, pipeline.device());
            run.state = state;
            for output in &run.state.epochs {
                sink.epoch(output)?;
            }
        }
        None => {
            let base_loss = validation::loss::<B, P>(pipeline, pipeline.network(), &run.cache);
            run.state = State { fingerprint, base_loss, checkpointing: estimate.checkpointing, ..State::default() };
        }
    }
    // A training that goes on computes as it did: the last bits may depend on it.
    run.trainer.checkpointing = run.state.checkpointing;
    run.go_through(sink)
}

/// Estimates what a training takes on a device that has so many bytes left: those of the text encoders are free by then. Where they lie in
/// mapped files, as on the processor, they count as free already.
pub(super) fn memory<B: AutodiffBackend, P: Trainable<B>>(
    pipeline: &P,
    spec: &TrainingSpec,
    left: Option<u64>,
) -> MemoryEstimate {
    let in_files = is_processor::<B>(pipeline.device());
    let released =
        if in_files { 0 } else { pipeline.text_encoder_numbers() * <B::FloatElem as Element>::dtype().size() };
    pipeline.memory(spec, left.map(|left| left + released as u64))
}

/// What every epoch is shown by: a request for each sample prompt, with its prompts encoded.
fn samples<B: AutodiffBackend, P: Trainable<B>>(
    pipeline: &P,
    spec: &TrainingSpec,
    facts: &ModelFacts,
) -> Result<Vec<(P::Texts, RenderRequest)>> {
    let requests = spec.sample_prompts.iter().map(|prompt| sample_request(spec, facts, prompt));
    requests.map(|request| Ok((pipeline.texts(&request)?, request))).collect()
}

/// The pairs of a LoRA that the training goes on from, and what its header says that they were made with.
fn continued_pairs<B: AutodiffBackend, P: Trainable<B>>(
    pipeline: &P,
    path: &Path,
    facts: &ModelFacts,
) -> Result<(BTreeMap<String, LowRankPair>, Option<String>)> {
    let adapter = read_continued(path)?;
    let AdapterFacts { family, hidden_width, context_width, .. } = adapter.facts;
    let lora = Base { family: family.name(), hidden_width, context_width };
    let model = Base { family: &facts.family, hidden_width: facts.hidden_width, context_width: facts.context_width };
    fits(lora, model)?;
    let network_arguments = adapter.metadata.get(metadata::NETWORK_ARGUMENTS).cloned();
    Ok((pipeline.pairs_of(adapter), network_arguments))
}

/// What tells a base model from others of the same shape: a few weights of layers in every depth.
fn some_weights<B: AutodiffBackend, P: Trainable<B>>(pipeline: &P) -> Vec<f32> {
    let mut network = pipeline.network().clone();
    let layers = network.linear_layers();
    let every = layers.len().div_ceil(TELLING_LAYERS).max(1);
    let weights = layers.values().step_by(every).flat_map(|layer| {
        let (inputs, _) = layer.features();
        let weights = layer.weight.val().slice([0..1, 0..inputs.min(TELLING_WEIGHTS)]);
        weights.into_data().iter::<f32>().collect::<Vec<_>>()
    });
    weights.collect()
}

/// Reports a step and hears whether to go on.
fn tell(sink: &mut dyn Sink, progress: &Progress) -> Result<()> {
    match sink.report(progress) {
        Control::Continue => Ok(()),
        Control::Stop => Err(Error::Stopped),
    }
}

struct Run<'a, B: AutodiffBackend, P: Trainable<B>> {
    pipeline: &'a P,
    spec: &'a TrainingSpec,
    facts: &'a ModelFacts,
    cache: Cache<B::InnerBackend>,
    /// What every epoch is shown by.
    samples: Vec<(P::Texts, RenderRequest)>,
    trainer: Trainer<'a, B, P>,
    /// What the pairs were made with, as a header says it.
    network_arguments: Option<String>,
    state: State,
    pictures: usize,
    started: Instant,
}

impl<B: AutodiffBackend, P: Trainable<B>> Run<'_, B, P> {
    fn go_through(mut self, sink: &mut dyn Sink) -> Result<TrainingReport> {
        let earlier = self.state.seconds;
        for epoch in self.state.epochs.len() as u32..self.spec.epochs {
            self.epoch(epoch, earlier, sink)?;
        }
        let loss = |output: &EpochOutput| output.validation_loss.unwrap_or(output.training_loss);
        let best = self.state.epochs.iter().min_by(|a, b| loss(a).total_cmp(&loss(b)));
        let best = best.ok_or_else(|| Error::Input("The training has no epoch.".to_owned()))?;
        let first_loss = self.state.epochs.first().map_or(0.0, |output| output.training_loss);
        Ok(TrainingReport {
            steps: self.state.step,
            epochs: self.spec.epochs,
            validation_loss_base: self.state.base_loss.unwrap_or(first_loss),
            validation_loss: loss(best),
            best_epoch: best.epoch,
            seconds: earlier + self.started.elapsed().as_secs_f64(),
            epochs_output: self.state.epochs.clone(),
        })
    }

    /// One epoch (from 0), from wherever in it the state is.
    fn epoch(&mut self, epoch: u32, earlier: f64, sink: &mut dyn Sink) -> Result<()> {
        let batches = batches(&self.cache.learnt, self.spec, epoch);
        let (each, steps) = (batches.len() as u32, batches.len() as u32 * self.spec.epochs);
        let done = (self.state.step - epoch * each) as usize;
        let mut saved = Instant::now();
        for batch in &batches[done.min(batches.len())..] {
            let views: Vec<_> = batch.iter().map(|number| &self.cache.learnt[*number]).collect();
            let Step { loss, learning_rate, .. } = self.trainer.step(&self.cache, &views, (self.state.step, steps))?;
            if !loss.is_finite() {
                return Err(Error::Input(format!(
                    "The loss of step {} is not a number: the learning rate of {} is too high for this model. Try a tenth.",
                    self.state.step + 1,
                    self.spec.learning_rate
                )));
            }
            self.state.step += 1;
            self.state.loss_sum += loss;
            let (epoch, epochs, step) = (epoch + 1, self.spec.epochs, self.state.step);
            let heard = tell(sink, &Progress::Training { epoch, epochs, step, steps, loss, learning_rate });
            if heard.is_err() || saved.elapsed() > CHECKPOINT_AFTER {
                self.save_checkpoint(earlier)?;
                saved = Instant::now();
            }
            heard?;
        }
        self.finish_epoch(epoch + 1, each, earlier, sink)
    }

    /// Measures, renders samples, writes the adapter and the checkpoint. What an epoch leaves is the average of its weights and those before:
    /// from step to step they go to and fro.
    fn finish_epoch(&mut self, epoch: u32, steps: u32, earlier: f64, sink: &mut dyn Sink) -> Result<()> {
        let epochs = self.spec.epochs;
        let training_loss = self.state.loss_sum / steps as f32;
        let mut averaged = self.trainer.network.clone();
        self.trainer.optimiser.take_average(&mut averaged);
        let validation_loss = validation::loss::<B, P>(self.pipeline, &averaged.valid(), &self.cache);
        tell(sink, &Progress::EpochFinished { epoch, epochs, training_loss, validation_loss })?;
        let samples = self.samples(averaged.valid(), epoch, sink)?;
        tell(sink, &Progress::Saving { what: format!("epoch {epoch}") })?;
        let adapter = self.spec.directory.join(format!("epoch-{epoch:04}.safetensors"));
        self.save_adapter(&mut averaged, epoch, &adapter)?;
        let output = EpochOutput { epoch, adapter, training_loss, validation_loss, samples };
        self.state.epochs.push(output.clone());
        self.state.loss_sum = 0.0;
        self.save_checkpoint(earlier)?;
        sink.epoch(&output)
    }

    fn save_checkpoint(&mut self, earlier: f64) -> Result<()> {
        self.state.seconds = earlier + self.started.elapsed().as_secs_f64();
        let tensors = self.trainer.optimiser.tensors(&mut self.trainer.network);
        checkpoint::save(&self.spec.directory, &self.state, &tensors)
    }

    /// Renders the sample prompts, all from the same seed.
    fn samples(&self, mut network: P::Frozen, epoch: u32, sink: &mut dyn Sink) -> Result<Vec<PathBuf>> {
        for layer in network.linear_layers().into_values() {
            layer.adapters.iter_mut().for_each(|pair| pair.scale *= self.spec.samples_strength);
        }
        let total = self.samples.len() as u32;
        let mut files = Vec::with_capacity(self.samples.len());
        for ((texts, request), number) in self.samples.iter().zip(1..) {
            let sampling = Progress::Sampling { epoch, done: number - 1, total };
            let mut listening = Listening { sink: &mut *sink, sampling };
            let rendered = self.pipeline.render_with(network.clone(), texts.clone(), request, &mut listening)?;
            for one in rendered {
                let file = self.spec.directory.join(format!("epoch-{epoch:04}-sample-{number}.png"));
                write_whole(&file, &one.picture.encode_png(&[]))?;
                sink.preview(&one.picture);
                files.push(file);
            }
            tell(sink, &Progress::Sampling { epoch, done: number, total })?;
        }
        Ok(files)
    }

    fn save_adapter(&self, network: &mut P::Network, epoch: u32, file: &Path) -> Result<()> {
        let pairs: BTreeMap<String, LowRankPair> = inject::last_pairs(network);
        let title = self.spec.metadata.get("modelspec.title").map_or(self.spec.trigger_word.as_str(), String::as_str);
        let mut tags: BTreeMap<String, u64> = BTreeMap::new();
        for picture in &self.spec.pictures {
            for tag in picture.caption.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                *tags.entry(tag.to_owned()).or_default() += 1;
            }
        }
        let (mut adapter, layout) = self.pipeline.adapter(pairs, BTreeMap::new());
        let facts = metadata::TrainingFacts {
            title,
            trigger_word: &self.spec.trigger_word,
            // The adapter's own: one that was gone on from keeps them.
            rank: adapter.rank(),
            alpha: adapter.alpha(),
            network_arguments: self.network_arguments.as_deref().unwrap_or_default(),
            pictures: self.pictures,
            steps: self.state.step,
            epoch,
            learning_rate: self.spec.learning_rate,
            resolution: self.spec.resolution.unwrap_or(self.facts.native_width),
            tags: &tags,
        };
        let mut header = self.spec.metadata.clone();
        header.extend(metadata::of_training(&facts));
        adapter.metadata = header;
        lora::save::save(&adapter, layout, file)
    }
}

/// The request of a sample picture.
fn sample_request(spec: &TrainingSpec, facts: &ModelFacts, prompt: &str) -> RenderRequest {
    RenderRequest {
        prompt: prompt.to_owned(),
        negative_prompt: String::new(),
        width: facts.native_width,
        height: facts.native_height,
        steps: facts.default_steps,
        guidance: facts.default_guidance,
        seeds: vec![spec.sample_seed],
        loras: Vec::new(),
        merges_loras: false,
        preview_every: None,
        references: Vec::new(),
        start: None,
        size_conditioning: None,
    }
}

/// Asks at every step of a sample whether to stop; to the listener a sample is one thing.
struct Listening<'a> {
    sink: &'a mut dyn Sink,
    sampling: Progress,
}

impl Sink for Listening<'_> {
    fn report(&mut self, _rendering: &Progress) -> Control {
        self.sink.report(&self.sampling)
    }
}

/// Writes a file that appears whole or not at all.
fn write_whole(file: &Path, bytes: &[u8]) -> Result<()> {
    let partial = file.with_extension("partial");
    std::fs::write(&partial, bytes).map_err(Error::io(&partial))?;
    std::fs::rename(&partial, file).map_err(Error::io(file))
}

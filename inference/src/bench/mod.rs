//! How fast a model is on a device, stage by stage: text, each step, decoding, the PNG file, and steps of a training.
//! Weights come from a folder, or are drawn in the published sizes, so that a machine can be measured before anybody fetches
//! gigabytes.

mod memory;
mod operations;
mod published;
mod subject;
#[cfg(test)]
mod tests;
mod training;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use burn::tensor::{
    Distribution, Tensor,
    backend::{AutodiffBackend, Backend},
};
use serde::{Deserialize, Serialize};

use self::{
    memory::Needed,
    operations::Generation,
    subject::{Flux2Subject, Picture, SdxlSubject, Subject},
    training::Learning,
};
pub use self::{published::Architecture, training::TrainingFigures};
use crate::{
    device::{DeviceName, finish, is_processor},
    dtype::Precision,
    error::{Error, Result},
    lora::inject::Prepared,
    memory::{available, used_of_card},
    model::{self, Pipeline, Work},
    nn::{
        linear::Linear,
        recorded::{AFTER_ONE, AFTER_STEPS},
    },
    render::LONGEST_EDGE,
    training::trainable::Trainable,
};

/// Edge of the matrices whose product says what the processor can do at best.
const CALIBRATION: usize = 1024;

/// The same of a card, which a smaller product does not fill.
const CARD_CALIBRATION: usize = 8192;

/// Rank of the LoRAs that are drawn and trained.
const RANK: usize = 16;

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchSpec {
    /// The architecture, in its published size.
    pub architecture: Architecture,
    /// A folder with a model to measure instead of drawn weights.
    pub folder: Option<PathBuf>,
    /// Pixels across; the model's own without it.
    pub width: Option<u32>,
    /// Pixels down; the model's own without it.
    pub height: Option<u32>,
    /// Denoising steps, and steps of a training; the model's own number of the former without it.
    pub steps: Option<u32>,
    /// How many LoRAs of rank 16 lie beside the weights of every layer.
    pub loras: u32,
    /// Pictures a step of a training, which is measured before the rest; without it nothing is trained.
    pub training_batch: Option<u32>,
    /// How often everything is done, after once that does not count; on a card after a few times.
    pub repeats: u32,
    /// Where.
    pub device: DeviceName,
    /// In which numbers.
    pub precision: Precision,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    /// The architecture, or the folder.
    pub model: String,
    /// The device.
    pub device: String,
    /// The numbers that it computed in.
    pub dtype: Precision,
    /// Threads of the processor.
    pub threads: usize,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Denoising steps.
    pub steps: u32,
    /// LoRAs.
    pub loras: u32,
    /// Parameters of what denoises.
    pub parameters: usize,
    /// `text`, `step`, `decode`, `png`, and `total`: from token ids to the bytes of the file. Of a training `train_step`,
    /// and its parts `train_forward`, `train_backward` and `train_optimiser`.
    pub stages: BTreeMap<String, Stage>,
    /// The steps of `step` apart: the first, the second and so on of every picture.
    pub each_step: Vec<Stage>,
    /// Operations a second of a product of two square matrices in the same run, in units of 10^12.
    pub calibration_tflops: f64,
    /// Operations a second of a step over those of the calibration.
    pub share_of_calibration: f64,
    /// Milliseconds that it takes to lay LoRAs that are on the device beside the weights of a model that is loaded.
    pub lora_swap_ms: Option<f64>,
    /// By which share of itself a denoising step takes longer with the LoRAs than without: the median over pairs of steps,
    /// one with and one without, of pictures made by turns.
    pub lora_overhead: Option<f64>,
    /// What else there is to say of a training.
    pub training: Option<TrainingFigures>,
    /// The most memory that the process had in use, in bytes, where the system says it.
    pub peak_memory: Option<u64>,
    /// Memory of the card that is in use after it all, in bytes; none on the processor.
    pub card_memory: Option<u64>,
}

/// One stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Median, in milliseconds.
    pub median_ms: f64,
    /// 95th percentile, in milliseconds.
    pub p95_ms: f64,
    /// Operations a second at the median, in units of 10^12, where they are counted.
    pub tflops: Option<f64>,
}

/// Measures.
///
/// # Errors
/// When the device is missing, fails or does not compute in such numbers, the folder holds no model, the size is out of bounds, or
/// [`Error::Memory`] when what is asked for does not fit into what the device has left.
pub fn bench(spec: &BenchSpec) -> Result<BenchReport> {
    spec.device.check()?;
    bench_within(spec, available(&spec.device))
}

/// Measures on a device that has so many bytes left.
fn bench_within(spec: &BenchSpec, available: Option<u64>) -> Result<BenchReport> {
    if spec.repeats == 0 {
        return Err(Error::Input("Nothing is measured in 0 repeats; ask for at least one.".to_owned()));
    }
    if spec.steps == Some(0) {
        return Err(Error::Input("Nothing is measured in 0 steps; ask for at least one.".to_owned()));
    }
    if spec.training_batch == Some(0) {
        return Err(Error::Input("Nothing is learnt from batches of 0 pictures; ask for at least one.".to_owned()));
    }
    if let Some(edge) = [spec.width, spec.height].into_iter().flatten().find(|edge| *edge > LONGEST_EDGE) {
        return Err(Error::Input(format!("{edge} pixels are asked for; pictures have up to {LONGEST_EDGE} an edge.")));
    }
    model::on(&spec.device, spec.precision, Measuring { spec, available })
}

struct Measuring<'a> {
    spec: &'a BenchSpec,
    /// Bytes that the device has left; none where nobody says.
    available: Option<u64>,
}

impl Measuring<'_> {
    /// Bytes that the device has left beside the weights of a folder's model.
    ///
    /// # Errors
    /// [`Error::Memory`] when weights and pictures do not fit, and those of reading configurations.
    fn left_beside_weights<B: Backend>(&self, folder: &Path, device: &B::Device) -> Result<Option<u64>> {
        let needed = Needed::of::<B>(self.spec, folder, device)?;
        needed.check(self.available)?;
        Ok(self.available.map(|available| available.saturating_sub(needed.weights)))
    }
}

impl Work for Measuring<'_> {
    type Output = BenchReport;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<BenchReport> {
        let spec = self.spec;
        let (pipeline, left): (Pipeline<B::InnerBackend>, _) = match &spec.folder {
            Some(folder) => {
                let left = self.left_beside_weights::<B::InnerBackend>(folder, device)?;
                (Pipeline::load(folder, spec.precision, device)?, left)
            }
            None => {
                let frame = tempfile::tempdir().map_err(Error::io(&std::env::temp_dir()))?;
                published::write(spec.architecture, frame.path())?;
                let left = self.left_beside_weights::<B::InnerBackend>(frame.path(), device)?;
                <B::InnerBackend as Backend>::seed(device, 0);
                (Pipeline::drawn(frame.path(), spec.precision, device)?, left)
            }
        };
        match pipeline {
            Pipeline::Flux2(pipeline) => measure::<B, _>(spec, &Flux2Subject(*pipeline), left, device),
            Pipeline::Sdxl(pipeline) => measure::<B, _>(spec, &SdxlSubject(*pipeline), left, device),
        }
    }
}

/// Measures a subject; `left` are the bytes that the device has left beside its weights.
fn measure<B, S>(spec: &BenchSpec, subject: &S, left: Option<u64>, device: &B::Device) -> Result<BenchReport>
where
    B: AutodiffBackend,
    S: Subject<B::InnerBackend, Pipeline: Trainable<B>>,
{
    let picture = picture::<B::InnerBackend, S>(spec, subject)?;
    let calibration_tflops = calibration::<B::InnerBackend>(device);
    // Before anything else, so that the memory in use until then is that of the training.
    let learnt = spec.training_batch.map(|batch| {
        let learning = Learning { picture, batch, repeats: spec.repeats, calibration_tflops, left };
        learning.measure::<B, S>(subject, device)
    });
    let (mut stages, training) =
        learnt.transpose()?.map(|(stages, figures)| (stages, Some(figures))).unwrap_or_default();
    let adapted = with_drawn_loras::<B::InnerBackend, S>(spec, subject, device)?;
    let rendered = pictures::<B::InnerBackend, S>(spec.repeats, subject, adapted.as_ref(), picture, device)?;
    let Generation { text, step, decode } = subject.operations(picture);
    let operations = |stage: &str| match stage {
        "text" => Some(text),
        "step" => Some(step),
        "decode" => Some(decode),
        _ => None,
    };
    for (stage, times) in rendered.times {
        stages.insert(stage.to_owned(), Stage::of(times, operations(stage)));
    }
    let each_step = rendered.each_step.into_iter().map(|times| Stage::of(times, operations("step"))).collect();
    let step = stages.get("step").and_then(|step| step.tflops).unwrap_or_default();
    Ok(BenchReport {
        model: spec.folder.as_ref().map_or(spec.architecture.to_string(), |folder| folder.display().to_string()),
        device: spec.device.to_string(),
        dtype: spec.precision,
        threads: rayon::current_num_threads(),
        width: picture.width,
        height: picture.height,
        steps: picture.steps,
        loras: spec.loras,
        parameters: subject.parameters(),
        stages,
        each_step,
        calibration_tflops,
        share_of_calibration: step / calibration_tflops,
        lora_swap_ms: adapted.map(|adapted| adapted.swap_ms),
        lora_overhead: rendered.overhead,
        training,
        peak_memory: peak_memory(),
        card_memory: used_of_card(&spec.device),
    })
}

/// The picture that is asked for.
///
/// # Errors
/// [`Error::Input`] when the model renders no such size.
fn picture<B: Backend, S: Subject<B>>(spec: &BenchSpec, subject: &S) -> Result<Picture> {
    let advised = subject.advised();
    let picture = Picture {
        width: spec.width.unwrap_or(advised.width),
        height: spec.height.unwrap_or(advised.height),
        steps: spec.steps.unwrap_or(advised.steps),
    };
    let multiple = subject.multiple();
    if picture.is_made_of(multiple) {
        return Ok(picture);
    }
    Err(Error::Input(format!(
        "{} x {} is asked for; this model renders multiples of {multiple}.",
        picture.width, picture.height
    )))
}

/// A subject with LoRAs.
struct Adapted<S> {
    subject: S,
    /// Milliseconds that it takes to lay them there.
    swap_ms: f64,
}

/// The subject with the LoRAs that are asked for.
fn with_drawn_loras<B: Backend, S: Subject<B>>(
    spec: &BenchSpec,
    subject: &S,
    device: &B::Device,
) -> Result<Option<Adapted<S>>> {
    if spec.loras == 0 {
        return Ok(None);
    }
    let loras = (0..spec.loras).map(|_| Prepared::new(subject.pairs(), device)).collect::<Result<Vec<_>>>()?;
    let mut swaps = Vec::new();
    let mut adapted = subject.with_loras(&loras)?;
    for _ in 0..spec.repeats {
        let started = Instant::now();
        adapted = subject.with_loras(&loras)?;
        finish::<B>(device)?;
        swaps.push(milliseconds(started));
    }
    Ok(Some(Adapted { subject: adapted, swap_ms: Stage::of(swaps, None).median_ms }))
}

/// What was measured of pictures.
struct Rendering {
    /// Milliseconds of each stage, with the LoRAs where there are any.
    times: BTreeMap<&'static str, Vec<f64>>,
    /// Those of the first step of every picture, of the second and so on.
    each_step: Vec<Vec<f64>>,
    /// See [`BenchReport::lora_overhead`].
    overhead: Option<f64>,
}

/// Makes pictures; where there are LoRAs, with them and without them by turns.
fn pictures<B: Backend, S: Subject<B>>(
    repeats: u32,
    plain: &S,
    adapted: Option<&Adapted<S>>,
    picture: Picture,
    device: &B::Device,
) -> Result<Rendering> {
    let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut each_step = vec![Vec::new(); picture.steps as usize];
    let mut overheads = Vec::new();
    // The first time fills caches and compiles kernels; a card is told networks again that were written down in the next ones.
    let steps_until_told_again = (AFTER_STEPS as u32 + 2).div_ceil(picture.steps);
    let uncounted = if is_processor::<B>(device) { 1 } else { steps_until_told_again.max(AFTER_ONE as u32 + 2) };
    for repeat in 0..uncounted + repeats {
        let subject = adapted.map_or(plain, |adapted| &adapted.subject);
        let measured = once::<B, S>(subject, picture, device)?;
        let without = adapted.map(|_| once::<B, S>(plain, picture, device)).transpose()?;
        if repeat < uncounted {
            continue;
        }
        if let Some(without) = without {
            overheads.extend(steps(&measured).zip(steps(&without)).map(|(with, without)| with / without - 1.0));
        }
        for (times, milliseconds) in each_step.iter_mut().zip(steps(&measured)) {
            times.push(milliseconds);
        }
        for (stage, milliseconds) in measured {
            times.entry(stage).or_default().push(milliseconds);
        }
    }
    let overhead = adapted.map(|_| median(overheads));
    Ok(Rendering { times, each_step, overhead })
}

/// Milliseconds of each denoising step.
fn steps(measured: &[(&'static str, f64)]) -> impl Iterator<Item = f64> {
    measured.iter().filter(|(stage, _)| *stage == "step").map(|(_, milliseconds)| *milliseconds)
}

/// One picture, from token ids to the bytes of the file: milliseconds of each stage.
fn once<B: Backend, S: Subject<B>>(
    subject: &S,
    picture: Picture,
    device: &B::Device,
) -> Result<Vec<(&'static str, f64)>> {
    let mut measured = Vec::new();
    let begun = Instant::now();
    let mut last = begun;
    let mut lap = |stage: &'static str, measured: &mut Vec<(&'static str, f64)>| {
        measured.push((stage, milliseconds(last)));
        last = Instant::now();
    };
    let text = subject.text()?;
    finish::<B>(device)?;
    lap("text", &mut measured);
    let mut failed = Ok(());
    let latents = subject.denoise(text, picture, &mut || {
        if failed.is_ok() {
            failed = finish::<B>(device);
        }
        lap("step", &mut measured);
    })?;
    failed?;
    let decoded = subject.decode(latents, picture);
    lap("decode", &mut measured);
    let file = decoded.encode_png(&[]);
    lap("png", &mut measured);
    drop(file);
    measured.push(("total", milliseconds(begun)));
    Ok(measured)
}

/// Operations a second of a matrix product, as the layers compute theirs, in units of 10^12: the best of five.
fn calibration<B: Backend>(device: &B::Device) -> f64 {
    let edge = if is_processor::<B>(device) { CALIBRATION } else { CARD_CALIBRATION };
    let matrix = || Tensor::<B, 2>::random([edge; 2], Distribution::Default, device);
    let other = Linear::of_weight(matrix());
    let one = matrix();
    let mut best = f64::INFINITY;
    // The first time chooses and compiles kernels.
    for _ in 0..6 {
        let started = Instant::now();
        // A number of it is read back: so the product was made.
        let _ = other.forward(one.clone()).narrow(0, 0, 1).narrow(1, 0, 1).into_data();
        best = best.min(started.elapsed().as_secs_f64());
    }
    2.0 * (edge as f64).powi(3) / best / 1e12
}

/// The most memory that this process had in use, as Linux says it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// What so large a share of the numbers does not exceed.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted.get((sorted.len().saturating_sub(1) as f64 * share).round() as usize).copied().unwrap_or_default()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    quantile(&numbers, 0.5)
}

impl Stage {
    fn of(mut times: Vec<f64>, operations: Option<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let median_ms = quantile(&times, 0.5);
        let tflops = operations.map(|operations| operations / (median_ms / 1000.0) / 1e12);
        Self { median_ms, p95_ms: quantile(&times, 0.95), tflops }
    }
}

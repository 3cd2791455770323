//! How fast a model is on a device, stage by stage: text, each step, decoding, the PNG file. Weights come from a folder, or
//! are drawn in the published sizes, so that a machine can be measured before anybody fetches gigabytes.

mod operations;
mod published;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use burn::{
    module::Module,
    tensor::{
        Distribution, Int, Tensor, TensorData,
        backend::{AutodiffBackend, Backend},
    },
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use self::published::Architecture;
use crate::{
    device::DeviceName,
    dtype::Precision,
    error::{Error, Result},
    flux2::pipeline::{Denoising as Flux2Denoising, Flux2Pipeline},
    lora::{LowRankPair, inject},
    model::{self, Pipeline, Work},
    progress::Control,
    sdxl::{
        conditioning::TextConditioning,
        pipeline::{Denoising as SdxlDenoising, SdxlPipeline},
    },
    starter::pictures::from_tensor,
};

/// Edge of the matrices whose product says what the device can do at best.
const CALIBRATION: usize = 1024;

/// Rank of the LoRAs that are drawn.
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
    /// Denoising steps; the model's own without it.
    pub steps: Option<u32>,
    /// How many LoRAs of rank 16 lie beside the weights of every layer.
    pub loras: u32,
    /// How often everything is done, after once that does not count.
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
    /// `text`, `step`, `decode`, `png`, and `total`: from token ids to the bytes of the file.
    pub stages: BTreeMap<String, Stage>,
    /// Operations a second of a product of two square matrices in the same run, in units of 10^12.
    pub calibration_tflops: f64,
    /// Operations a second of a step over those of the calibration.
    pub share_of_calibration: f64,
    /// Milliseconds that it takes to lay LoRAs beside the weights of a model that is loaded.
    pub lora_swap_ms: Option<f64>,
    /// The most memory that the process had in use, in bytes, where the system says it.
    pub peak_memory: Option<u64>,
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
/// When the device is missing, the folder holds no model, or the size is out of bounds.
pub fn bench(spec: &BenchSpec) -> Result<BenchReport> {
    if spec.repeats == 0 {
        return Err(Error::Input("Nothing is measured in 0 repeats; ask for at least one.".to_owned()));
    }
    model::on(&spec.device, spec.precision, Measuring { spec })
}

struct Measuring<'a> {
    spec: &'a BenchSpec,
}

impl Work for Measuring<'_> {
    type Output = BenchReport;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<BenchReport> {
        let spec = self.spec;
        let pipeline: Pipeline<B::InnerBackend> = match &spec.folder {
            Some(folder) => Pipeline::load(folder, device)?,
            None => {
                let frame = tempfile::tempdir().map_err(Error::io(&std::env::temp_dir()))?;
                published::write(spec.architecture, frame.path())?;
                <B::InnerBackend as Backend>::seed(device, 0);
                Pipeline::drawn(frame.path(), device)?
            }
        };
        match pipeline {
            Pipeline::Flux2(pipeline) => measure(spec, Flux2Subject(*pipeline), device),
            Pipeline::Sdxl(pipeline) => measure(spec, SdxlSubject(*pipeline), device),
        }
    }
}

/// A picture to be made.
#[derive(Clone, Copy)]
struct Picture {
    width: u32,
    height: u32,
    steps: u32,
}

/// A pipeline as it is measured.
trait Subject<B: Backend>: Sized {
    /// What a text becomes.
    type Text: Clone;
    /// What is denoised.
    type Latents;

    /// The size and the steps that the model was made for.
    fn advised(&self) -> Picture;
    /// Pixels that sizes are multiples of.
    fn multiple(&self) -> u32;
    /// Parameters of what denoises.
    fn parameters(&self) -> usize;
    /// Operations of a step and of decoding.
    fn operations(&self, picture: Picture) -> (f64, f64);
    /// This with drawn LoRAs beside every linear layer.
    fn with_loras(&self, pairs: &[Pairs]) -> Result<Self>;
    /// Low-rank pairs for every linear layer.
    fn pairs(&self) -> Pairs;
    /// Token ids → text.
    fn text(&self) -> Self::Text;
    /// Noise → latents; `after_step` is called after each.
    fn denoise(&self, text: Self::Text, picture: Picture, after_step: &mut dyn FnMut()) -> Result<Self::Latents>;
    /// Latents → picture.
    fn decode(&self, latents: Self::Latents, picture: Picture) -> crate::image::Picture;
}

type Pairs = BTreeMap<String, LowRankPair>;

fn measure<B: Backend, S: Subject<B>>(spec: &BenchSpec, subject: S, device: &B::Device) -> Result<BenchReport> {
    let advised = subject.advised();
    let picture = Picture {
        width: spec.width.unwrap_or(advised.width),
        height: spec.height.unwrap_or(advised.height),
        steps: spec.steps.unwrap_or(advised.steps),
    };
    let multiple = subject.multiple();
    if [picture.width, picture.height].iter().any(|edge| *edge == 0 || !edge.is_multiple_of(multiple)) {
        return Err(Error::Input(format!(
            "{} x {} is asked for; this model renders multiples of {multiple}.",
            picture.width, picture.height
        )));
    }
    let (subject, lora_swap_ms) = with_drawn_loras::<B, S>(spec, subject, device)?;
    let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for repeat in 0..=spec.repeats {
        let measured = once::<B, S>(&subject, picture, device)?;
        // The first time fills caches and compiles kernels.
        if repeat > 0 {
            for (stage, milliseconds) in measured {
                times.entry(stage).or_default().push(milliseconds);
            }
        }
    }
    let (of_step, of_decoding) = subject.operations(picture);
    let operations = |stage: &str| match stage {
        "step" => Some(of_step),
        "decode" => Some(of_decoding),
        _ => None,
    };
    let stages: BTreeMap<String, Stage> =
        times.into_iter().map(|(stage, times)| (stage.to_owned(), Stage::of(times, operations(stage)))).collect();
    let calibration_tflops = calibration::<B>(device);
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
        calibration_tflops,
        share_of_calibration: step / calibration_tflops,
        lora_swap_ms,
        peak_memory: peak_memory(),
    })
}

/// The subject with the LoRAs that are asked for, and how long it takes to lay them there.
fn with_drawn_loras<B: Backend, S: Subject<B>>(
    spec: &BenchSpec,
    subject: S,
    device: &B::Device,
) -> Result<(S, Option<f64>)> {
    if spec.loras == 0 {
        return Ok((subject, None));
    }
    let pairs: Vec<Pairs> = (0..spec.loras).map(|_| subject.pairs()).collect();
    let mut swaps = Vec::new();
    let mut adapted = subject.with_loras(&pairs)?;
    for _ in 0..spec.repeats {
        let started = Instant::now();
        adapted = subject.with_loras(&pairs)?;
        finish::<B>(device)?;
        swaps.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    Ok((adapted, Some(Stage::of(swaps, None).median_ms)))
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
        measured.push((stage, last.elapsed().as_secs_f64() * 1000.0));
        last = Instant::now();
    };
    let text = subject.text();
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
    measured.push(("total", begun.elapsed().as_secs_f64() * 1000.0));
    Ok(measured)
}

/// Waits until the device has done what it was told.
fn finish<B: Backend>(device: &B::Device) -> Result<()> {
    B::sync(device).map_err(|error| Error::Device(format!("The device failed: {error}.")))
}

/// Operations a second of a matrix product, in units of 10^12: the best of five.
fn calibration<B: Backend>(device: &B::Device) -> f64 {
    let matrix = || Tensor::<B, 2>::random([CALIBRATION; 2], Distribution::Default, device);
    let (one, other) = (matrix(), matrix());
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let started = Instant::now();
        // A number of it is read back: so the product was made.
        let _ = one.clone().matmul(other.clone()).narrow(0, 0, 1).narrow(1, 0, 1).into_data();
        best = best.min(started.elapsed().as_secs_f64());
    }
    2.0 * (CALIBRATION as f64).powi(3) / best / 1e12
}

/// The most memory that this process had in use, as Linux says it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

impl Stage {
    fn of(mut times: Vec<f64>, operations: Option<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
        let median_ms = at(0.5);
        let tflops = operations.map(|operations| operations / (median_ms / 1000.0) / 1e12);
        Self { median_ms, p95_ms: at(0.95), tflops }
    }
}

/// Drawn pairs for layers of these features in and out.
fn drawn_pairs<'a>(layers: impl Iterator<Item = (&'a String, (usize, usize))>) -> Pairs {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut numbers = |count: usize| (0..count).map(|_| random.random_range(-0.01f32..0.01)).collect::<Vec<_>>();
    layers
        .map(|(name, (inputs, outputs))| {
            let (a, b) = (numbers(RANK * inputs), numbers(outputs * RANK));
            (name.clone(), LowRankPair { a, b, rank: RANK, inputs, outputs, scale: 1.0 })
        })
        .collect()
}

struct Flux2Subject<B: Backend>(Flux2Pipeline<B>);

impl<B: Backend> Flux2Subject<B> {
    fn grid(&self, picture: Picture) -> (usize, usize) {
        let multiple = self.multiple();
        ((picture.height / multiple) as usize, (picture.width / multiple) as usize)
    }
}

impl<B: Backend> Subject<B> for Flux2Subject<B> {
    type Text = Tensor<B, 3>;
    type Latents = Tensor<B, 3>;

    fn advised(&self) -> Picture {
        let configs = &self.0.configs;
        let steps = configs.advised_steps.unwrap_or(if configs.is_distilled { 4 } else { 50 });
        Picture { width: configs.native_size, height: configs.native_size, steps }
    }

    fn multiple(&self) -> u32 {
        self.0.configs.size_multiple()
    }

    fn parameters(&self) -> usize {
        self.0.transformer.num_params()
    }

    fn operations(&self, picture: Picture) -> (f64, f64) {
        let (rows, columns) = self.grid(picture);
        let tokens = (self.0.prompt_length, rows * columns);
        let configs = &self.0.configs;
        let times = if configs.is_guided_freely() { 2.0 } else { 1.0 };
        let step = times * operations::flux2_transformer(&configs.transformer, tokens);
        (step, operations::decoder(&configs.autoencoder.shape(), (2 * rows, 2 * columns)))
    }

    fn pairs(&self) -> Pairs {
        let mut transformer = self.0.transformer.clone();
        let layers = inject::Adaptable::linear_layers(&mut transformer);
        drawn_pairs(layers.iter().map(|(name, layer)| (name, layer.features())))
    }

    fn with_loras(&self, pairs: &[Pairs]) -> Result<Self> {
        let mut transformer = self.0.transformer.clone();
        for pairs in pairs {
            inject::attach(&mut transformer, pairs, 0.5, &self.0.device)?;
        }
        Ok(Self(Flux2Pipeline { transformer, ..self.0.clone() }))
    }

    fn text(&self) -> Tensor<B, 3> {
        let length = self.0.prompt_length;
        let ids: Vec<i32> = (0..length as i32).map(|place| place % 200).collect();
        let ids = Tensor::<B, 2, Int>::from_data(TensorData::new(ids, [1, length]), &self.0.device);
        self.0.text_encoder.forward(ids, &[vec![true; length]], &self.0.text_layers)
    }

    fn denoise(&self, text: Tensor<B, 3>, picture: Picture, after_step: &mut dyn FnMut()) -> Result<Tensor<B, 3>> {
        let pipeline = &self.0;
        let grid = self.grid(picture);
        pipeline.denoise(Flux2Denoising {
            latents: pipeline.noise(&[0], grid),
            negative: pipeline.configs.is_guided_freely().then(|| text.clone()),
            context: text,
            reference: None,
            grid,
            steps: picture.steps,
            guidance: 3.5,
            after_step: &mut |_, _, _| {
                after_step();
                Control::Continue
            },
        })
    }

    fn decode(&self, latents: Tensor<B, 3>, picture: Picture) -> crate::image::Picture {
        from_tensor(self.0.decode(latents, self.grid(picture))).swap_remove(0)
    }
}

struct SdxlSubject<B: Backend>(SdxlPipeline<B>);

impl<B: Backend> Subject<B> for SdxlSubject<B> {
    type Text = TextConditioning<B>;
    type Latents = Tensor<B, 4>;

    fn advised(&self) -> Picture {
        let configs = &self.0.configs;
        let steps = configs.advised_steps.unwrap_or(if configs.is_turbo() { 1 } else { 30 });
        Picture { width: configs.native_size(), height: configs.native_size(), steps }
    }

    fn multiple(&self) -> u32 {
        self.0.configs.size_multiple()
    }

    fn parameters(&self) -> usize {
        self.0.unet.num_params()
    }

    fn operations(&self, picture: Picture) -> (f64, f64) {
        let grid = self.0.grid(picture.height, picture.width);
        let configs = &self.0.configs;
        let times = if configs.is_turbo() { 1.0 } else { 2.0 };
        let step = times * operations::unet(&configs.unet, grid, self.0.tokenizer.longest());
        (step, operations::decoder(&configs.autoencoder.shape(), grid))
    }

    fn pairs(&self) -> Pairs {
        let mut unet = self.0.unet.clone();
        let layers = inject::Adaptable::linear_layers(&mut unet);
        drawn_pairs(layers.iter().map(|(name, layer)| (name, layer.features())))
    }

    fn with_loras(&self, pairs: &[Pairs]) -> Result<Self> {
        let mut unet = self.0.unet.clone();
        for pairs in pairs {
            inject::attach(&mut unet, pairs, 0.5, &self.0.device)?;
        }
        Ok(Self(SdxlPipeline { unet, ..self.0.clone() }))
    }

    fn text(&self) -> TextConditioning<B> {
        let ids = |longest: usize| (0..longest as u32).map(|place| place % 200).collect::<Vec<_>>();
        let first = self.0.text_encoder.forward(&[ids(self.0.tokenizer.longest())], &self.0.device);
        let second = self.0.text_encoder_2.forward(&[ids(self.0.tokenizer_2.longest())], &self.0.device);
        let context = Tensor::cat(vec![first.states, second.states], 2);
        TextConditioning { context, pooled: second.pooled.expect("invariant: the second encoder has a projection") }
    }

    fn denoise(&self, text: Self::Text, picture: Picture, after_step: &mut dyn FnMut()) -> Result<Tensor<B, 4>> {
        let pipeline = &self.0;
        let (rows, columns) = pipeline.grid(picture.height, picture.width);
        let shape = [1, pipeline.configs.unet.in_channels, rows, columns];
        let noise = || Tensor::random(shape, Distribution::Normal(0.0, 1.0), &pipeline.device);
        pipeline.denoise(SdxlDenoising {
            noise: noise(),
            start: None,
            unwanted: (!pipeline.configs.is_turbo()).then(|| text.clone()),
            wanted: text,
            size: (picture.height, picture.width),
            steps: picture.steps,
            guidance: 5.0,
            step_noise: &mut |_| Ok(noise()),
            after_step: &mut |_, _, _| {
                after_step();
                Control::Continue
            },
        })
    }

    fn decode(&self, latents: Tensor<B, 4>, _: Picture) -> crate::image::Picture {
        from_tensor(self.0.decode(latents)).swap_remove(0)
    }
}

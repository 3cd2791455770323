//! Repeats what the reference implementation did and measures how far the results lie apart. A case is a folder: a model,
//! a request, the reference's inputs and its results.

use std::{collections::BTreeMap, path::Path};

use burn::{
    module::{AutodiffModule, Module},
    tensor::{
        ElementConversion, Tensor,
        backend::{AutodiffBackend, Backend},
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    device::DeviceName,
    dtype::Precision,
    error::{Error, Result},
    flux2::{
        latents::to_tokens,
        pipeline::{Denoising, Flux2Pipeline},
        position,
        transformer::Flux2Transformer,
    },
    lora::{
        self, LowRankPair,
        inject::{self, Adaptable},
    },
    model::{self, Work},
    progress::Control,
    training::loss::rectified_flow,
    weights::{folder, tensor_file::TensorFile},
};

/// How far results in f32 may lie from the reference's.
const TOLERANCE: f64 = 1e-4;

/// How far, relatively, the loss of a training step may lie from the reference's.
const LOSS_TOLERANCE: f64 = 1e-5;

/// How far a gradient may lie from the reference's, measured by the reference's norm.
const GRADIENT_TOLERANCE: f64 = 1e-3;

/// How alike pictures in half precision must be at least: the cosine of the angle between them.
const COSINE: f64 = 0.999;

/// alpha / rank of the adapters in a training case.
const TRAINING_SCALE: f32 = 0.5;

/// How a case went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParityReport {
    /// The case's folder.
    pub case: String,
    /// Whether every difference lies within its tolerance.
    pub ok: bool,
    /// The device.
    pub device: String,
    /// The precision.
    pub dtype: Precision,
    /// Largest difference of each result, over the larger of 1 and the reference's largest number. `train.loss` is
    /// relative, `train.grad` the largest of all gradients' differences, each over its own norm.
    pub max_abs: BTreeMap<String, f64>,
    /// Cosine of the angle between each picture and the reference's.
    pub cosine: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Case {
    prompt: String,
    height: u32,
    width: u32,
    steps: u32,
    guidance_scale: f64,
    #[serde(default)]
    max_sequence_length: Option<usize>,
    #[serde(default)]
    text_encoder_out_layers: Option<Vec<usize>>,
    #[serde(default)]
    lora: Vec<CaseLora>,
    #[serde(default)]
    image: Option<String>,
}

#[derive(Deserialize)]
struct CaseLora {
    file: String,
    strength: f64,
}

/// Repeats a case on a device.
///
/// # Errors
/// When the case's folder is not whole, its model is not understood, or the device is missing. A result that differs is
/// no error: the report says so.
pub fn parity(case: &Path, device: &DeviceName, precision: Precision) -> Result<ParityReport> {
    let parsed: Case = folder::read_json(&case.join("case.json"))?;
    let parity = Parity { folder: case, case: parsed };
    let differences = model::on(device, precision, parity)?;
    let ok = differences.ok(precision);
    Ok(ParityReport {
        case: case.display().to_string(),
        ok,
        device: device.to_string(),
        dtype: precision,
        max_abs: differences.max_abs,
        cosine: differences.cosine,
    })
}

/// What is measured.
#[derive(Default)]
struct Differences {
    max_abs: BTreeMap<String, f64>,
    cosine: BTreeMap<String, f64>,
}

impl Differences {
    /// A difference that is no number is never within a tolerance.
    fn ok(&self, precision: Precision) -> bool {
        let within = |(name, difference): (&String, &f64)| match name.as_str() {
            "train.loss" => *difference <= LOSS_TOLERANCE,
            "train.grad" => *difference <= GRADIENT_TOLERANCE,
            _ => *difference <= TOLERANCE,
        };
        match precision {
            Precision::F32 => self.max_abs.iter().all(within),
            Precision::Bf16 => !self.cosine.is_empty() && self.cosine.values().all(|cosine| *cosine >= COSINE),
        }
    }

    /// Compares a result with the reference's of the same name.
    fn compare<B: Backend, const D: usize>(
        &mut self,
        name: &str,
        ours: Tensor<B, D>,
        expected: &TensorFile,
    ) -> Result<()> {
        let (ours, expected) = both(name, ours, expected)?;
        let largest = expected.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
        let furthest = ours.iter().zip(&expected).map(|(ours, expected)| (ours - expected).abs()).fold(0.0, nan_or_max);
        self.max_abs.insert(name.to_owned(), furthest / largest);
        if name.ends_with("image") {
            let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let cosine = product(&ours, &expected) / (product(&ours, &ours) * product(&expected, &expected)).sqrt();
            self.cosine.insert(name.to_owned(), cosine);
        }
        Ok(())
    }
}

fn nan_or_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// Our numbers and the reference's, of one shape.
fn both<B: Backend, const D: usize>(
    name: &str,
    ours: Tensor<B, D>,
    expected: &TensorFile,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let reference = expected.data(name)?;
    let ours = ours.into_data();
    if ours.shape != reference.shape {
        return Err(Error::Input(format!(
            "`{name}` has the shape {:?} here and {:?} in the case.",
            ours.shape, reference.shape
        )));
    }
    Ok((ours.iter::<f64>().collect(), reference.iter::<f64>().collect()))
}

/// A case, to be repeated on whatever backend the device has.
struct Parity<'a> {
    folder: &'a Path,
    case: Case,
}

impl Work for Parity<'_> {
    type Output = Differences;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<Differences> {
        let mut pipeline = Flux2Pipeline::<B::InnerBackend>::load(&self.folder.join("model"), device)?;
        if let Some(length) = self.case.max_sequence_length {
            pipeline.prompt_length = length;
        }
        if let Some(layers) = &self.case.text_encoder_out_layers {
            pipeline.text_layers.clone_from(layers);
        }
        let mut differences = Differences::default();
        if self.folder.join("train.inputs.safetensors").exists() {
            self.train::<B>(&pipeline, &mut differences, device)?;
        }
        for used in &self.case.lora {
            let adapter = lora::read::read(&self.folder.join(&used.file))?;
            inject::attach(&mut pipeline.transformer, &adapter.targets, used.strength, device)?;
        }
        self.generate(&pipeline, &mut differences)?;
        Ok(differences)
    }
}

impl Parity<'_> {
    fn file(&self, name: &str) -> Result<TensorFile> {
        TensorFile::read(&self.folder.join(name))
    }

    /// Rows and columns of the picture's tokens.
    fn grid(&self, multiple: u32) -> (usize, usize) {
        ((self.case.height / multiple) as usize, (self.case.width / multiple) as usize)
    }

    /// Repeats the generation from the reference's noise.
    fn generate<B: Backend>(&self, pipeline: &Flux2Pipeline<B>, differences: &mut Differences) -> Result<()> {
        let (inputs, expected) = (self.file("inputs.safetensors")?, self.file("expected.safetensors")?);
        let grid = self.grid(pipeline.configs.size_multiple());
        let noise = to_tokens(inputs.tensor::<B, 4>("latents", &pipeline.device)?);
        let context = pipeline.encode_prompts(&[&self.case.prompt])?;
        differences.compare("prompt_embeds", context.clone(), &expected)?;
        let guided = pipeline.uses_guidance(self.case.guidance_scale);
        let negative = if guided { Some(pipeline.encode_prompts(&[""])?) } else { None };
        let mut run = |prefix: &str, reference| -> Result<()> {
            let mut states = Vec::new();
            let latents = pipeline.denoise(Denoising {
                latents: noise.clone(),
                context: context.clone(),
                negative: negative.clone(),
                reference,
                grid,
                steps: self.case.steps,
                guidance: self.case.guidance_scale,
                after_step: &mut |_, latents, _| {
                    states.push(latents.clone());
                    Control::Continue
                },
            })?;
            for (step, latents) in states.into_iter().enumerate() {
                differences.compare(&format!("{prefix}latents.{step}"), latents, &expected)?;
            }
            let picture = pipeline.decode(latents, grid).add_scalar(1.0).div_scalar(2.0).clamp(0.0, 1.0);
            differences.compare(&format!("{prefix}image"), picture, &expected)
        };
        run("", None)?;
        if let Some(image) = &self.case.image {
            let file = self.folder.join(image);
            let picture = crate::image::Picture::decode(&std::fs::read(&file).map_err(Error::io(&file))?)?;
            run("image_edit.", Some(pipeline.reference(&[picture])?))?;
        }
        Ok(())
    }

    /// Repeats one training step: its loss, and the gradient of every matrix.
    fn train<B: AutodiffBackend>(
        &self,
        pipeline: &Flux2Pipeline<B::InnerBackend>,
        differences: &mut Differences,
        device: &B::Device,
    ) -> Result<()> {
        let (inputs, expected) = (self.file("train.inputs.safetensors")?, self.file("train.expected.safetensors")?);
        let mut transformer = Flux2Transformer::<B>::from_inner(pipeline.transformer.clone()).no_grad();
        let grid = self.grid(pipeline.configs.size_multiple());
        let pairs = training_pairs(&inputs)?;
        inject::attach(&mut transformer, &pairs, 1.0, device)?;
        let loss = Self::loss(&transformer, &inputs, grid, device)?;
        let [reference] = expected.data("loss")?.iter::<f64>().collect::<Vec<_>>()[..] else {
            return Err(Error::Weights("The case's `loss` is not one number.".to_owned()));
        };
        let ours = f64::from(loss.clone().into_scalar().elem::<f32>());
        differences.max_abs.insert("train.loss".to_owned(), (ours - reference).abs() / reference.abs());
        let gradients = loss.backward();
        let mut worst: f64 = 0.0;
        for (name, layer) in transformer.linear_layers() {
            for adapter in &layer.adapters {
                for (matrix, parameter) in [("A", &adapter.a), ("B", &adapter.b)] {
                    let name = format!("grad.{name}.{matrix}");
                    let gradient = parameter.val().grad(&gradients);
                    let gradient = gradient.ok_or_else(|| Error::Weights(format!("`{name}` has no gradient here.")))?;
                    let (ours, reference) = both(&name, gradient, &expected)?;
                    let norm =
                        |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
                    let apart = norm(&mut ours.iter().zip(&reference).map(|(ours, reference)| ours - reference));
                    worst = nan_or_max(worst, apart / norm(&mut reference.iter().copied()));
                }
            }
        }
        differences.max_abs.insert("train.grad".to_owned(), worst);
        Ok(())
    }

    /// The loss at the case's noise and times.
    fn loss<B: Backend>(
        transformer: &Flux2Transformer<B>,
        inputs: &TensorFile,
        grid: (usize, usize),
        device: &B::Device,
    ) -> Result<Tensor<B, 1>> {
        let picture = inputs.tensor::<B, 3>("x0", device)?;
        let noise = inputs.tensor::<B, 3>("noise", device)?;
        let time = inputs.tensor::<B, 1>("sigma", device)?;
        let context = inputs.tensor::<B, 3>("prompt_embeds", device)?;
        let ((rows, columns), tokens) = (grid, picture.dims()[1]);
        if rows * columns != tokens {
            return Err(Error::Input(format!(
                "The case's picture has {tokens} tokens, and its size makes {rows} × {columns}."
            )));
        }
        let rotation =
            transformer.rotation(&position::text(context.dims()[1]), &position::picture(rows, columns, 0), device);
        Ok(rectified_flow(transformer, picture, noise, time, context, &rotation))
    }
}

/// The adapters of a training case.
fn training_pairs(inputs: &TensorFile) -> Result<BTreeMap<String, LowRankPair>> {
    let names = inputs.names().filter_map(|name| name.strip_prefix("lora.")?.strip_suffix(".A"));
    let read = |name: &str| {
        let matrix = |letter: &str| inputs.data(&format!("lora.{name}.{letter}"));
        let (a, b) = (matrix("A")?, matrix("B")?);
        let (&[rank, inputs], &[outputs, _]) = (&a.shape[..], &b.shape[..]) else {
            return Err(Error::Weights(format!("The case's adapter `{name}` is no pair of matrices.")));
        };
        let (a, b) = (a.iter::<f32>().collect(), b.iter::<f32>().collect());
        Ok((name.to_owned(), LowRankPair { a, b, rank, inputs, outputs, scale: TRAINING_SCALE }))
    };
    names.map(read).collect()
}

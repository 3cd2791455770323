//! Repeats what the reference implementation did and measures how far the results lie apart. A case is a folder: a model,
//! a request, the reference's inputs and its results.

mod flux2;
mod sdxl;

use std::{collections::BTreeMap, path::Path};

use burn::tensor::{
    ElementConversion, Tensor,
    backend::{AutodiffBackend, Backend},
};
use serde::{Deserialize, Serialize};

use crate::{
    device::DeviceName,
    dtype::Precision,
    error::{Error, Result},
    lora::{LowRankPair, inject::Adaptable},
    model::{self, Family, Work},
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

/// The same with weights of eight bits.
const FP8_COSINE: f64 = 0.99;

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
    /// Cosine of the angle between each picture and the reference's, and of `train.grad`, all gradients together, which is not judged in
    /// half precision: the reference's own gradients of small models lie 0.91 to 0.99 from those in f32 there.
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
    negative_prompt: Option<String>,
    #[serde(default)]
    max_sequence_length: Option<usize>,
    #[serde(default)]
    text_encoder_out_layers: Option<Vec<usize>>,
    #[serde(default)]
    lora: Vec<CaseLora>,
    #[serde(default)]
    image: Option<OneOrSeveral>,
}

/// Files of reference pictures.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
struct CaseLora {
    file: String,
    strength: f64,
}

/// Repeats a case on a device.
///
/// # Errors
/// When the case's folder is not whole, its model is not understood, or the device is missing or does not compute in such numbers. A result that differs is
/// no error: the report says so.
pub fn parity(case: &Path, device: &DeviceName, precision: Precision) -> Result<ParityReport> {
    let file = case.join("case.json");
    if !file.is_file() {
        let sentence = "is no parity case: it holds no `case.json`. Name the folder that a case was written into.";
        return Err(Error::Folder(format!("`{}` {sentence}", case.display())));
    }
    let parsed: Case = folder::read_json(&file)?;
    let parity = Parity { folder: case, case: parsed, precision };
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
        let mut pictures = self.cosine.iter().filter(|(name, _)| is_picture(name)).peekable();
        match precision {
            Precision::F32 => self.max_abs.iter().all(within),
            Precision::Bf16 => pictures.peek().is_some() && pictures.all(|(_, cosine)| *cosine >= COSINE),
            Precision::Fp8 => pictures.peek().is_some() && pictures.all(|(_, cosine)| *cosine >= FP8_COSINE),
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
        if is_picture(name) {
            let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let cosine = product(&ours, &expected) / (product(&ours, &ours) * product(&expected, &expected)).sqrt();
            self.cosine.insert(name.to_owned(), cosine);
        }
        Ok(())
    }
}

/// Whether a result is a picture.
fn is_picture(name: &str) -> bool {
    name.ends_with("image")
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
    precision: Precision,
}

impl Work for Parity<'_> {
    type Output = Differences;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<Differences> {
        match Family::of(&self.folder.join("model"))? {
            Family::Flux2 => self.flux2::<B>(device),
            Family::Sdxl => self.sdxl::<B>(device),
        }
    }
}

impl Parity<'_> {
    fn file(&self, name: &str) -> Result<TensorFile> {
        TensorFile::read(&self.folder.join(name))
    }

    /// Whether there is a training step to repeat.
    fn has_training(&self) -> bool {
        self.folder.join("train.inputs.safetensors").exists()
    }
}

/// Compares the loss of a training step and the gradient of every matrix of its adapters.
fn compare_step<B: AutodiffBackend, M: Adaptable<B>>(
    model: &mut M,
    loss: Tensor<B, 1>,
    expected: &TensorFile,
    differences: &mut Differences,
) -> Result<()> {
    let [reference] = expected.data("loss")?.iter::<f64>().collect::<Vec<_>>()[..] else {
        return Err(Error::Weights("The case's `loss` is not one number.".to_owned()));
    };
    let ours = f64::from(loss.clone().into_scalar().elem::<f32>());
    differences.max_abs.insert("train.loss".to_owned(), (ours - reference).abs() / reference.abs());
    let gradients = loss.backward();
    let mut worst: f64 = 0.0;
    // Of all gradients together: their products with the reference's, with themselves, and the reference's with itself.
    let mut products = [0.0; 3];
    for (name, layer) in model.linear_layers() {
        for adapter in &layer.adapters {
            for (matrix, parameter) in [("A", &adapter.a), ("B", &adapter.b)] {
                let name = format!("grad.{name}.{matrix}");
                let gradient = parameter.val().grad(&gradients);
                let gradient = gradient.ok_or_else(|| Error::Weights(format!("`{name}` has no gradient here.")))?;
                let (ours, reference) = both(&name, gradient, expected)?;
                let norm =
                    |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
                let apart = norm(&mut ours.iter().zip(&reference).map(|(ours, reference)| ours - reference));
                for (ours, reference) in ours.iter().zip(&reference) {
                    let new = [ours * reference, ours * ours, reference * reference];
                    products.iter_mut().zip(new).for_each(|(sum, product)| *sum += product);
                }
                worst = nan_or_max(worst, apart / norm(&mut reference.iter().copied()));
            }
        }
    }
    differences.max_abs.insert("train.grad".to_owned(), worst);
    let [product, ours, reference] = products;
    differences.cosine.insert("train.grad".to_owned(), product / (ours * reference).sqrt());
    Ok(())
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
        Ok((name.to_owned(), LowRankPair { a, b, rank, inputs, outputs, kernel: None, scale: TRAINING_SCALE }))
    };
    names.map(read).collect()
}

//! AdamW (Loshchilov and Hutter, 2019) over the pairs of an adapter, in f32, with a state that can be written and read back
//! to the bit.

use std::collections::BTreeMap;

use burn::{
    module::{Param, ParamId},
    optim::GradientsParams,
    tensor::{
        DType, ElementConversion, Tensor, TensorData,
        backend::{AutodiffBackend, Backend},
    },
};

use crate::{lora::inject::Adaptable, nn::linear::Linear};

/// What stays of the mean of the gradients.
const MEAN_KEEPS: f64 = 0.9;

/// What stays of the mean of their squares.
const SQUARE_KEEPS: f64 = 0.99;

/// Added to the root of the mean square.
const EPSILON: f64 = 1e-8;

/// Share of a weight that a step with learning rate 1 takes away.
const WEIGHT_DECAY: f64 = 0.01;

/// Gradients are made no longer than this, all together.
const LONGEST_GRADIENT: f64 = 1.0;

/// The optimiser of the last pair of every layer that has one.
///
/// The state of all matrices lies in one row, so that a device is told a few operations a step and not a dozen a matrix.
pub struct AdamW<B: AutodiffBackend> {
    moments: Option<Moments<B::InnerBackend>>,
    steps: u32,
}

/// The state of some matrices, one after the other.
struct Moments<B: Backend> {
    matrices: Vec<Matrix>,
    mean: Tensor<B, 1>,
    square: Tensor<B, 1>,
}

/// Whose state lies at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Matrix {
    name: String,
    shape: [usize; 2],
}

impl Matrix {
    fn numbers(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Tensors by name, as a checkpoint keeps them.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

impl<B: AutodiffBackend> AdamW<B> {
    /// An optimiser that has made no step.
    pub fn new() -> Self {
        Self { moments: None, steps: 0 }
    }

    /// Makes one step. A matrix that the loss does not depend on has a gradient of zeros.
    pub fn step<M: Adaptable<B>>(&mut self, model: &mut M, gradients: &mut GradientsParams, learning_rate: f64) {
        self.steps += 1;
        let (mut matrices, mut found) = (Vec::new(), Vec::new());
        for_every_matrix(model, |name, parameter| {
            let matrix = Matrix { name, shape: parameter.dims() };
            let numbers = [matrix.numbers()];
            found.push(match gradients.remove::<B::InnerBackend, 2>(parameter.id) {
                Some(gradient) => gradient.reshape(numbers),
                None => Tensor::zeros(numbers, (&parameter.device(), DType::F32)),
            });
            matrices.push(matrix);
        });
        if found.is_empty() {
            return;
        }
        let gradient = Tensor::cat(found, 0);
        let length = gradient.clone().square().sum().into_scalar().elem::<f64>().sqrt();
        let clip = if length > LONGEST_GRADIENT { LONGEST_GRADIENT / length } else { 1.0 };
        let moments = match self.moments.take() {
            Some(moments) if moments.matrices == matrices => moments,
            _ => Moments { mean: gradient.zeros_like(), square: gradient.zeros_like(), matrices },
        };
        let moments = moments.moved(gradient.mul_scalar(clip));
        let change = moments.change(self.steps).mul_scalar(learning_rate);
        let mut changes: BTreeMap<_, _> = moments.cut(&change).collect();
        for_every_matrix(model, |name, parameter| {
            let Some(change) = changes.remove(&name) else { return };
            let now = parameter.val().inner();
            *parameter = trainable(parameter.id, now.mul_scalar(1.0 - learning_rate * WEIGHT_DECAY) - change);
        });
        self.moments = Some(moments);
    }

    /// The weights and the state, for a checkpoint.
    pub fn tensors<M: Adaptable<B>>(&self, model: &mut M) -> Tensors {
        let mut tensors = Tensors::new();
        for_every_matrix(model, |name, parameter| {
            tensors.insert(format!("{name}.weight"), plain(parameter.val().inner()));
        });
        if let Some(moments) = &self.moments {
            for (part, row) in [("mean", &moments.mean), ("square", &moments.square)] {
                tensors.extend(moments.cut(row).map(|(name, matrix)| (format!("{name}.{part}"), plain(matrix))));
            }
        }
        tensors
    }

    /// Sets the weights and the state from a checkpoint after so many steps.
    pub fn resume<M: Adaptable<B>>(&mut self, model: &mut M, tensors: &Tensors, steps: u32, device: &B::Device) {
        self.steps = steps;
        let tensor = |name: &str, part: &str| -> Option<Tensor<B::InnerBackend, 2>> {
            let (shape, values) = tensors.get(&format!("{name}.{part}"))?;
            Some(Tensor::from_data(TensorData::new(values.clone(), shape.clone()), (device, DType::F32)))
        };
        let (mut matrices, mut means, mut squares) = (Vec::new(), Vec::new(), Vec::new());
        for_every_matrix(model, |name, parameter| {
            if let Some(weight) = tensor(&name, "weight") {
                *parameter = trainable(parameter.id, weight);
            }
            if let (Some(mean), Some(square)) = (tensor(&name, "mean"), tensor(&name, "square")) {
                let matrix = Matrix { name, shape: mean.dims() };
                means.push(mean.reshape([matrix.numbers()]));
                squares.push(square.reshape([matrix.numbers()]));
                matrices.push(matrix);
            }
        });
        self.moments = (!matrices.is_empty()).then(|| Moments {
            matrices,
            mean: Tensor::cat(means, 0),
            square: Tensor::cat(squares, 0),
        });
    }
}

impl<B: Backend> Moments<B> {
    /// After one more gradient.
    fn moved(self, gradient: Tensor<B, 1>) -> Self {
        let square = gradient.clone().square();
        Self {
            mean: self.mean.mul_scalar(MEAN_KEEPS) + gradient.mul_scalar(1.0 - MEAN_KEEPS),
            square: self.square.mul_scalar(SQUARE_KEEPS) + square.mul_scalar(1.0 - SQUARE_KEEPS),
            ..self
        }
    }

    /// Mean over root of mean square, both without the pull of their beginning at zero so many steps ago.
    fn change(&self, steps: u32) -> Tensor<B, 1> {
        let missing = |keeps: f64| 1.0 - keeps.powf(f64::from(steps));
        let mean = self.mean.clone().div_scalar(missing(MEAN_KEEPS));
        let root = self.square.clone().div_scalar(missing(SQUARE_KEEPS)).sqrt().add_scalar(EPSILON);
        mean / root
    }

    /// What lies in a row for each matrix.
    fn cut<'a>(&'a self, row: &'a Tensor<B, 1>) -> impl Iterator<Item = (String, Tensor<B, 2>)> + 'a {
        let mut start = 0;
        self.matrices.iter().map(move |matrix| {
            let part = row.clone().narrow(0, start, matrix.numbers()).reshape(matrix.shape);
            start += matrix.numbers();
            (matrix.name.clone(), part)
        })
    }
}
/// Visits both matrices of the last pair of every layer that has one.
fn for_every_matrix<B: AutodiffBackend, M: Adaptable<B>>(
    model: &mut M,
    mut visit: impl FnMut(String, &mut Param<Tensor<B, 2>>),
) {
    let layers: BTreeMap<String, &mut Linear<B>> = model.linear_layers();
    for (name, layer) in layers {
        if let Some(pair) = layer.adapters.last_mut() {
            visit(format!("{name}.A"), &mut pair.a);
            visit(format!("{name}.B"), &mut pair.b);
        }
    }
}

fn trainable<B: AutodiffBackend>(id: ParamId, value: Tensor<B::InnerBackend, 2>) -> Param<Tensor<B, 2>> {
    Param::initialized(id, Tensor::from_inner(value).require_grad())
}

fn plain<B: Backend>(tensor: Tensor<B, 2>) -> (Vec<usize>, Vec<f32>) {
    let shape = tensor.dims().to_vec();
    (shape, tensor.into_data().iter::<f32>().collect())
}

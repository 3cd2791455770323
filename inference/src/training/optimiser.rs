//! AdamW (Loshchilov and Hutter, 2019) over the pairs of an adapter, in f32, with a state that can be written and read back
//! to the bit.

use std::collections::BTreeMap;

use burn::{
    module::{Param, ParamId},
    optim::GradientsParams,
    tensor::{DType, ElementConversion, Tensor, TensorData, backend::AutodiffBackend},
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
pub struct AdamW<B: AutodiffBackend> {
    moments: BTreeMap<String, Moments<B>>,
    steps: u32,
}

struct Moments<B: AutodiffBackend> {
    mean: Tensor<B::InnerBackend, 2>,
    square: Tensor<B::InnerBackend, 2>,
}

/// Tensors by name, as a checkpoint keeps them.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

impl<B: AutodiffBackend> AdamW<B> {
    /// An optimiser that has made no step.
    pub fn new() -> Self {
        Self { moments: BTreeMap::new(), steps: 0 }
    }

    /// Makes one step.
    pub fn step<M: Adaptable<B>>(&mut self, model: &mut M, gradients: &mut GradientsParams, learning_rate: f64) {
        self.steps += 1;
        let mut found = Vec::new();
        for_every_matrix(model, |name, parameter| {
            if let Some(gradient) = gradients.remove::<B::InnerBackend, 2>(parameter.id) {
                found.push((name, gradient));
            }
        });
        let length: f64 = found.iter().map(|(_, gradient)| sum_of_squares(gradient)).sum::<f64>().sqrt();
        let clip = if length > LONGEST_GRADIENT { LONGEST_GRADIENT / length } else { 1.0 };
        let mut changes: BTreeMap<String, Tensor<B::InnerBackend, 2>> = found
            .into_iter()
            .map(|(name, gradient)| (name.clone(), self.change(&name, gradient.mul_scalar(clip))))
            .collect();
        for_every_matrix(model, |name, parameter| {
            let Some(change) = changes.remove(&name) else { return };
            let now = parameter.val().inner();
            let next = now.mul_scalar(1.0 - learning_rate * WEIGHT_DECAY) - change.mul_scalar(learning_rate);
            *parameter = trainable(parameter.id, next);
        });
    }

    /// Mean over root of mean square, both without the pull of their beginning at zero.
    fn change(&mut self, name: &str, gradient: Tensor<B::InnerBackend, 2>) -> Tensor<B::InnerBackend, 2> {
        let square = gradient.clone().square();
        let moments = match self.moments.remove(name) {
            None => {
                Moments { mean: gradient.mul_scalar(1.0 - MEAN_KEEPS), square: square.mul_scalar(1.0 - SQUARE_KEEPS) }
            }
            Some(moments) => Moments {
                mean: moments.mean.mul_scalar(MEAN_KEEPS) + gradient.mul_scalar(1.0 - MEAN_KEEPS),
                square: moments.square.mul_scalar(SQUARE_KEEPS) + square.mul_scalar(1.0 - SQUARE_KEEPS),
            },
        };
        let missing = |keeps: f64| 1.0 - keeps.powf(f64::from(self.steps));
        let mean = moments.mean.clone().div_scalar(missing(MEAN_KEEPS));
        let root = moments.square.clone().div_scalar(missing(SQUARE_KEEPS)).sqrt().add_scalar(EPSILON);
        self.moments.insert(name.to_owned(), moments);
        mean / root
    }

    /// The weights and the state, for a checkpoint.
    pub fn tensors<M: Adaptable<B>>(&self, model: &mut M) -> Tensors {
        let mut tensors = Tensors::new();
        for_every_matrix(model, |name, parameter| {
            tensors.insert(format!("{name}.weight"), plain(parameter.val().inner()));
        });
        for (name, moments) in &self.moments {
            tensors.insert(format!("{name}.mean"), plain(moments.mean.clone()));
            tensors.insert(format!("{name}.square"), plain(moments.square.clone()));
        }
        tensors
    }

    /// Sets the weights and the state from a checkpoint after so many steps.
    pub fn resume<M: Adaptable<B>>(&mut self, model: &mut M, tensors: &Tensors, steps: u32, device: &B::Device) {
        self.steps = steps;
        let tensor = |name: &str, part: &str| {
            let (shape, values) = tensors.get(&format!("{name}.{part}"))?;
            Some(Tensor::from_data(TensorData::new(values.clone(), shape.clone()), (device, DType::F32)))
        };
        let moments = &mut self.moments;
        for_every_matrix(model, |name, parameter| {
            if let Some(weight) = tensor(&name, "weight") {
                *parameter = trainable(parameter.id, weight);
            }
            if let (Some(mean), Some(square)) = (tensor(&name, "mean"), tensor(&name, "square")) {
                moments.insert(name, Moments { mean, square });
            }
        });
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

fn sum_of_squares<B: burn::tensor::backend::Backend>(tensor: &Tensor<B, 2>) -> f64 {
    tensor.clone().square().sum().into_scalar().elem::<f64>()
}

fn plain<B: burn::tensor::backend::Backend>(tensor: Tensor<B, 2>) -> (Vec<usize>, Vec<f32>) {
    let shape = tensor.dims().to_vec();
    (shape, tensor.into_data().iter::<f32>().collect())
}

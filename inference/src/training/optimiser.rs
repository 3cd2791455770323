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

/// How much more late steps count in the average of the weights than early ones: the last tenth of the steps makes up two thirds of it
/// (polynomial-decay averaging: Shamir and Zhang, "Stochastic Gradient Descent for Non-smooth Optimization", 2013, section 4).
const RECENT: f64 = 9.0;

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

/// The weights and the state of some matrices, one after the other.
struct Moments<B: Backend> {
    matrices: Vec<Matrix>,
    weights: Tensor<B, 1>,
    mean: Tensor<B, 1>,
    square: Tensor<B, 1>,
    /// The [average](RECENT) of the weights.
    average: Tensor<B, 1>,
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
            _ => Moments::at_rest(matrices, weights(model)),
        };
        let moments = moments.moved(gradient.mul_scalar(clip), self.steps, learning_rate);
        moments.set(&moments.weights, model);
        self.moments = Some(moments);
    }

    /// Gives every matrix the average of what it was after the steps so far, the last ones counting most.
    pub fn take_average<M: Adaptable<B>>(&self, model: &mut M) {
        if let Some(moments) = &self.moments {
            moments.set(&moments.average, model);
        }
    }

    /// The weights and the state, for a checkpoint.
    pub fn tensors<M: Adaptable<B>>(&self, model: &mut M) -> Tensors {
        let mut tensors = Tensors::new();
        for_every_matrix(model, |name, parameter| {
            tensors.insert(format!("{name}.weight"), plain(parameter.val().inner()));
        });
        if let Some(moments) = &self.moments {
            let rows = [("mean", &moments.mean), ("square", &moments.square), ("average", &moments.average)];
            for (part, row) in rows {
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
        let (mut matrices, mut means, mut squares, mut averages) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for_every_matrix(model, |name, parameter| {
            if let Some(weight) = tensor(&name, "weight") {
                *parameter = trainable(parameter.id, weight);
            }
            if let (Some(mean), Some(square)) = (tensor(&name, "mean"), tensor(&name, "square")) {
                // Checkpoints of before there was an average have none: it begins where they are.
                let average = tensor(&name, "average").unwrap_or_else(|| parameter.val().inner());
                let matrix = Matrix { name, shape: mean.dims() };
                means.push(mean.reshape([matrix.numbers()]));
                squares.push(square.reshape([matrix.numbers()]));
                averages.push(average.reshape([matrix.numbers()]));
                matrices.push(matrix);
            }
        });
        self.moments = (!matrices.is_empty()).then(|| Moments {
            matrices,
            weights: weights(model),
            mean: Tensor::cat(means, 0),
            square: Tensor::cat(squares, 0),
            average: Tensor::cat(averages, 0),
        });
    }
}

impl<B: Backend> Moments<B> {
    /// Before the first step.
    fn at_rest(matrices: Vec<Matrix>, weights: Tensor<B, 1>) -> Self {
        let (mean, square) = (weights.zeros_like(), weights.zeros_like());
        Self { matrices, mean, square, average: weights.clone(), weights }
    }

    /// After one more gradient, that of a step with this number, from 1, and this learning rate.
    fn moved(mut self, gradient: Tensor<B, 1>, step: u32, learning_rate: f64) -> Self {
        let square = gradient.clone().square();
        self.mean = self.mean.mul_scalar(MEAN_KEEPS) + gradient.mul_scalar(1.0 - MEAN_KEEPS);
        self.square = self.square.mul_scalar(SQUARE_KEEPS) + square.mul_scalar(1.0 - SQUARE_KEEPS);
        let change = self.change(step).mul_scalar(learning_rate);
        self.weights = self.weights.mul_scalar(1.0 - learning_rate * WEIGHT_DECAY) - change;
        let keeps = average_keeps(step);
        self.average = self.average.mul_scalar(keeps) + self.weights.clone().mul_scalar(1.0 - keeps);
        self
    }

    /// Mean over root of mean square, both without the pull of their beginning at zero so many steps ago.
    fn change(&self, steps: u32) -> Tensor<B, 1> {
        let missing = |keeps: f64| 1.0 - keeps.powf(f64::from(steps));
        let mean = self.mean.clone().div_scalar(missing(MEAN_KEEPS));
        let root = self.square.clone().div_scalar(missing(SQUARE_KEEPS)).sqrt().add_scalar(EPSILON);
        mean / root
    }

    /// Gives every matrix of a model what lies in a row for it.
    fn set<A: AutodiffBackend<InnerBackend = B>, M: Adaptable<A>>(&self, row: &Tensor<B, 1>, model: &mut M) {
        let mut values: BTreeMap<_, _> = self.cut(row).collect();
        for_every_matrix(model, |name, parameter| {
            if let Some(value) = values.remove(&name) {
                *parameter = trainable(parameter.id, value);
            }
        });
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

/// What of the average stays at a step, counted from 1: see [`RECENT`].
fn average_keeps(step: u32) -> f64 {
    f64::from(step - 1) / (f64::from(step) + RECENT)
}

/// The weights of all matrices in one row.
fn weights<B: AutodiffBackend, M: Adaptable<B>>(model: &mut M) -> Tensor<B::InnerBackend, 1> {
    let mut rows = Vec::new();
    for_every_matrix(model, |_, parameter| {
        let weight = parameter.val().inner();
        let numbers = weight.dims().iter().product::<usize>();
        rows.push(weight.reshape([numbers]));
    });
    Tensor::cat(rows, 0)
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

#[cfg(test)]
mod tests {
    use burn::{
        backend::{Autodiff, Flex},
        module::{AutodiffModule, Module},
    };
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::{lora::inject::last_pairs, nn::linear::LowRank};

    /// Two layers, one after the other.
    #[derive(Module, Debug)]
    struct TwoLayers<B: Backend> {
        first: Linear<B>,
        second: Linear<B>,
    }

    impl<B: Backend> Adaptable<B> for TwoLayers<B> {
        fn linear_layers(&mut self) -> BTreeMap<String, &mut Linear<B>> {
            BTreeMap::from([("first".to_owned(), &mut self.first), ("second".to_owned(), &mut self.second)])
        }
    }

    /// Numbers of layers: in, between, out; and the rank of what is learnt beside them.
    const WIDTHS: [usize; 3] = [24, 40, 16];
    const RANK: usize = 8;

    fn drawn<B: Backend>(seed: u64, shape: [usize; 2], device: &B::Device) -> Tensor<B, 2> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| random.random_range(-0.5..0.5)).collect();
        Tensor::from_data(TensorData::new(numbers, shape), (device, DType::F32))
    }

    fn two_layers<B: AutodiffBackend>(device: &B::Device) -> TwoLayers<B> {
        let layer = |seed: u64, inputs: usize, outputs: usize| {
            let mut layer = Linear::of_weight(drawn::<B>(seed, [outputs, inputs], device)).no_grad();
            let [a, b] = [(1, [RANK, inputs]), (2, [outputs, RANK])]
                .map(|(place, shape)| Param::from_tensor(drawn::<B>(seed + place, shape, device).require_grad()));
            layer.adapt(LowRank { a, b, scale: 0.5 });
            layer
        };
        TwoLayers { first: layer(10, WIDTHS[0], WIDTHS[1]), second: layer(20, WIDTHS[1], WIDTHS[2]) }
    }

    /// What two layers have learnt after some steps, then its average.
    fn learnt<B: AutodiffBackend>(steps: u64, device: &B::Device) -> [BTreeMap<String, Vec<f32>>; 2] {
        let (mut layers, mut optimiser) = (two_layers::<B>(device), AdamW::new());
        for step in 0..steps {
            let input = drawn::<B>(100 + step, [12, WIDTHS[0]], device);
            let wanted = drawn::<B>(200 + step, [12, WIDTHS[2]], device);
            let output = layers.second.forward(layers.first.forward(input));
            let gradients = (output - wanted).square().mean().backward();
            let mut gradients = GradientsParams::from_grads(gradients, &layers);
            optimiser.step(&mut layers, &mut gradients, 0.02);
        }
        let plain = |layers: &TwoLayers<B>| {
            let pairs = last_pairs(&mut layers.valid()).into_iter();
            pairs.map(|(name, pair)| (name, [pair.a, pair.b].concat())).collect()
        };
        let last = plain(&layers);
        optimiser.take_average(&mut layers);
        [last, plain(&layers)]
    }

    #[test]
    fn the_average_is_of_what_was_learnt_step_by_step() {
        let steps = 5;
        let mut expected: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        for step in 1..=steps {
            let [after, _] = learnt::<Autodiff<Flex>>(step, &Default::default());
            let keeps = average_keeps(step as u32) as f32;
            for (name, numbers) in after {
                let average = expected.entry(name).or_insert_with(|| vec![0.0; numbers.len()]);
                average
                    .iter_mut()
                    .zip(numbers)
                    .for_each(|(average, now)| *average = *average * keeps + now * (1.0 - keeps));
            }
        }
        let [last, average] = learnt::<Autodiff<Flex>>(steps, &Default::default());
        for (name, numbers) in &average {
            let far =
                |other: &[f32]| numbers.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
            assert!(far(&expected[name]) < 1e-6 && far(&last[name]) > 1e-3, "{name}");
        }
    }

    #[test]
    fn the_average_is_of_the_last_steps_for_the_most_part() {
        // How much each of 1,000 steps counts in the end.
        let shares: Vec<f64> = (1..=1000)
            .map(|step| (1.0 - average_keeps(step)) * (step + 1..=1000).map(average_keeps).product::<f64>())
            .collect();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "they are an average");
        let last_tenth: f64 = shares[900..].iter().sum();
        assert!((0.6..0.7).contains(&last_tenth), "{last_tenth}");
        assert!(shares.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[cfg(feature = "cuda")]
    #[test]
    fn a_card_learns_what_the_processor_learns() {
        if let Err(error) = crate::DeviceName::Cuda(0).check() {
            eprintln!("Not compared: {error}");
            return;
        }
        let found = learnt::<Autodiff<burn::backend::Cuda<f32>>>(5, &burn::backend::cuda::CudaDevice::new(0));
        let expected = learnt::<Autodiff<Flex>>(5, &Default::default());
        for (found, expected) in found.iter().zip(&expected) {
            for (name, numbers) in expected {
                let far = found[name].iter().zip(numbers).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
                assert!(far < 1e-3, "{name}: {far}");
            }
        }
    }
}

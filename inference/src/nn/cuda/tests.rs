//! What the card computes is what the processor computes, and so are its gradients. Without a card there is nothing to compare, and the
//! tests say so.

use burn::{
    backend::{Autodiff, Cuda, Flex},
    module::Param,
    tensor::{
        Tensor, TensorData,
        backend::{AutodiffBackend, Backend},
    },
};
use half::bf16;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    device::DeviceName,
    nn::{
        attention::multi_head_attention,
        linear::{Linear, LowRank},
        rope::Rotation,
    },
};

/// Numbers of a shape.
type Numbers = (Vec<f32>, Vec<usize>);

/// The card, if there is one.
fn card<B: Backend<Device = burn::backend::cuda::CudaDevice>>() -> Option<B::Device> {
    match DeviceName::Cuda(0).check() {
        Ok(()) => Some(burn::backend::cuda::CudaDevice::new(0)),
        Err(error) => {
            eprintln!("Not compared: {error}");
            None
        }
    }
}

/// Normal enough numbers that both precisions hold exactly.
fn draw(seed: u64, shape: &[usize]) -> Numbers {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let one = |_| bf16::from_f32((0..4).map(|_| random.random_range(-0.5f32..0.5)).sum()).to_f32();
    ((0..shape.iter().product()).map(one).collect(), shape.to_vec())
}

fn tensor<B: Backend, const D: usize>((values, shape): &Numbers, device: &B::Device) -> Tensor<B, D> {
    Tensor::from_data(TensorData::new(values.clone(), shape.clone()), device)
}

fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The sum of the output, each number times one of its own, so that every gradient is another.
fn weighed<B: Backend, const D: usize>(output: Tensor<B, D>, weights: &Numbers) -> Tensor<B, 1> {
    let weights = tensor::<B, D>(weights, &output.device());
    (output * weights).sum()
}

fn assert_close(name: &str, found: &[f32], expected: &[f32], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name} has another shape");
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|number| number * number).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let share = difference / norm(&mut expected.iter().map(|number| f64::from(*number)));
    eprintln!("{name}: {share:.5}");
    assert!(share < tolerance, "{name} is {share} away from the processor's, of {tolerance} at most");
}

/// Output and gradients of attention.
fn attention<B: AutodiffBackend>(inputs: &[Numbers; 3], weights: &Numbers, heads: usize, device: &B::Device) -> [Vec<f32>; 4] {
    let leaves = inputs.each_ref().map(|input| tensor::<B, 3>(input, device).require_grad());
    let [query, key, value] = leaves.clone();
    let output = multi_head_attention(query, key, value, heads, None);
    let gradients = weighed(output.clone(), weights).backward();
    let [query, key, value] = leaves.map(|leaf| values(leaf.grad(&gradients).expect("it is a leaf")));
    [values(output.inner()), query, key, value]
}

#[test]
fn attention_and_its_gradients_are_those_of_the_processor() {
    type Half = Autodiff<Cuda<bf16>>;
    let Some(device) = card::<Half>() else { return };
    // Neither fills its last tile; one has less than a tile.
    for (heads, width, queries, keys) in [(3, 128, 300, 200), (2, 64, 77, 150), (5, 64, 129, 20), (24, 128, 1024, 1024)] {
        let features = heads * width;
        let inputs = [(1, queries), (2, keys), (3, keys)].map(|(seed, tokens)| draw(seed, &[2, tokens, features]));
        let weights = draw(4, &[2, queries, features]);
        let found = attention::<Half>(&inputs, &weights, heads, &device);
        let expected = attention::<Autodiff<Flex>>(&inputs, &weights, heads, &Default::default());
        for ((name, found), expected) in ["output", "queries", "keys", "values"].iter().zip(found).zip(expected) {
            assert_close(&format!("{name} of {heads} heads of {width}"), &found, &expected, 0.01);
        }
    }
}

/// Output and gradient of both kinds of rotation.
fn rotation<B: AutodiffBackend>(input: &Numbers, weights: &Numbers, device: &B::Device) -> [Vec<f32>; 4] {
    let tokens = input.1[1];
    let ids: Vec<[i64; 4]> = (0..tokens as i64).map(|token| [0, token / 8, token % 8, token]).collect();
    let neighbours = Rotation::<B>::interleaved(&ids, &[16, 16, 16, 16], 2000.0, device);
    let halves = Rotation::<B>::halves(tokens, 64, 10_000.0, device);
    let [[first, second], [third, fourth]] = [neighbours, halves].map(|rotation| {
        let leaf = tensor::<B, 3>(input, device).require_grad();
        let turned = rotation.turn(leaf.clone());
        let gradients = weighed(turned.clone(), weights).backward();
        [values(turned.inner()), values(leaf.grad(&gradients).expect("it is a leaf"))]
    });
    [first, second, third, fourth]
}

#[test]
fn rotations_and_their_gradients_are_those_of_the_processor() {
    type Half = Autodiff<Cuda<bf16>>;
    let Some(device) = card::<Half>() else { return };
    let (input, weights) = (draw(1, &[2, 50, 192]), draw(2, &[2, 50, 192]));
    let found = rotation::<Half>(&input, &weights, &device);
    let expected = rotation::<Autodiff<Flex>>(&input, &weights, &Default::default());
    let names = ["neighbours", "gradient of neighbours", "halves", "gradient of halves"];
    for ((name, found), expected) in names.iter().zip(found).zip(expected) {
        assert_close(name, &found, &expected, 0.01);
    }
}

/// Sizes of a linear layer with a pair.
const ROWS: usize = 150;
const PIECES: [usize; 2] = [64, 40];
const OUTPUTS: usize = 96;
const RANK: usize = 16;

/// Outputs of a layer and gradients of everything that it is made of.
fn linear<B: AutodiffBackend>(device: &B::Device) -> Vec<(&'static str, Vec<f32>)> {
    let inputs: usize = PIECES.iter().sum();
    let pieces = PIECES.map(|width| tensor::<B, 2>(&draw(width as u64, &[ROWS, width]), device).require_grad());
    let matrix = |seed, shape: [usize; 2]| Param::from_tensor(tensor::<B, 2>(&draw(seed, &shape), device));
    let layer = Linear {
        weight: matrix(1, [OUTPUTS, inputs]),
        bias: Some(Param::from_tensor(tensor::<B, 1>(&draw(2, &[OUTPUTS]), device))),
        adapters: vec![LowRank { a: matrix(3, [RANK, inputs]), b: matrix(4, [OUTPUTS, RANK]), scale: 0.5 }],
    };
    let joined = layer.forward_joined(pieces.to_vec());
    let [left, right] = layer.forward_in_parts(Tensor::cat(pieces.to_vec(), 1), [32, OUTPUTS - 32]);
    let sum = weighed(joined.clone(), &draw(5, &[ROWS, OUTPUTS]))
        + weighed(left.clone(), &draw(6, &[ROWS, 32]))
        + weighed(right.clone(), &draw(7, &[ROWS, OUTPUTS - 32]));
    let gradients = sum.backward();
    let of = |matrix: &Param<Tensor<B, 2>>| values(matrix.val().grad(&gradients).expect("it is learnt"));
    let [first, second] = pieces.map(|piece| values(piece.grad(&gradients).expect("it is a leaf")));
    let bias = layer.bias.as_ref().and_then(|bias| bias.val().grad(&gradients)).expect("it is learnt");
    vec![
        ("output", values(joined.inner())),
        ("left part", values(left.inner())),
        ("right part", values(right.inner())),
        ("first piece", first),
        ("second piece", second),
        ("weight", of(&layer.weight)),
        ("bias", values(bias)),
        ("a", of(&layer.adapters[0].a)),
        ("b", of(&layer.adapters[0].b)),
    ]
}

#[test]
fn linear_layers_and_their_gradients_are_those_of_the_processor() {
    let Some(device) = card::<Autodiff<Cuda<f32>>>() else { return };
    let expected = linear::<Autodiff<Flex>>(&Default::default());
    let of = [("f32", linear::<Autodiff<Cuda<f32>>>(&device), 1e-4), ("bf16", linear::<Autodiff<Cuda<bf16>>>(&device), 0.01)];
    for (precision, found, tolerance) in of {
        for ((name, found), (_, expected)) in found.iter().zip(&expected) {
            assert_close(&format!("{name} in {precision}"), found, expected, tolerance);
        }
    }
}

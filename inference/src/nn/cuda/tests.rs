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
        activation::{gated_sum, gelu_gated, silu_gated},
        attention::multi_head_attention,
        convolution::{Conv2d, GroupNorm, laid_out},
        linear::{Linear, LowRank},
        norm::{RmsNorm, scaled_layer_norm},
        picture,
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
    // A device's own precision is that of the first backend that used it.
    let precision = <B::FloatElem as burn::tensor::Element>::dtype();
    Tensor::from_data(TensorData::new(values.clone(), shape.clone()), (device, precision))
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
fn attention<B: AutodiffBackend>(
    inputs: &[Numbers; 3],
    weights: &Numbers,
    heads: usize,
    device: &B::Device,
) -> [Vec<f32>; 4] {
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
    let shapes = [
        (3, 128, 300, 200),
        (2, 64, 77, 150),
        (5, 64, 129, 20),
        (6, 32, 290, 290),
        (3, 32, 31, 70),
        (24, 128, 1024, 1024),
    ];
    for (heads, width, queries, keys) in shapes {
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

/// Outputs of normalisations and gates, each with the gradients of everything that it is computed from.
fn rows<B: AutodiffBackend>(device: &B::Device) -> Vec<(&'static str, Vec<f32>)> {
    let shape = [2, 70, 384];
    let stream = |seed| tensor::<B, 3>(&draw(seed, &shape), device).require_grad();
    // One row for all, and one for each entry.
    let row = |seed, entries| tensor::<B, 3>(&draw(seed, &[entries, 1, 384]), device).require_grad();
    let weights = draw(20, &shape);
    let mut all = Vec::new();
    let mut take = |name, output: Tensor<B, 3>, leaves: Vec<Tensor<B, 3>>| {
        let gradients = weighed(output.clone(), &weights).backward();
        all.push((name, values(output.inner())));
        all.extend(leaves.into_iter().map(|leaf| (name, values(leaf.grad(&gradients).expect("it is a leaf")))));
    };
    for entries in [1, 2] {
        let (input, scale, shift) = (stream(1), row(2, entries), row(3, entries));
        let normed = scaled_layer_norm(input.clone(), scale.clone(), shift.clone(), 1e-6);
        take("layer norm", normed, vec![input, scale, shift]);
        let (input, branch, gate) = (stream(4), stream(5), row(6, entries));
        take("gated sum", gated_sum(input.clone(), branch.clone(), gate.clone()), vec![input, branch, gate]);
    }
    let (gate, value) = (stream(7), stream(8));
    take("gated by silu", silu_gated(gate.clone(), value.clone()), vec![gate.clone(), value.clone()]);
    take("gated by gelu", gelu_gated(gate.clone(), value.clone()), vec![gate, value]);
    let norm = RmsNorm { weight: Param::from_tensor(tensor::<B, 1>(&draw(9, &[128]), device)), epsilon: 1e-6 };
    let input = stream(10);
    let normed = norm.forward_by_head(input.clone());
    let gradients = weighed(normed.clone(), &weights).backward();
    all.push(("root mean square norm", values(normed.inner())));
    all.push(("root mean square norm", values(input.grad(&gradients).expect("it is a leaf"))));
    all.push(("its weight", values(norm.weight.val().grad(&gradients).expect("it is learnt"))));
    all
}

#[test]
fn normalisations_gates_and_their_gradients_are_those_of_the_processor() {
    type Half = Autodiff<Cuda<bf16>>;
    let Some(device) = card::<Half>() else { return };
    let expected = rows::<Autodiff<Flex>>(&Default::default());
    for ((name, found), (_, expected)) in rows::<Half>(&device).iter().zip(&expected) {
        assert_close(name, found, expected, 0.01);
    }
}

/// What becomes of a picture in convolutions and between them, one after the other as in a network.
fn pictures<B: Backend>(device: &B::Device) -> Vec<(&'static str, Vec<f32>)> {
    let convolution = |seed, inputs: usize, outputs: usize, kernel: usize| {
        let mut drawn = Conv2d::<B>::new(inputs, outputs, kernel, device);
        drawn.weight = Param::from_tensor(tensor(&draw(seed, &[outputs, inputs, kernel, kernel]), device));
        drawn.bias = Some(Param::from_tensor(tensor(&draw(seed + 1, &[outputs]), device)));
        laid_out(drawn)
    };
    let norm = |seed, channels: usize, groups| GroupNorm::<B> {
        weight: Param::from_tensor(tensor(&draw(seed, &[channels]), device)),
        bias: Param::from_tensor(tensor(&draw(seed + 1, &[channels]), device)),
        groups,
        epsilon: 1e-6,
    };
    let input = tensor::<B, 4>(&draw(1, &[2, 4, 24, 40]), device);
    let wide = convolution(2, 4, 64, 3).forward(input).div_scalar(4.0);
    let normed = norm(4, 64, 16).forward_silu(wide.clone());
    let narrow = convolution(6, 64, 32, 1).forward(normed.clone()).div_scalar(8.0);
    let shifted = picture::shifted(narrow.clone(), tensor(&draw(8, &[2, 32]), device));
    let beside = picture::beside(normed.clone(), shifted.clone());
    let halved = Conv2d { stride: 2, ..convolution(10, 96, 96, 3) }.forward(beside.clone()).div_scalar(16.0);
    let places = picture::to_places(halved.clone());
    let sum = picture::sum(halved.clone(), picture::of_places(places.clone(), &halved));
    let plain = norm(12, 96, 32).forward(sum.clone());
    let out = convolution(14, 96, 3, 3).forward(plain.clone());
    let mut all = vec![("places", values(places))];
    let pictures = [
        ("convolution of few channels", wide),
        ("group norm", normed),
        ("convolution of pixels", narrow),
        ("shifted", shifted),
        ("beside", beside),
        ("halving convolution", halved),
        ("sum", sum),
        ("group norm of small groups", plain),
        ("convolution to few channels", out),
    ];
    all.extend(pictures.map(|(name, picture)| (name, values(picture))));
    all
}

#[test]
fn pictures_are_those_of_the_processor() {
    let Some(device) = card::<Cuda<bf16>>() else { return };
    let expected = pictures::<Flex>(&Default::default());
    let of = [("f32", pictures::<Cuda<f32>>(&device), 1e-3), ("bf16", pictures::<Cuda<bf16>>(&device), 0.02)];
    for (precision, found, tolerance) in of {
        for ((name, found), (_, expected)) in found.iter().zip(&expected) {
            assert_close(&format!("{name} in {precision}"), found, expected, tolerance);
        }
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
    let of = [
        ("f32", linear::<Autodiff<Cuda<f32>>>(&device), 1e-4),
        ("bf16", linear::<Autodiff<Cuda<bf16>>>(&device), 0.01),
    ];
    for (precision, found, tolerance) in of {
        for ((name, found), (_, expected)) in found.iter().zip(&expected) {
            assert_close(&format!("{name} in {precision}"), found, expected, tolerance);
        }
    }
}

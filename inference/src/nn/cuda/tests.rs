//! What the card computes is what the processor computes, and so are its gradients. Without a card there is nothing to compare, and the
//! tests say so.

use std::{cell::Cell, fs, path::Path};

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
use serde_json::json;

use crate::{
    device::DeviceName,
    dtype::Precision,
    flux2::pipeline::Flux2Pipeline,
    lora::inject::Adaptable as _,
    nn::{
        activation::{gated_sum, gelu_gated, silu_gated},
        attention::multi_head_attention,
        convolution::{Conv2d, GroupNorm, laid_out},
        linear::{Linear, LowRank},
        norm::{RmsNorm, scaled_layer_norm},
        picture,
        recorded::{Given, Recorded, without_gaps},
        rope::Rotation,
    },
    sdxl::{pipeline::SdxlPipeline, text_context::TextContext},
    single_file::unpack,
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
    let mut layer = Linear::of_weight(tensor(&draw(1, &[OUTPUTS, inputs]), device));
    layer.bias = Some(Param::from_tensor(tensor::<B, 1>(&draw(2, &[OUTPUTS]), device)));
    layer.adapt(LowRank { a: matrix(3, [RANK, inputs]), b: matrix(4, [OUTPUTS, RANK]), scale: 0.5 });
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

/// Rows, the widths of an input's pieces, and layers' outputs.
const FP8_ROWS: usize = 150;
const FP8_PIECES: [usize; 2] = [64, 48];
const FP8_OUTPUTS: [usize; 3] = [96, 64, 80];

/// Three layers of one input, the second with a pair.
fn three_layers<B: Backend>(device: &B::Device) -> [Linear<B>; 3] {
    let inputs: usize = FP8_PIECES.iter().sum();
    let matrix = |seed, shape: [usize; 2]| Param::from_tensor(tensor::<B, 2>(&draw(seed, &shape), device));
    let layer = |index: usize| {
        let weight = tensor(&draw(1 + index as u64, &[FP8_OUTPUTS[index], inputs]), device);
        let mut layer = Linear::of_weight(weight);
        layer.bias = (index == 2).then(|| Param::from_tensor(tensor::<B, 1>(&draw(9, &[FP8_OUTPUTS[2]]), device)));
        layer
    };
    let mut layers = [0, 1, 2].map(layer);
    let [outputs, rank] = [FP8_OUTPUTS[1], RANK];
    layers[1].adapt(LowRank { a: matrix(10, [rank, inputs]), b: matrix(11, [outputs, rank]), scale: 0.5 });
    layers
}

/// What three layers make of an input, and gradients of what is learnt beside the second one.
fn of_three_layers<B: AutodiffBackend>(keeps_fp8: bool, device: &B::Device) -> Vec<(&'static str, Vec<f32>)> {
    let pieces = |seed: u64| FP8_PIECES.map(|width| draw(seed + width as u64, &[FP8_ROWS, width]));
    let mut layers = three_layers::<B::InnerBackend>(device);
    let mut learning = three_layers::<B>(device);
    if keeps_fp8 {
        let [one, two, three] = &mut layers;
        Linear::keep_in_fp8(vec![one, two, three]);
        learning[1].fp8 = layers[1].fp8.clone();
        learning[1].weight = Param::from_tensor(Tensor::zeros_like(&learning[1].weight.val()));
    }
    let plain = pieces(20).each_ref().map(|piece| tensor::<B::InnerBackend, 2>(piece, device));
    let whole = Tensor::cat(plain.to_vec(), 1);
    let [one, two, three] = Linear::forward_beside(layers.each_ref(), whole.clone());
    let stream = tensor::<B::InnerBackend, 2>(&draw(30, &[FP8_ROWS, FP8_OUTPUTS[1]]), device);
    let onto = layers[1].forward_onto(stream, whole.clone());
    let [left, right] = layers[0].forward_in_parts(whole.clone(), [32, 64]);
    let joined = layers[2].forward_joined(plain.to_vec());
    let leaf = tensor::<B, 2>(&values_of(&whole), device).require_grad();
    let learnt = learning[1].forward(leaf.clone());
    let gradients = weighed(learnt.clone(), &draw(31, &[FP8_ROWS, FP8_OUTPUTS[1]])).backward();
    let pair = &learning[1].adapters[0];
    let of = |matrix: &Param<Tensor<B, 2>>| values(matrix.val().grad(&gradients).expect("it is learnt"));
    let (a, b) = (of(&pair.a), of(&pair.b));
    layers[1].merge_adapters();
    vec![
        ("first", values(one)),
        ("second", values(two)),
        ("third", values(three)),
        ("onto a stream", values(onto)),
        ("left part", values(left)),
        ("right part", values(right)),
        ("of pieces", values(joined)),
        ("with gradients", values(learnt.inner())),
        ("gradient of the input", values(leaf.grad(&gradients).expect("it is a leaf"))),
        ("a", a),
        ("b", b),
        ("merged", values(layers[1].forward(whole))),
    ]
}

fn values_of<B: Backend>(tensor: &Tensor<B, 2>) -> Numbers {
    (values(tensor.clone()), tensor.dims().to_vec())
}

/// A number of three bits of mantissa is a sixteenth away at most, and 2.6 % as a rule; a product has two of them.
#[test]
fn layers_in_eight_bits_are_near_those_of_the_processor() {
    let Some(device) = card::<Autodiff<Cuda<bf16>>>() else { return };
    let expected = of_three_layers::<Autodiff<Flex>>(false, &Default::default());
    let found = of_three_layers::<Autodiff<Cuda<bf16>>>(true, &device);
    for ((name, found), (_, expected)) in found.iter().zip(&expected) {
        assert_close(&format!("{name} in eight bits"), found, expected, 0.06);
    }
    let mut layers = three_layers::<Cuda<bf16>>(&device);
    let before = layers.each_ref().map(|layer| values(layer.weight.val()));
    let [one, two, three] = &mut layers;
    Linear::keep_in_fp8(vec![one, two, three]);
    for (layer, before) in layers.iter().zip(before) {
        let width = layer.features().0;
        for (row, kept) in before.chunks(width).zip(values(layer.whole_weight()).chunks(width)) {
            let largest = row.iter().fold(0f32, |largest, number| largest.max(number.abs()));
            for (number, kept) in row.iter().zip(kept) {
                let allowed = (number.abs() * 0.067).max(largest / 448.0 / 1000.0);
                assert!((number - kept).abs() <= allowed, "{number} became {kept} in a row up to {largest}");
            }
        }
    }
}

/// What a file has in eight bits, with one factor or one a row, is not rounded once more.
#[test]
fn weights_stored_in_eight_bits_stay_as_they_are() {
    let Some(device) = card::<Cuda<bf16>>() else { return };
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fp8");
    let like = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity/klein/model");
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("made");
    unpack(&fixtures.join("klein.safetensors"), &like, &folder).expect("it is a checkpoint");
    let expected = Flux2Pipeline::<Flex>::load(&folder, Precision::F32, &Default::default()).expect("a model");
    let found = Flux2Pipeline::<Cuda<bf16>>::load(&folder, Precision::Fp8, &device).expect("a model");
    let (mut expected, mut found) = (expected.transformer, found.transformer);
    let expected = expected.linear_layers();
    let mut kept = 0;
    for (path, layer) in found.linear_layers() {
        // Text's feed-forward parts are stored in E5M2.
        if layer.fp8.is_some() && !path.contains("ff_context") {
            let stored = values(expected[&path].weight.val()).into_iter().map(|value| bf16::from_f32(value).to_f32());
            assert_eq!(values(layer.whole_weight()), stored.collect::<Vec<_>>(), "{path}");
            kept += 1;
        }
    }
    assert!(kept >= 12, "{kept} layers are in eight bits");
}

/// Runs a network ten times, as it is and recorded; every time both have to come to the same, to the bit. How often the recorded one
/// was run itself.
fn runs_until_told_again<M, const D: usize>(
    network: &Recorded<M>,
    run: impl Fn(u64, &dyn Fn(Vec<Given>, &dyn Fn(&M) -> Half<D>) -> Half<D>) -> Half<D>,
) -> usize {
    let runs = Cell::new(0);
    for seed in 0..10 {
        let told = run(seed, &|given, make| {
            network.run(2, given, |network| {
                runs.set(runs.get() + 1);
                make(network)
            })
        });
        let expected = run(seed, &|_, make| make(network));
        for (told, expected) in told.into_iter().zip(expected) {
            assert_eq!(values(told), values(expected), "run {seed}");
        }
    }
    assert_eq!(network.recordings().refused(), Vec::<String>::new());
    assert_ne!(network.recordings().graphs(), 0);
    runs.get()
}

/// Copies the settings of a model, some of them changed. Heads of as few numbers as some models here have are no card's.
fn copy_settings(model: &str, to: &Path, changes: &[(&str, &str, serde_json::Value)]) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity").join(model).join("model");
    for part in fs::read_dir(&from).expect("a model") {
        let part = part.expect("a part").path();
        let to = to.join(part.file_name().expect("a name"));
        if part.is_file() {
            fs::copy(part, to).expect("a copy");
            continue;
        }
        fs::create_dir(&to).expect("a folder");
        for file in fs::read_dir(part).expect("a part") {
            let file = file.expect("a file").path();
            if file.extension().is_some_and(|kind| kind != "safetensors") {
                fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("a copy");
            }
        }
    }
    for (file, key, value) in changes {
        let path = to.join(file);
        let mut settings: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).expect("settings")).expect("JSON");
        settings[key] = value.clone();
        fs::write(&path, settings.to_string()).expect("settings are written");
    }
}

/// What a network on the card makes.
type Half<const D: usize> = Vec<Tensor<Cuda<bf16>, D>>;

/// Two runs are let pass, and two are written down.
const RUNS_UNTIL_TOLD_AGAIN: usize = 4;

#[test]
fn networks_are_told_again_without_being_run() {
    let Some(device) = card::<Cuda<bf16>>() else { return };
    let noise = |seed: u64, shape: &[usize]| draw(seed, shape);

    let folder = tempfile::tempdir().expect("a folder");
    let heads = [
        ("unet/config.json", "attention_head_dim", json!([1, 1, 2])),
        ("text_encoder/config.json", "num_attention_heads", json!(2)),
    ];
    copy_settings("sdxl", folder.path(), &heads);
    let sdxl = SdxlPipeline::<Cuda<bf16>>::drawn(folder.path(), Precision::Bf16, &device).expect("a model");
    let text = |seed: u64| vec![(0..77).map(|place| (place * 7 + seed as u32) % 90).collect::<Vec<u32>>()];
    for encoder in [&sdxl.text_encoder, &sdxl.text_encoder_2] {
        let encoder = encoder.get().expect("an encoder");
        let runs = runs_until_told_again(&encoder, |seed, run| {
            let start = encoder.start(&text(seed), &device);
            run(start.given(), &|encoder| encoder.states(&start))
        });
        assert_eq!(runs, RUNS_UNTIL_TOLD_AGAIN, "of a text encoder");
    }
    let context = sdxl.configs.unet.cross_attention_dim;
    let runs = runs_until_told_again(&sdxl.unet, |seed, run| {
        let latents = without_gaps(tensor::<_, 4>(&noise(seed, &[2, 4, 12, 10]), &device));
        let time = without_gaps(tensor::<_, 2>(&noise(seed + 20, &[2, sdxl.configs.unet.time_width()]), &device));
        // Several steps look at one text.
        let text = TextContext::of_many_looks(tensor(&noise(seed / 3 + 40, &[2, 77, context]), &device));
        sdxl.unet.look_at(&text);
        let mut given = vec![(&latents).into(), (&time).into()];
        given.extend(text.made().iter().flatten().map(Given::from));
        run(given, &|unet| vec![unet.stream(latents.clone(), &time, &text)])
    });
    assert_eq!(runs, RUNS_UNTIL_TOLD_AGAIN, "of a UNet");
    let runs = runs_until_told_again(&sdxl.autoencoder, |seed, run| {
        let latents = without_gaps(tensor::<_, 4>(&noise(seed, &[1, 4, 6, 8]), &device));
        run(vec![(&latents).into()], &|network| vec![network.decoder.stream(latents.clone())])
    });
    assert_eq!(runs, RUNS_UNTIL_TOLD_AGAIN, "of a decoder");

    let folder = tempfile::tempdir().expect("a folder");
    copy_settings("klein", folder.path(), &[("text_encoder/config.json", "head_dim", json!(16))]);
    let flux2 = Flux2Pipeline::<Cuda<bf16>>::drawn(folder.path(), Precision::Bf16, &device).expect("a model");
    let encoder = flux2.text_encoder.get().expect("an encoder");
    let runs = runs_until_told_again(&encoder, |seed, run| {
        let ids: Vec<i32> = (0..24).map(|place| (place * 5 + seed as i32) % 90).collect();
        let ids = Tensor::from_data(TensorData::new(ids, [1, 24]), &device);
        let start = encoder.start(ids, &[(0..24).map(|place| place < 20).collect()]);
        run(start.given(), &|encoder| encoder.states(&start, &flux2.text_layers))
    });
    assert_eq!(runs, RUNS_UNTIL_TOLD_AGAIN, "of a language model");
    let config = &flux2.configs.transformer;
    // With guidance there are two of a batch.
    for batch in [1, 2] {
        let text: Vec<[i64; 4]> = (0..9).map(|token| [0, 0, 0, token]).collect();
        let picture: Vec<[i64; 4]> = (0..12).map(|token| [0, token / 4, token % 4, 0]).collect();
        let rotation = flux2.transformer.rotation(&text, &picture, &device);
        let runs = runs_until_told_again(&flux2.transformer, |seed, run| {
            let latents = without_gaps(tensor::<_, 3>(&noise(seed, &[batch, 12, config.in_channels]), &device));
            let context =
                without_gaps(tensor::<_, 3>(&noise(seed + 20, &[batch, 9, config.joint_attention_dim]), &device));
            let time = tensor::<_, 1>(&noise(seed + 40, &[1]), &device);
            let modulations = flux2.transformer.modulations(time, None);
            let mut given = vec![(&latents).into(), (&context).into()];
            given.extend(modulations.given().chain(rotation.given()));
            run(given, &|network| vec![network.predict(latents.clone(), context.clone(), &modulations, &rotation)])
        });
        assert_eq!(runs, RUNS_UNTIL_TOLD_AGAIN, "of a transformer for {batch}");
    }
}

//! What is computed at once is what burn's operations say, and so are its gradients.

use burn::{
    backend::{Autodiff, Flex},
    module::{Param, ParamId},
    tensor::{
        Distribution, Tensor,
        activation::{gelu, silu},
        ops::FloatElem,
    },
};

use super::*;
use crate::nn::{
    activation::{gelu_gated, silu_gated},
    attention::{self, Bias, UNSEEN, multi_head_attention},
    convolution::{Conv2d, GroupNorm},
    norm::{RmsNorm, composed_layer_norm, scaled_layer_norm},
    rope::Rotation,
};

type B = Autodiff<Flex>;

fn device() -> burn::backend::flex::FlexDevice {
    Default::default()
}

fn drawn<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
    Tensor::random(shape, Distribution::Normal(0.2, 1.3), &device())
}

/// Both results and the gradients of all inputs agree, for a loss that weighs every number of the result differently.
fn agree<const D: usize, const N: usize>(
    what: &str,
    inputs: [Vec<f32>; N],
    shapes: [&[usize]; N],
    ours: impl Fn(&[Tensor<B, 1>; N]) -> Tensor<B, D>,
    composed: impl Fn(&[Tensor<B, 1>; N]) -> Tensor<B, D>,
) {
    let run = |compute: &dyn Fn(&[Tensor<B, 1>; N]) -> Tensor<B, D>| {
        let leaves = inputs.each_ref().map(|values| {
            let data = burn::tensor::TensorData::new(values.clone(), [values.len()]);
            Tensor::<B, 1>::from_data(data, &device()).require_grad()
        });
        let result = compute(&leaves);
        let count = result.shape().num_elements();
        let weights = (0..count).map(|index| ((index * 7919 % 101) as f32 - 50.0) / 50.0).collect::<Vec<f32>>();
        let weights = Tensor::<B, 1>::from_data(burn::tensor::TensorData::new(weights, [count]), &device());
        let gradients = (result.clone().reshape([count]) * weights).sum().backward();
        let numbers = |tensor: Tensor<Flex, 1>| tensor.into_data().to_vec::<FloatElem<Flex>>().expect("f32");
        let of_inputs = leaves.map(|leaf| numbers(leaf.grad(&gradients).expect("every input has a gradient")));
        (numbers(result.inner().reshape([count])), of_inputs)
    };
    let ((ours, our_gradients), (theirs, their_gradients)) = (run(&ours), run(&composed));
    close(what, "result", &ours, &theirs);
    for (index, (ours, theirs)) in our_gradients.iter().zip(&their_gradients).enumerate() {
        close(what, &format!("gradient of input {index}, {:?}", shapes[index]), ours, theirs);
    }
}

fn close(what: &str, which: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{what}: {which}");
    let largest = theirs.iter().fold(1.0f32, |most, value| most.max(value.abs()));
    for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!((ours - theirs).abs() <= 5e-5 * largest, "{what}: {which} at {place}: {ours} and {theirs}");
    }
}

fn numbers(shape: &[usize]) -> Vec<f32> {
    drawn([shape.iter().product()]).into_data().to_vec().expect("f32")
}

#[test]
fn it_computes_here_and_not_in_other_precisions() {
    assert!(computes::<B>(DType::F32) && computes::<Flex>(DType::F32));
    assert!(!computes::<B>(DType::F16) && !computes::<Autodiff<B>>(DType::F32));
}

#[test]
fn attention_agrees() {
    for (batch, queries, keys, heads, width, masked) in
        [(1, 5, 7, 1, 8, 0), (2, 70, 70, 3, 16, 2), (3, 130, 40, 2, 32, 0), (2, 24, 24, 4, 32, 1), (1, 1, 3, 2, 4, 0)]
    {
        let (of_queries, of_keys) = ([batch, queries, heads * width], [batch, keys, heads * width]);
        let inputs = [numbers(&of_queries), numbers(&of_keys), numbers(&of_keys)];
        let causal = |entry: usize| {
            let row = move |query: usize| {
                (0..keys).map(move |key| if key <= query + entry { (key % 3) as f32 } else { UNSEEN })
            };
            (0..queries).flat_map(row)
        };
        let entries = if masked == 2 { batch } else { 1 };
        let bias = (masked > 0)
            .then(|| Bias::new((0..entries).flat_map(causal).collect(), [entries, queries, keys], &device()));
        let split = |[query, key, value]: &[Tensor<B, 1>; 3]| {
            (query.clone().reshape(of_queries), key.clone().reshape(of_keys), value.clone().reshape(of_keys))
        };
        agree(
            &format!("attention of {queries} to {keys}"),
            inputs,
            [&of_queries, &of_keys, &of_keys],
            |inputs| {
                let (query, key, value) = split(inputs);
                multi_head_attention(query, key, value, heads, bias.as_ref())
            },
            |inputs| {
                let (query, key, value) = split(inputs);
                attention::composed(query, key, value, heads, bias.as_ref())
            },
        );
    }
}

#[test]
fn normalisations_agree() {
    for (batch, tokens, width, parameters) in [(1, 3, 32, 1), (4, 9, 20, 4), (3, 700, 64, 1)] {
        let (shape, of_scale) = ([batch, tokens, width], [parameters, 1, width]);
        agree(
            "layer normalisation",
            [numbers(&shape), numbers(&of_scale), numbers(&of_scale)],
            [&shape, &of_scale, &of_scale],
            |[x, scale, shift]| {
                let (scale, shift) = (scale.clone().reshape(of_scale), shift.clone().reshape(of_scale));
                scaled_layer_norm(x.clone().reshape(shape), scale, shift, 1e-6)
            },
            |[x, scale, shift]| {
                let (scale, shift) = (scale.clone().reshape(of_scale), shift.clone().reshape(of_scale));
                composed_layer_norm(x.clone().reshape(shape), scale, shift, 1e-6)
            },
        );
        let norm = |weight: &Tensor<B, 1>| RmsNorm {
            weight: Param::initialized(ParamId::new(), weight.clone()),
            epsilon: 1e-5,
        };
        agree(
            "root-mean-square normalisation",
            [numbers(&shape), numbers(&[width])],
            [&shape, &[width]],
            |[x, weight]| norm(weight).forward(x.clone().reshape(shape)),
            |[x, weight]| norm(weight).composed(x.clone().reshape(shape)),
        );
        agree(
            "gated sum",
            [numbers(&shape), numbers(&shape), numbers(&of_scale)],
            [&shape, &shape, &of_scale],
            |[stream, branch, gate]| {
                let inputs = [stream.clone().reshape(shape), branch.clone().reshape(shape)];
                let [stream, branch] = inputs.map(Input::from);
                run(&GatedSum, [stream, branch, gate.clone().reshape(of_scale).into()]).expect("it is computed here")
            },
            |[stream, branch, gate]| {
                stream.clone().reshape(shape) + branch.clone().reshape(shape) * gate.clone().reshape(of_scale)
            },
        );
    }
}

#[test]
fn group_normalisation_agrees() {
    for (batch, channels, groups, height, width) in [(2, 8, 4, 5, 3), (1, 6, 1, 40, 40), (3, 12, 12, 2, 2)] {
        let shape = [batch, channels, height, width];
        let norm = |weight: &Tensor<B, 1>, bias: &Tensor<B, 1>| GroupNorm {
            weight: Param::initialized(ParamId::new(), weight.clone()),
            bias: Param::initialized(ParamId::new(), bias.clone()),
            groups,
            epsilon: 1e-6,
        };
        let inputs = || [numbers(&shape), numbers(&[channels]), numbers(&[channels])];
        let shapes: [&[usize]; 3] = [&shape, &[channels], &[channels]];
        agree(
            "group normalisation",
            inputs(),
            shapes,
            |[x, weight, bias]| norm(weight, bias).forward(x.clone().reshape(shape)),
            |[x, weight, bias]| norm(weight, bias).composed(x.clone().reshape(shape)),
        );
        agree(
            "group normalisation with its activation",
            inputs(),
            shapes,
            |[x, weight, bias]| norm(weight, bias).forward_silu(x.clone().reshape(shape)),
            |[x, weight, bias]| silu(norm(weight, bias).composed(x.clone().reshape(shape))),
        );
    }
}

#[test]
fn rotations_and_gates_agree() {
    let shape = [2, 6, 3 * 16];
    let ids: Vec<[i64; 4]> = (0..6).map(|place| [0, place, 2 * place, 5 - place]).collect();
    let rotations = [
        Rotation::<B>::interleaved(&ids, &[2, 4, 6, 4], 2000.0, &device()),
        Rotation::halves(6, 16, 10_000.0, &device()),
    ];
    for rotation in &rotations {
        agree(
            "rotation",
            [numbers(&shape)],
            [&shape],
            |[x]| rotation.turn(x.clone().reshape(shape)),
            |[x]| rotation.composed(x.clone().reshape(shape)),
        );
    }
    for shape in [shape, [1, 1, 3], [2, 200, 300]] {
        let split = |[gate, value]: &[Tensor<B, 1>; 2]| (gate.clone().reshape(shape), value.clone().reshape(shape));
        agree(
            "silu gate",
            [numbers(&shape), numbers(&shape)],
            [&shape, &shape],
            |inputs| silu_gated(split(inputs).0, split(inputs).1),
            |inputs| silu(split(inputs).0) * split(inputs).1,
        );
        agree(
            "gelu gate",
            [numbers(&shape), numbers(&shape)],
            [&shape, &shape],
            |inputs| gelu_gated(split(inputs).0, split(inputs).1),
            |inputs| gelu(split(inputs).0) * split(inputs).1,
        );
    }
}

#[test]
fn convolutions_agree() {
    // Batch, in, out, height, width, kernel, stride, padding on the left and on the right, bias.
    for (batch, inputs, outputs, [height, width], kernel, stride, (start, end), has_bias) in [
        (2, 3, 5, [7, 6], 3, 1, (1, 1), true),
        (1, 4, 3, [9, 8], 3, 2, (0, 1), true),
        (3, 4, 2, [8, 8], 3, 2, (1, 1), false),
        (2, 6, 4, [5, 5], 1, 1, (0, 0), true),
        (2, 3, 8, [12, 8], 4, 4, (0, 0), false),
        (1, 40, 8, [70, 90], 3, 1, (1, 1), true),
    ] {
        let (shape, of_weight) = ([batch, inputs, height, width], [outputs, inputs, kernel, kernel]);
        let conv = |weight: &Tensor<B, 1>, bias: &Tensor<B, 1>| Conv2d {
            weight: Param::initialized(ParamId::new(), weight.clone().reshape(of_weight)),
            bias: has_bias.then(|| Param::initialized(ParamId::new(), bias.clone())),
            stride,
            padding_start: start,
            padding_end: end,
            adapters: Vec::new(),
        };
        // A bias that is not used still takes part, so that it has a gradient.
        let join = |result: Tensor<B, 4>, bias: &Tensor<B, 1>| result + bias.clone().sum().unsqueeze::<4>() * 0.0;
        agree(
            &format!("convolution {inputs} to {outputs} by {kernel}, step {stride}"),
            [numbers(&shape), numbers(&of_weight), numbers(&[outputs])],
            [&shape, &of_weight, &[outputs]],
            |[x, weight, bias]| join(conv(weight, bias).forward(x.clone().reshape(shape)), bias),
            |[x, weight, bias]| {
                let conv = conv(weight, bias);
                let bias_of = conv.bias.as_ref().map(Param::val);
                join(conv.composed(x.clone().reshape(shape), conv.weight.val(), bias_of), bias)
            },
        );
    }
}

#[test]
fn projections_agree() {
    // Pieces of the input, outputs, rank of the pair (0 is none), and whether there is a bias.
    let cases: [(usize, &[usize], usize, usize, bool); 6] = [
        (1, &[3], 5, 0, false),
        (7, &[16], 24, 0, true),
        (9, &[12], 8, 2, false),
        (5, &[8, 3], 6, 0, true),
        (300, &[96, 160], 130, 4, true),
        (2, &[4, 5], 3, 1, false),
    ];
    for (rows, widths, outputs, rank, biased) in cases {
        let what = format!("projection of {rows} × {widths:?} to {outputs}, rank {rank}, bias {biased}");
        let inputs: usize = widths.iter().sum();
        let shapes: [&[usize]; 5] =
            [&[rows, inputs], &[outputs, inputs], &[outputs], &[rank.max(1), inputs], &[outputs, rank.max(1)]];
        // What a case does not use has a gradient of zeros through this sum.
        let unused = |leaves: &[Tensor<B, 1>; 5]| {
            leaves.iter().map(|leaf| leaf.clone().sum()).reduce(|a, b| a + b).expect("five").mul_scalar(1e-3)
        };
        let matrix = |leaf: &Tensor<B, 1>, shape: &[usize]| leaf.clone().reshape([shape[0], shape[1]]);
        let pieces = |input: Tensor<B, 2>| {
            let mut start = 0;
            widths
                .iter()
                .map(|width| {
                    start += width;
                    input.clone().narrow(1, start - width, *width)
                })
                .collect::<Vec<_>>()
        };
        let ours = |leaves: &[Tensor<B, 1>; 5]| {
            let operation = Projection { pieces: widths.len(), has_bias: biased, pair: (rank > 0).then_some(0.7) };
            let [x, w, a, b] = [0, 1, 3, 4].map(|index| matrix(&leaves[index], shapes[index]));
            let low = x.clone().matmul(a.transpose());
            let mut all: Vec<Input<B>> = pieces(x).into_iter().map(Input::from).collect();
            all.push(w.into());
            all.extend(biased.then(|| leaves[2].clone().into()));
            all.extend((rank > 0).then(|| [low.into(), b.into()]).into_iter().flatten());
            let result: Tensor<B, 2> = run_of_many(&operation, all).expect("it computes here");
            result + unused(leaves).unsqueeze()
        };
        let composed = |leaves: &[Tensor<B, 1>; 5]| {
            let [x, w, a, b] = [0, 1, 3, 4].map(|index| matrix(&leaves[index], shapes[index]));
            let mut result = x.clone().matmul(w.transpose());
            if biased {
                result = result + leaves[2].clone().unsqueeze();
            }
            if rank > 0 {
                result = result + x.matmul(a.transpose()).matmul(b.transpose()).mul_scalar(0.7);
            }
            result + unused(leaves).unsqueeze()
        };
        agree(&what, shapes.map(numbers), shapes, ours, composed);
    }
}

#[test]
fn a_weight_in_half_precision_is_the_same_weight() {
    use burn::tensor::{DType, TensorData};

    // More than one panel, and pieces that begin in the middle of its rows.
    let (rows, widths, outputs) = (5, [1800, 1200], 1900);
    let inputs: usize = widths.iter().sum();
    let (input, weight, bias) = (numbers(&[rows, inputs]), numbers(&[outputs, inputs]), numbers(&[outputs]));
    for half in [DType::BF16, DType::F16] {
        let stored = TensorData::new(weight.clone(), [outputs, inputs]).convert_dtype(half);
        let run = |precision: DType| {
            let weight = stored.clone().convert_dtype(precision);
            let weight = Tensor::<B, 2>::from_data(weight, (&device(), precision));
            let leaf = |values: &Vec<f32>| {
                Tensor::<B, 1>::from_data(TensorData::new(values.clone(), [values.len()]), &device())
            };
            let input = leaf(&input).reshape([rows, inputs]).require_grad();
            let pieces =
                [(0, widths[0]), (widths[0], widths[1])].map(|(start, width)| input.clone().narrow(1, start, width));
            let mut all: Vec<Input<B>> = pieces.into_iter().map(Input::from).collect();
            all.extend([weight.into(), leaf(&bias).into()]);
            let operation = Projection { pieces: 2, has_bias: true, pair: None };
            let result: Tensor<B, 2> = run_of_many(&operation, all).expect("it computes here");
            let gradients = result.clone().square().sum().backward();
            let of_input = input.grad(&gradients).expect("the input has a gradient");
            (result.into_data().to_vec::<f32>().expect("f32"), of_input.into_data().to_vec::<f32>().expect("f32"))
        };
        let ((kept, kept_gradient), (widened, gradient)) = (run(half), run(DType::F32));
        close("halves", "result", &kept, &widened);
        close("halves", "gradient of the input", &kept_gradient, &gradient);
    }
}

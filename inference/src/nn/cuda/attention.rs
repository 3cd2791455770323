//! Scaled dot-product attention (Vaswani et al., 2017) that never writes its scores to memory (Dao, "FlashAttention-2", 2023), and
//! its gradient.

use burn::tensor::{DType, Element, Shape, Tensor, TensorMetadata, backend::Backend};

use super::{
    OnCard,
    arguments::Arguments,
    card_of, from_card,
    gradients::{self, is_tracked},
    lane,
    lane::{Failure, Kernel, Lane},
    on_card_alike, on_card_in,
    operation::{Computation, Numbers, compute, compute_in},
    products::{BatchedProduct, Heads, MULTIPLE, Matrix, Sides},
};

/// Queries that a block of threads computes.
const QUERIES: usize = 128;
/// Keys of a tile.
const KEYS: usize = 64;
/// Keys of a block of the gradient's.
const BLOCK_OF_KEYS: usize = 64;
/// Queries or keys of a tile of the gradient's.
const GRADIENT_TILE: usize = 32;
/// Threads of a block.
const THREADS: u32 = 128;

/// The major compute capability of the cards that the other kernel is for, whose blocks have as many queries; rows of its tiles, and
/// threads of its blocks.
const HOPPER: i32 = 9;
const HOPPER_TILE: usize = 128;
const HOPPER_THREADS: u32 = 256;

/// Widths of a head that there is a kernel for, and that there is the other kernel for.
const WIDTHS: [usize; 3] = [32, 64, 128];
const HOPPER_WIDTHS: [usize; 2] = [64, 128];

/// What the kernels are compiled from: what they share, tiles, and what is done with them.
const FORWARD: &str = concat!(include_str!("scores.cu"), include_str!("tiles.cu"), include_str!("attention.cu"));
const FORWARD_ON_HOPPER: &str = concat!(include_str!("scores.cu"), include_str!("attention_hopper.cu"));
const BACKWARD: &str =
    concat!(include_str!("scores.cu"), include_str!("tiles.cu"), include_str!("attention_gradient.cu"));

/// Every head's attention, where scores are not written down. A second output takes what its gradient needs of them.
#[derive(Debug)]
struct Attention {
    heads: usize,
}

/// The gradients of queries, keys and values of [`Attention`].
#[derive(Debug)]
struct AttentionGradient {
    heads: usize,
}

/// Every head's attention by way of its scores: in any width and precision, and with a bias.
#[derive(Debug)]
struct WithScores {
    heads: usize,
}

/// `[batch, queries, heads · width]` attends to `[batch, keys, heads · width]`, head by head → the queries' shape. The bias
/// `[batch or 1, 1, queries, keys]`, of f32, is added to the scores.
pub fn attention<B: Backend>(
    query: &Tensor<B, 3>,
    key: &Tensor<B, 3>,
    value: &Tensor<B, 3>,
    heads: usize,
    bias: Option<&Tensor<B, 4>>,
) -> Option<Tensor<B, 3>> {
    if is_tracked::<B>() {
        return if bias.is_none() { gradients::attention(query, key, value, heads) } else { None };
    }
    let ([batch, queries, features], keys) = (query.dims(), key.dims()[1]);
    let width = features / heads;
    let mut inputs = on_card_alike([query, key, value])?;
    let first = inputs.first()?;
    let (precision, shape) = (first.dtype, first.shape());
    if !width.is_multiple_of(MULTIPLE) || !lane::is_there(first.device.index) {
        return None;
    }
    let output = if bias.is_none() && precision == DType::BF16 && WIDTHS.contains(&width) {
        compute(Attention { heads }, inputs, [shape])
    } else {
        if let Some(bias) = bias {
            inputs.push(on_card_in(bias, DType::F32)?);
        }
        let scores = Shape::new([batch * heads * queries, keys.next_multiple_of(MULTIPLE)]);
        compute(WithScores { heads }, inputs, [shape, scores])
    };
    from_card(output.into_iter().next()?)
}

/// Whether the gradient of attention with heads of a width computes the scores once more.
pub fn computes_scores_again<B: Backend>(device: &B::Device, width: usize) -> bool {
    let precision = <B::FloatElem as Element>::dtype();
    card_of::<B>(device).is_some_and(|card| knows(card, precision, width))
}

/// Whether attention of these has a gradient here.
pub(super) fn has_gradient(query: &OnCard, heads: usize) -> bool {
    knows(query.device.index, query.dtype, query.shape()[2] / heads)
}

/// Whether there is a kernel for heads of a width.
fn knows(card: usize, precision: DType, width: usize) -> bool {
    precision == DType::BF16 && WIDTHS.contains(&width) && lane::is_there(card)
}

/// Attention of queries, keys and values that [have a gradient](has_gradient): the output, and the logarithms of the sums that
/// [`gradients`] needs, `[batch, heads, queries]` of f32.
pub(super) fn forward(inputs: [OnCard; 3], heads: usize) -> [OnCard; 2] {
    let shape = inputs[0].shape();
    let sums = Shape::new([shape[0], heads, shape[1]]);
    let outputs = [(shape, DType::BF16), (sums, DType::F32)];
    let computed = compute_in(Attention { heads }, inputs.into(), outputs);
    computed.try_into().expect("invariant: as many as are asked for")
}

/// The gradients of queries, keys and values. `inputs` are these, the output, the sums of [`forward`] and the output's gradient.
pub(super) fn gradients(inputs: [OnCard; 6], heads: usize) -> [OnCard; 3] {
    let [query, key, value, ..] = &inputs;
    let slopes = Shape::new([query.shape()[0], heads, query.shape()[1]]);
    let same = |tensor: &OnCard| (tensor.shape(), DType::BF16);
    let outputs = [same(query), same(key), same(value), (slopes, DType::F32)];
    let mut computed = compute_in(AttentionGradient { heads }, inputs.into(), outputs);
    computed.truncate(3);
    computed.try_into().expect("invariant: as many as are asked for")
}

impl Computation for WithScores {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let ([query, key, value, others @ ..], [output, scores]) = (inputs, outputs) else {
            unreachable!("invariant: attention has three inputs, and its scores beside its output")
        };
        let (batch, queries, keys) = (query.shape[0], query.shape[1], key.shape[1]);
        let (heads, width, distance) = (self.heads, query.shape[2] / self.heads, scores.strides[0]);
        let number = query.precision;
        let at =
            |numbers: &Numbers, entry: usize| numbers.address + (entry * numbers.strides[0] * number.size()) as u64;
        for entry in 0..batch {
            let scores = Heads {
                matrix: Matrix {
                    address: scores.address + (entry * heads * queries * distance * number.size()) as u64,
                    stride: distance,
                },
                distance: queries * distance,
            };
            let of = |numbers: &Numbers| Heads {
                matrix: Matrix { address: at(numbers, entry), stride: numbers.strides[1] },
                distance: width,
            };
            let (query, key, value, output) = (of(query), of(key), of(value), of(output));
            let product = BatchedProduct {
                size: [queries, keys, width],
                heads,
                precision: number,
                sides: Sides::RightTransposed,
            };
            product.begin(lane, (query, key, scores))?;
            let bias = others.first().map_or((0, 0), |bias| {
                let entry = if bias.shape[0] == 1 { 0 } else { entry };
                (bias.address + (entry * bias.strides[0] * DType::F32.size()) as u64, bias.strides[2])
            });
            softmax(lane, (scores.matrix.address, distance), bias, (heads, queries, keys), width, number)?;
            let product =
                BatchedProduct { size: [queries, width, keys], heads, precision: number, sides: Sides::AsTheyAre };
            product.begin(lane, (scores, value, output))?;
        }
        Ok(())
    }
}

/// Begins the softmax of the scores of one entry of a batch.
fn softmax(
    lane: &mut Lane,
    (scores, distance): (u64, usize),
    (bias, bias_distance): (u64, usize),
    (heads, queries, keys): (usize, usize, usize),
    width: usize,
    precision: DType,
) -> Result<(), Failure> {
    let number = if precision == DType::BF16 { "unsigned short" } else { "float" };
    let kernel = Kernel {
        source: include_str!("softmax.cu"),
        name: "softmax",
        definitions: vec![format!("NUMBER={number}")],
        threads: (keys.next_multiple_of(32) as u32).min(256),
        shared_memory: 0,
        is_of_this_card: false,
    };
    let arguments = Arguments::default().at(scores).wide(distance).at(bias).wide(bias_distance).narrow(keys);
    // SAFETY: these are the kernel's arguments, in their order.
    unsafe { arguments.float(scale(width)).launch(lane, &kernel, [queries, heads, 1]) }
}

/// A kernel for heads of a width, whose blocks share so many rows of them.
fn kernel<'a>(source: &'a str, name: &'a str, width: usize, rows: usize) -> Kernel<'a> {
    Kernel {
        source,
        name,
        definitions: vec![format!("D={width}")],
        threads: THREADS,
        shared_memory: (rows * width * size_of::<half::bf16>()) as u32,
        is_of_this_card: false,
    }
}

/// The kernel for heads of a width that computes with what compute capability 9.0 brought.
fn on_hopper<'a>(width: usize) -> Kernel<'a> {
    let tiles = kernel(FORWARD_ON_HOPPER, "attention", width, 5 * HOPPER_TILE);
    // Tiles begin at multiples of 1024.
    let shared_memory = tiles.shared_memory + 1024;
    Kernel { threads: HOPPER_THREADS, shared_memory, is_of_this_card: true, ..tiles }
}

/// What scores are multiplied by.
fn scale(width: usize) -> f32 {
    1.0 / (width as f32).sqrt()
}

impl Computation for Attention {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let ([query, key, value], [output, sums @ ..]) = (inputs, outputs) else {
            unreachable!("invariant: attention has three inputs, and an output")
        };
        let (batch, queries, keys) = (query.shape[0], query.shape[1], key.shape[1]);
        let width = query.shape[2] / self.heads;
        let arguments = Arguments::default().stream(query).stream(key).stream(value).stream(output);
        let arguments = arguments.at(sums.first().map_or(0, |sums| sums.address)).narrow(queries).narrow(keys);
        let arguments = arguments.float(std::f32::consts::LOG2_E * scale(width));
        let kernel = if lane.compute_capability.0 == HOPPER && HOPPER_WIDTHS.contains(&width) {
            on_hopper(width)
        } else {
            kernel(FORWARD, "attention", width, QUERIES + 2 * KEYS)
        };
        // SAFETY: these are the kernel's arguments, in their order.
        unsafe { arguments.launch(lane, &kernel, [queries.div_ceil(QUERIES), self.heads, batch]) }
    }
}

impl Computation for AttentionGradient {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let ([query, key, value, output, sums, gradient], [of_queries, of_keys, of_values, slopes]) = (inputs, outputs)
        else {
            unreachable!("invariant: the gradient of attention has six inputs and four outputs")
        };
        let (batch, queries, keys) = (query.shape[0], query.shape[1], key.shape[1]);
        let width = query.shape[2] / self.heads;
        let (scale, power_scale) = (scale(width), std::f32::consts::LOG2_E * scale(width));
        let grid = |count: usize, each: usize| [count.div_ceil(each), self.heads, batch];

        let arguments = Arguments::default().stream(output).stream(gradient).address(slopes).narrow(queries);
        let slopes_kernel = kernel(BACKWARD, "slopes_of_rows", width, 0);
        let streams = || Arguments::default().stream(query).stream(key).stream(value).stream(gradient);
        let all = || streams().address(sums).address(slopes);
        let sizes = |all: Arguments| all.narrow(queries).narrow(keys).float(scale).float(power_scale);
        let keys_kernel = kernel(BACKWARD, "gradients_of_keys", width, 2 * BLOCK_OF_KEYS + 4 * GRADIENT_TILE);
        let queries_kernel = kernel(BACKWARD, "gradients_of_queries", width, 2 * QUERIES + 4 * GRADIENT_TILE);
        // SAFETY: these are the kernels' arguments, in their order.
        unsafe {
            arguments.launch(lane, &slopes_kernel, grid(queries, THREADS as usize / 32))?;
            sizes(all().address(of_keys).address(of_values)).launch(lane, &keys_kernel, grid(keys, BLOCK_OF_KEYS))?;
            sizes(all().address(of_queries)).launch(lane, &queries_kernel, grid(queries, QUERIES))
        }
    }
}

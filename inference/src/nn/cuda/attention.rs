//! Scaled dot-product attention (Vaswani et al., 2017) that never writes its scores to memory (Dao, "FlashAttention-2", 2023).

use std::ffi::c_void;

use burn::tensor::{DType, Shape, Tensor, backend::Backend};

use super::{
    device_of, lane,
    lane::{Failure, Kernel, Lane},
    operation::{Computation, Numbers, plan},
    planned_alike, planned_in,
    products::{BatchedProduct, Heads, MULTIPLE, Matrix},
    unplanned,
};

/// Queries that a block of threads computes.
const QUERIES: usize = 128;
/// Keys of a tile.
const KEYS: usize = 64;
/// Threads of a block.
const THREADS: u32 = 128;

/// Widths of a head that there is a kernel for.
const WIDTHS: [usize; 2] = [64, 128];

/// Every head's attention, where scores are not written down.
#[derive(Debug)]
struct Attention {
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
    let ([batch, queries, features], keys) = (query.dims(), key.dims()[1]);
    let width = features / heads;
    let mut inputs = planned_alike([query, key, value])?;
    let first = inputs.first()?;
    let (precision, shape) = (first.dtype, first.shape.clone());
    if !width.is_multiple_of(MULTIPLE) || !lane::is_there(device_of(first).index) {
        return None;
    }
    let output = if bias.is_none() && precision == DType::BF16 && WIDTHS.contains(&width) {
        plan("attention", Attention { heads }, inputs, [shape])?
    } else {
        if let Some(bias) = bias {
            inputs.push(planned_in(bias, DType::F32)?);
        }
        let scores = Shape::new([batch * heads * queries, keys.next_multiple_of(MULTIPLE)]);
        plan("attention with scores", WithScores { heads }, inputs, [shape, scores])?
    };
    unplanned(output.into_iter().next()?)
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
            let product =
                BatchedProduct { size: [queries, keys, width], heads, precision: number, right_is_transposed: true };
            product.begin(lane, (query, key, scores))?;
            let bias = others.first().map_or((0, 0), |bias| {
                let entry = if bias.shape[0] == 1 { 0 } else { entry };
                (bias.address + (entry * bias.strides[0] * DType::F32.size()) as u64, bias.strides[2])
            });
            softmax(lane, (scores.matrix.address, distance), bias, (heads, queries, keys), width, number)?;
            let product =
                BatchedProduct { size: [queries, width, keys], heads, precision: number, right_is_transposed: false };
            product.begin(lane, (scores, value, output))?;
        }
        Ok(())
    }
}

/// Begins the softmax of the scores of one entry of a batch.
fn softmax(
    lane: &mut Lane,
    (mut scores, distance): (u64, usize),
    (mut bias, bias_distance): (u64, usize),
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
    };
    let (mut distance, mut bias_distance, mut keys) = (distance as i64, bias_distance as i64, keys as i32);
    let mut scale = 1.0 / (width as f32).sqrt();
    let mut arguments: [*mut c_void; 6] = [
        (&raw mut scores).cast(),
        (&raw mut distance).cast(),
        (&raw mut bias).cast(),
        (&raw mut bias_distance).cast(),
        (&raw mut keys).cast(),
        (&raw mut scale).cast(),
    ];
    // SAFETY: these are the kernel's arguments in their order and types, and they outlive the call.
    unsafe { lane.launch(&kernel, [queries, heads, 1], &mut arguments) }
}

impl Computation for Attention {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let ([query, key, value], [output]) = (inputs, outputs) else {
            unreachable!("invariant: attention has three inputs and one output")
        };
        let (batch, queries, keys) = (query.shape[0], query.shape[1], key.shape[1]);
        let width = query.shape[2] / self.heads;
        let kernel = Kernel {
            source: include_str!("attention.cu"),
            name: "attention",
            definitions: vec![format!("D={width}")],
            threads: THREADS,
            shared_memory: ((QUERIES + 2 * KEYS) * width * size_of::<half::bf16>()) as u32,
        };
        let grid = [queries.div_ceil(QUERIES), self.heads, batch];
        let all = [query, key, value, output];
        let mut addresses = all.map(|numbers| numbers.address);
        let mut strides: Vec<i64> =
            all.iter().flat_map(|numbers| [numbers.strides[0] as i64, numbers.strides[1] as i64]).collect();
        let mut counts = [queries as i32, keys as i32];
        let mut scale = std::f32::consts::LOG2_E / (width as f32).sqrt();
        let mut arguments: Vec<*mut c_void> = Vec::new();
        arguments.extend(addresses.iter_mut().map(|address| (&raw mut *address).cast()));
        arguments.extend(strides.iter_mut().map(|stride| (&raw mut *stride).cast()));
        arguments.extend(counts.iter_mut().map(|count| (&raw mut *count).cast()));
        arguments.push((&raw mut scale).cast());
        // SAFETY: these are the kernel's arguments in their order and types, and they outlive the call.
        unsafe { lane.launch(&kernel, grid, &mut arguments) }
    }
}

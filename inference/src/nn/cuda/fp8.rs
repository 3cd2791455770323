//! Weights of eight bits on a card: E4M3 with a factor for every row. A card whose cuBLASLt has products of such numbers (compute
//! capability 9.0) multiplies them as they are; the input becomes numbers of eight bits row by row on the way.
//! Other cards have the weight widened for each product, and half the memory for weights all the same.

use burn::tensor::{DType, Int, Shape, Tensor, TensorData, TensorMetadata, backend::Backend};

use super::{
    OnCard,
    arguments::Arguments,
    card_of, constant, lane,
    lane::{Failure, Lane},
    on_card, on_card_in,
    operation::{Computation, Numbers, compute_in},
    products::{ALIGNMENT, MULTIPLE, Matrix},
    rows::launch_of,
    some_rows,
};
use crate::nn::processor::as_kind;

/// A weight `[out, in]` of eight bits.
#[derive(Clone, Debug)]
pub struct Fp8Weight {
    /// `[out, in]`, a byte each.
    pub(super) numbers: OnCard,
    /// `[out]`, f32.
    pub(super) factors: OnCard,
}

/// Weights `[out, in]` of layers with the same inputs as weights of eight bits, which lie beside each other; none where they are not
/// on a card, or of sizes that products of eight bits do not know.
pub fn narrowed<B: Backend>(weights: &[Tensor<B, 2>]) -> Option<Vec<Fp8Weight>> {
    let inputs: Vec<OnCard> = weights.iter().map(on_card).collect::<Option<_>>()?;
    let first = inputs.first()?;
    let [_, width] = first.shape().dims();
    let heights: Vec<usize> = inputs.iter().map(|weight| weight.shape()[0]).collect();
    if !are_known(first.device.index, width, &heights) {
        return None;
    }
    let rows = heights.iter().sum();
    let outputs = [(Shape::new([rows, width]), DType::U8), (Shape::new([rows]), DType::F32)];
    let [numbers, factors] = compute_in(Narrowing, inputs, outputs).try_into().ok()?;
    Some(cut(&numbers, &factors, heights))
}

/// Weights of layers with the same inputs from numbers of eight bits, E4M3, and the factors of their rows; none where [`narrowed`] gives
/// none.
pub fn fp8_as_stored<B: Backend>(stored: &[(&[u8], Vec<f32>)], device: &B::Device) -> Option<Vec<Fp8Weight>> {
    let heights: Vec<usize> = stored.iter().map(|(_, factors)| factors.len()).collect();
    let rows = heights.iter().sum::<usize>();
    let numbers: Vec<u8> = stored.iter().flat_map(|(numbers, _)| numbers.iter().copied()).collect();
    let width = numbers.len() / rows;
    if !are_known(card_of::<B>(device)?, width, &heights) {
        return None;
    }
    let factors: Vec<f32> = stored.iter().flat_map(|(_, factors)| factors.iter().copied()).collect();
    // Rows of a matrix would be laid at multiples of what the card likes, with gaps between them.
    let count = numbers.len();
    let numbers = Tensor::<B, 1, Int>::from_data(TensorData::new(numbers, [count]), (device, DType::U8));
    let factors = Tensor::<B, 1>::from_data(TensorData::new(factors, [rows]), (device, DType::F32));
    let OnCard { client, device, handle, dtype, .. } = as_kind::<_, OnCard>(numbers.into_primitive()).ok()?;
    let numbers = OnCard::new_contiguous(client, device, Shape::new([rows, width]), handle, dtype);
    Some(cut(&numbers, &on_card_in(&factors, DType::F32)?, heights))
}

/// Whether products know weights of so many numbers a row, and of so many rows each.
fn are_known(card: usize, width: usize, heights: &[usize]) -> bool {
    let fit = width.is_multiple_of(ROW_MULTIPLE) && heights.iter().all(|height| height.is_multiple_of(MULTIPLE));
    fit && lane::is_there(card)
}

/// Weights that lie below each other.
fn cut(numbers: &OnCard, factors: &OnCard, heights: Vec<usize>) -> Vec<Fp8Weight> {
    let mut start = 0;
    let part = |height: usize| {
        start += height;
        let [numbers, factors] = [numbers, factors].map(|all| some_rows(all, start - height, height));
        Fp8Weight { numbers, factors }
    };
    heights.into_iter().map(part).collect()
}

/// A weight as numbers of 16 bits, as a tensor that has no gradient.
pub fn widened<B: Backend>(weight: &Fp8Weight) -> Option<Tensor<B, 2>> {
    let inputs = vec![weight.numbers.clone(), weight.factors.clone()];
    let shape = weight.numbers.shape();
    constant(compute_in(Widening, inputs, [(shape, DType::BF16)]).pop()?)
}

/// Rows of eight bits begin at 16 bytes.
const ROW_MULTIPLE: usize = 16;

const SOURCE: &str = concat!(include_str!("eight.cu"), include_str!("fp8.cu"));

/// Several matrices of 16 bits, one below the other, as numbers of eight bits and factors of their rows.
#[derive(Debug)]
struct Narrowing;

impl Computation for Narrowing {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let [numbers, factors] = outputs else { unreachable!("invariant: numbers and factors are written") };
        let mut row = 0;
        inputs.iter().try_for_each(|input| {
            let [height, width] = [input.shape[0], input.shape[1]];
            let from = Matrix { address: input.address, stride: input.strides[0] };
            let to = [numbers.address + (row * width) as u64, factors.address + (row * size_of::<f32>()) as u64];
            row += height;
            narrow(lane, from, to, [height, width])
        })
    }
}

/// Numbers of eight bits and their rows' factors as numbers of 16 bits.
#[derive(Debug)]
struct Widening;

impl Computation for Widening {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let ([numbers, factors], [output]) = (inputs, outputs) else {
            unreachable!("invariant: numbers and factors become one output")
        };
        let from = Matrix { address: numbers.address, stride: numbers.strides[0] };
        widen(lane, (from, factors.address), output.address, [numbers.shape[0], numbers.shape[1]])
    }
}

/// What the sides of some products became for them, in memory of the lane's.
pub(super) struct Narrowed {
    /// Left sides, and their numbers of eight bits with their rows' factors.
    lefts: Vec<(Matrix, usize, (Matrix, u64))>,
    /// Where the next one goes.
    next: u64,
    /// Where the right side goes that a product needs wide: one at a time.
    wide: u64,
}

impl Narrowed {
    /// Has memory for so many [bytes](Self::bytes) of left sides, and for the largest wide right side.
    pub fn new(lane: &mut Lane, lefts: usize, wide: usize) -> Result<Self, Failure> {
        let next = if lefts + wide == 0 { 0 } else { lane.converted_of(lefts + wide)? };
        Ok(Self { lefts: Vec::new(), next, wide: next + lefts as u64 })
    }

    /// What a left side of these rows and columns takes.
    pub fn bytes([rows, columns]: [usize; 2]) -> usize {
        let aligned = |bytes: usize| bytes.next_multiple_of(ALIGNMENT as usize);
        aligned(rows * columns) + aligned(rows * size_of::<f32>())
    }

    /// A left side of eight bits, and where the factors of its rows are.
    pub fn left(&mut self, lane: &mut Lane, left: Matrix, size: [usize; 2]) -> Result<(Matrix, u64), Failure> {
        let [rows, columns] = size;
        if let Some((.., known)) = self.lefts.iter().find(|(matrix, width, _)| *matrix == left && *width == columns) {
            return Ok(*known);
        }
        let numbers = Matrix { address: self.next, stride: columns };
        let factors = self.next + (rows * columns).next_multiple_of(ALIGNMENT as usize) as u64;
        narrow(lane, left, [numbers.address, factors], size)?;
        self.next += Self::bytes(size) as u64;
        self.lefts.push((left, columns, (numbers, factors)));
        Ok((numbers, factors))
    }

    /// A right side of 16 bits, until the next one.
    pub fn widened(&self, lane: &mut Lane, right: (Matrix, u64), size: [usize; 2]) -> Result<Matrix, Failure> {
        widen(lane, right, self.wide, size)?;
        Ok(Matrix { address: self.wide, stride: size[1] })
    }
}

/// Begins to make numbers of eight bits, without gaps, and factors of the rows of a matrix.
fn narrow(
    lane: &mut Lane,
    from: Matrix,
    [numbers, factors]: [u64; 2],
    [rows, width]: [usize; 2],
) -> Result<(), Failure> {
    let arguments = Arguments::default().at(from.address).wide(from.stride).at(numbers).at(factors).narrow(width);
    launch_of(SOURCE, lane, "narrow_rows", [rows, 1, 1], width, arguments)
}

/// Begins to make numbers of 16 bits, without gaps, of a matrix of eight bits and the factors of its rows.
fn widen(lane: &mut Lane, (from, factors): (Matrix, u64), to: u64, [rows, width]: [usize; 2]) -> Result<(), Failure> {
    let arguments = Arguments::default().at(from.address).wide(from.stride).at(factors).at(to).narrow(width);
    launch_of(SOURCE, lane, "widen_rows", [rows, 1, 1], width, arguments)
}

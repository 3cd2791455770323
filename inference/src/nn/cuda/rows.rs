//! Normalisations, rotations and gates: what moves numbers more than it computes with them, each in one pass.

use std::ffi::c_void;

use burn::tensor::{DType, Tensor, TensorMetadata, backend::Backend};

use super::{
    OnCard, lane,
    lane::{Failure, Kernel, Lane},
    operation::{Computation, Numbers, compute},
    on_card, on_card_in, from_card,
};

/// Numbers that a thread takes at once.
const AT_ONCE: usize = 8;

/// Most threads of a block.
const THREADS: usize = 256;

/// Numbers of a group that one block normalises.
const PIECE: usize = 1 << 14;

/// One of the kernels, and what it is told beside its tensors.
#[derive(Clone, Copy, Debug)]
enum Rows {
    LayerNorm { epsilon: f32 },
    RmsNorm { epsilon: f32 },
    Turn { width: usize, halves: bool },
    Gated { is_gelu: bool },
    GatedSum,
    GroupNorm { groups: usize, epsilon: f32, is_activated: bool },
}

/// `[batch, tokens, width]`, every row normalised, times a scale and plus a shift, each `[batch or 1, 1, width]`.
pub fn layer_norm<B: Backend>(
    input: &Tensor<B, 3>,
    scale: &Tensor<B, 3>,
    shift: &Tensor<B, 3>,
    epsilon: f64,
) -> Option<Tensor<B, 3>> {
    let inputs = vec![on_card(input)?, on_card(scale)?, on_card(shift)?];
    run(Rows::LayerNorm { epsilon: epsilon as f32 }, inputs, &[input.dims()[2]])
}

/// `[rows, width]`, every row over its root mean square, times `[width]`.
pub fn rms_norm<B: Backend>(input: &Tensor<B, 2>, weight: &Tensor<B, 1>, epsilon: f64) -> Option<Tensor<B, 2>> {
    run(Rows::RmsNorm { epsilon: epsilon as f32 }, vec![on_card(input)?, on_card(weight)?], &[input.dims()[1]])
}

/// `[batch, tokens, heads · width]`, turned by cosines and sines `[1, tokens, 1, width]` of f32; the first half with the second,
/// or neighbours.
pub fn turn<B: Backend>(
    input: &Tensor<B, 3>,
    cosines: &Tensor<B, 4>,
    sines: &Tensor<B, 4>,
    halves: bool,
) -> Option<Tensor<B, 3>> {
    let [.., width] = cosines.dims();
    let inputs = vec![on_card(input)?, on_card_in(cosines, DType::F32)?, on_card_in(sines, DType::F32)?];
    run(Rows::Turn { width, halves }, inputs, &[width / 2])
}

/// [`turn`] of what the card knows already.
pub(super) fn turned(input: OnCard, cosines: OnCard, sines: OnCard, halves: bool) -> OnCard {
    let (shape, width) = (input.shape(), cosines.shape()[3]);
    compute(Rows::Turn { width, halves }, vec![input, cosines, sines], [shape]).remove(0)
}

/// `silu(gate) · value`, or `gelu(gate) · value`.
pub fn gated<B: Backend>(gate: &Tensor<B, 3>, value: &Tensor<B, 3>, is_gelu: bool) -> Option<Tensor<B, 3>> {
    run(Rows::Gated { is_gelu }, vec![on_card(gate)?, on_card(value)?], &[gate.dims()[2]])
}

/// `stream + gate · branch`; the gate is `[batch or 1, 1, width]`.
pub fn gated_sum<B: Backend>(
    stream: &Tensor<B, 3>,
    branch: &Tensor<B, 3>,
    gate: &Tensor<B, 3>,
) -> Option<Tensor<B, 3>> {
    run(Rows::GatedSum, vec![on_card(stream)?, on_card(branch)?, on_card(gate)?], &[stream.dims()[2]])
}

/// `[batch, channels, height, width]`, every group of channels normalised, times and plus `[channels]`, and its silu if asked for.
pub fn group_norm<B: Backend>(
    input: &Tensor<B, 4>,
    (weight, bias): (&Tensor<B, 1>, &Tensor<B, 1>),
    (groups, epsilon): (usize, f64),
    is_activated: bool,
) -> Option<Tensor<B, 4>> {
    let [_, _, height, width] = input.dims();
    let inputs = vec![on_card(input)?, on_card(weight)?, on_card(bias)?];
    run(Rows::GroupNorm { groups, epsilon: epsilon as f32, is_activated }, inputs, &[height * width])
}

/// Plans a kernel whose output is of its first input's shape, where everything that is taken at once lies together.
fn run<B: Backend, const D: usize>(rows: Rows, inputs: Vec<OnCard>, widths: &[usize]) -> Option<Tensor<B, D>> {
    let first = inputs.first()?;
    if !widths.iter().all(|width| width.is_multiple_of(AT_ONCE)) || !lane::is_there(first.device.index) {
        return None;
    }
    let shape = first.shape();
    from_card(compute(rows, inputs, [shape]).into_iter().next()?)
}

/// The arguments of a kernel, in their order.
#[derive(Default)]
struct Arguments(Vec<u64>);

impl Arguments {
    fn address(self, numbers: &Numbers) -> Self {
        self.at(numbers.address)
    }

    fn at(mut self, address: u64) -> Self {
        self.0.push(address);
        self
    }

    /// A stream `[batch, tokens, width]`: its address and distances.
    fn stream(self, numbers: &Numbers) -> Self {
        let [batch, row] = [numbers.strides[0], numbers.strides[1]];
        self.address(numbers).wide(batch).wide(row)
    }

    /// A row for all, or one an entry: its address and the distance between entries.
    fn row_of_entry(self, numbers: &Numbers) -> Self {
        let distance = if numbers.shape[0] == 1 { 0 } else { numbers.strides[0] };
        self.address(numbers).wide(distance)
    }

    fn wide(mut self, number: usize) -> Self {
        self.0.push(number as u64);
        self
    }

    /// A number of 32 bits, which is read from the first half of its place.
    fn narrow(mut self, number: usize) -> Self {
        self.0.push(u64::from(number as u32));
        self
    }

    fn float(mut self, number: f32) -> Self {
        self.0.push(u64::from(number.to_bits()));
        self
    }
}

impl Computation for Rows {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let ([input, others @ ..], [output]) = (inputs, outputs) else {
            unreachable!("invariant: there is an input and one output")
        };
        let by_tokens = || [input.shape[1], input.shape[0], 1];
        let width = input.shape[input.shape.len() - 1];
        let arguments = Arguments::default();
        match (self, others) {
            (Self::LayerNorm { epsilon }, [scale, shift]) => {
                let arguments = arguments.stream(input).row_of_entry(scale).row_of_entry(shift);
                let arguments = arguments.address(output).narrow(width).float(*epsilon);
                launch(lane, "layer_norm", by_tokens(), width, arguments)
            }
            (Self::RmsNorm { epsilon }, [weight]) => {
                let (rows, warps) = (input.shape[0], THREADS / 32);
                let arguments = arguments.address(input).wide(input.strides[0]).address(weight).address(output);
                let arguments = arguments.narrow(rows).narrow(width).float(*epsilon);
                launch(lane, "rms_norm", [rows.div_ceil(warps), 1, 1], THREADS * AT_ONCE, arguments)
            }
            (Self::Turn { width: head, halves }, [cosines, sines]) => {
                let arguments = arguments.stream(input).address(cosines).address(sines).wide(cosines.strides[1]);
                let arguments = arguments.address(output).narrow(width).narrow(*head).narrow(usize::from(*halves));
                launch(lane, "turn", by_tokens(), width, arguments)
            }
            (Self::Gated { is_gelu }, [value]) => {
                let arguments = arguments.stream(input).stream(value).address(output);
                launch(lane, "gated", by_tokens(), width, arguments.narrow(width).narrow(usize::from(*is_gelu)))
            }
            (Self::GatedSum, [branch, gate]) => {
                let arguments = arguments.stream(input).stream(branch).row_of_entry(gate).address(output);
                launch(lane, "gated_sum", by_tokens(), width, arguments.narrow(width))
            }
            (Self::GroupNorm { groups, epsilon, is_activated }, [weight, bias]) => {
                let [batch, channels, height, width] = [input.shape[0], input.shape[1], input.shape[2], input.shape[3]];
                let count = channels / groups * height * width;
                let grid = [count.div_ceil(PIECE), batch * groups, 1];
                let statistics = lane.workspace_of(grid[0] * grid[1] * 8)?;
                let arguments = Arguments::default().address(input).at(statistics).wide(count).narrow(PIECE);
                launch(lane, "group_statistics", grid, THREADS * AT_ONCE, arguments)?;
                let arguments = Arguments::default().address(input).at(statistics).address(weight).address(bias);
                let arguments = arguments.address(output).wide(count).narrow(PIECE).narrow(height * width);
                let arguments = arguments.narrow(*groups).float(*epsilon).narrow(usize::from(*is_activated));
                launch(lane, "group_norm", grid, THREADS * AT_ONCE, arguments)
            }
            _ => unreachable!("invariant: every kernel is given the tensors that it takes"),
        }
    }

    fn wants_whole_inputs(&self) -> bool {
        matches!(self, Self::GroupNorm { .. })
    }
}

/// Begins a kernel with as many threads a block as `width` numbers keep busy.
fn launch(lane: &mut Lane, name: &str, grid: [usize; 3], width: usize, arguments: Arguments) -> Result<(), Failure> {
    let threads = width.div_ceil(AT_ONCE).next_multiple_of(32).min(THREADS) as u32;
    let kernel = Kernel { source: include_str!("rows.cu"), name, definitions: Vec::new(), threads, shared_memory: 0 };
    let mut values = arguments.0;
    let mut arguments: Vec<*mut c_void> = values.iter_mut().map(|value| (&raw mut *value).cast()).collect();
    // SAFETY: each kernel above is given its arguments in their order; a place of 64 bits, little end first, holds a number of
    // 32 bits as well.
    unsafe { lane.launch(&kernel, grid, &mut arguments) }
}

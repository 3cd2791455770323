//! Normalisations, rotations and gates: what moves numbers more than it computes with them, each in one pass.

use burn::tensor::{DType, Tensor, TensorMetadata, backend::Backend};

use super::{
    OnCard,
    arguments::Arguments,
    channels, from_card,
    gradients::{self, is_tracked},
    lane,
    lane::{Failure, Kernel, Lane},
    on_card, on_card_in,
    operation::{Computation, Numbers, compute},
};

/// Numbers that a thread takes at once.
pub(super) const AT_ONCE: usize = 8;

/// Most threads of a block.
pub(super) const THREADS: usize = 256;

/// Numbers of a group that one block normalises.
const PIECE: usize = 1 << 14;

/// One of the kernels, and what it is told beside its tensors.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rows {
    LayerNorm { epsilon: f32 },
    RmsNorm { epsilon: f32 },
    Turn { width: usize, halves: bool },
    Activated { is_quick: bool },
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
    if is_tracked::<B>() {
        return gradients::layer_norm(input, scale, shift, epsilon);
    }
    let inputs = vec![on_card(input)?, on_card(scale)?, on_card(shift)?];
    run(Rows::LayerNorm { epsilon: epsilon as f32 }, inputs, &[input.dims()[2]])
}

/// `[rows, width]`, every row over its root mean square, times `[width]`.
pub fn rms_norm<B: Backend>(input: &Tensor<B, 2>, weight: &Tensor<B, 1>, epsilon: f64) -> Option<Tensor<B, 2>> {
    if is_tracked::<B>() {
        return gradients::rms_norm(input, weight, epsilon);
    }
    run(Rows::RmsNorm { epsilon: epsilon as f32 }, vec![on_card(input)?, on_card(weight)?], &[input.dims()[1]])
}

/// `[batch, tokens, heads · width]`, every head over its root mean square, times `[width]`. It has no gradient here.
pub fn rms_norm_by_head<B: Backend>(input: &Tensor<B, 3>, weight: &Tensor<B, 1>, epsilon: f64) -> Option<Tensor<B, 3>> {
    run(Rows::RmsNorm { epsilon: epsilon as f32 }, vec![on_card(input)?, on_card(weight)?], &weight.dims())
}

/// `[batch, tokens, heads · width]`, turned by cosines and sines `[1, tokens, 1, width]` of f32; the first half with the second,
/// or neighbours.
pub fn turn<B: Backend>(
    input: &Tensor<B, 3>,
    cosines: &Tensor<B, 4>,
    sines: &Tensor<B, 4>,
    halves: bool,
) -> Option<Tensor<B, 3>> {
    if is_tracked::<B>() {
        return gradients::turn(input, cosines, sines, halves);
    }
    let [.., width] = cosines.dims();
    let inputs = vec![on_card(input)?, on_card_in(cosines, DType::F32)?, on_card_in(sines, DType::F32)?];
    run(Rows::Turn { width, halves }, inputs, &[width / 2])
}

/// `gelu(input)`, or `input · sigmoid(1.702 input)`. It has no gradient here.
pub fn activated<B: Backend>(input: &Tensor<B, 3>, is_quick: bool) -> Option<Tensor<B, 3>> {
    run(Rows::Activated { is_quick }, vec![on_card(input)?], &[input.dims()[2]])
}

/// `silu(gate) · value`, or `gelu(gate) · value`.
pub fn gated<B: Backend>(gate: &Tensor<B, 3>, value: &Tensor<B, 3>, is_gelu: bool) -> Option<Tensor<B, 3>> {
    if is_tracked::<B>() {
        return gradients::gated(gate, value, is_gelu);
    }
    run(Rows::Gated { is_gelu }, vec![on_card(gate)?, on_card(value)?], &[gate.dims()[2]])
}

/// `stream + gate · branch`; the gate is `[batch or 1, 1, width]`.
pub fn gated_sum<B: Backend>(
    stream: &Tensor<B, 3>,
    branch: &Tensor<B, 3>,
    gate: &Tensor<B, 3>,
) -> Option<Tensor<B, 3>> {
    if is_tracked::<B>() {
        return gradients::gated_sum(stream, branch, gate);
    }
    run(Rows::GatedSum, vec![on_card(stream)?, on_card(branch)?, on_card(gate)?], &[stream.dims()[2]])
}

/// `[batch, channels, height, width]`, every group of channels normalised, times and plus `[channels]`, and its silu if asked for.
pub fn group_norm<B: Backend>(
    input: &Tensor<B, 4>,
    (weight, bias): (&Tensor<B, 1>, &Tensor<B, 1>),
    (groups, epsilon): (usize, f64),
    is_activated: bool,
) -> Option<Tensor<B, 4>> {
    let with_channels_last = channels::group_norm(input, (weight, bias), (groups, epsilon), is_activated);
    if with_channels_last.is_some() {
        return with_channels_last;
    }
    let [_, _, height, width] = input.dims();
    let inputs = vec![on_card(input)?, on_card(weight)?, on_card(bias)?];
    run(Rows::GroupNorm { groups, epsilon: epsilon as f32, is_activated }, inputs, &[height * width])
}

/// Begins a kernel whose output is of its first input's shape, where everything that is taken at once lies together.
fn run<B: Backend, const D: usize>(rows: Rows, inputs: Vec<OnCard>, widths: &[usize]) -> Option<Tensor<B, D>> {
    let first = inputs.first()?;
    if !is_known(first.device.index, widths) {
        return None;
    }
    from_card(rows.of(inputs))
}

/// Whether the kernels know rows that are made of these widths.
pub(super) fn is_known(card: usize, widths: &[usize]) -> bool {
    widths.iter().all(|width| width.is_multiple_of(AT_ONCE)) && lane::is_there(card)
}

impl Rows {
    /// Begins the kernel. The output is of the first input's shape.
    pub fn of(self, inputs: Vec<OnCard>) -> OnCard {
        let shape = inputs[0].shape();
        compute(self, inputs, [shape]).remove(0)
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
                let (batch, distances) = match (input.shape.as_slice(), input.strides.as_slice()) {
                    ([batch, ..], [entry, token, _]) => (*batch, [*entry, *token]),
                    (_, strides) => (1, [0, strides[0]]),
                };
                let (head, warps) = (weight.shape[0], THREADS / 32);
                let tokens = input.shape[input.shape.len() - 2];
                let rows = batch * tokens * (width / head);
                let arguments = arguments.address(input).wide(distances[0]).wide(distances[1]).address(weight);
                let arguments = arguments.address(output).narrow(tokens).narrow(width / head).narrow(rows);
                let arguments = arguments.narrow(head).float(*epsilon);
                launch(lane, "rms_norm", [rows.div_ceil(warps), 1, 1], THREADS * AT_ONCE, arguments)
            }
            (Self::Turn { width: head, halves }, [cosines, sines]) => {
                let arguments = arguments.stream(input).address(cosines).address(sines).wide(cosines.strides[1]);
                let arguments = arguments.address(output).narrow(width).narrow(*head).narrow(usize::from(*halves));
                launch(lane, "turn", by_tokens(), width, arguments)
            }
            (Self::Activated { is_quick }, []) => {
                let arguments = arguments.stream(input).address(output).narrow(width).narrow(usize::from(*is_quick));
                launch(lane, "activated", by_tokens(), width, arguments)
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

/// The kernels here, and what they share.
const SOURCE: &str = concat!(include_str!("eight.cu"), include_str!("rows.cu"));

fn launch(lane: &mut Lane, name: &str, grid: [usize; 3], width: usize, arguments: Arguments) -> Result<(), Failure> {
    launch_of(SOURCE, lane, name, grid, width, arguments)
}

/// Begins a kernel with as many threads a block as `width` numbers keep busy.
pub(super) fn launch_of(
    source: &str,
    lane: &mut Lane,
    name: &str,
    grid: [usize; 3],
    width: usize,
    arguments: Arguments,
) -> Result<(), Failure> {
    let threads = width.div_ceil(AT_ONCE).next_multiple_of(32).min(THREADS) as u32;
    let kernel = Kernel { source, name, definitions: Vec::new(), threads, shared_memory: 0, is_of_this_card: false };
    // SAFETY: each kernel here and of their gradients is given its arguments in their order.
    unsafe { arguments.launch(lane, &kernel, grid) }
}

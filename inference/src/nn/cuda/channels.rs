//! Pictures whose channels lie last in memory: how NVIDIA's convolutions are fastest. To the rest of the program they are
//! `[batch, channels, height, width]` all the same; only the distances between neighbours are others.

use burn::tensor::{Shape, Tensor, TensorMetadata, backend::Backend};
use burn_cubecl::{kernel::into_contiguous, ops::permute_nhwc_to_nchw};

use super::{
    OnCard,
    arguments::Arguments,
    from_card, lane,
    lane::{Failure, Kernel, Lane},
    on_card,
    operation::{Computation, Numbers, compute},
    rows::{AT_ONCE, THREADS},
};

const SOURCE: &str = concat!(include_str!("eight.cu"), include_str!("channels.cu"));

/// Most threads of a block of a group normalisation.
const GROUP_THREADS: usize = 512;

/// Most pieces that the pixels of a picture are normalised in.
const PIECES: usize = 512;

/// One of the kernels. Inputs and outputs are `[batch, height, width, channels]`.
#[derive(Clone, Copy, Debug)]
enum Channels {
    /// Of what lies as `[count, channels, pixels]`; the output has so many channels.
    Last,
    Sum,
    /// The second input is `[batch, channels]`.
    Shifted,
    Beside,
    /// Every pixel is the nearest one of the input.
    Resized,
    GroupNorm {
        groups: usize,
        epsilon: f32,
        is_activated: bool,
    },
}

/// `[batch, channels, height, width]` as `[batch, height, width, wide]` without gaps, where `wide` is a multiple of eight and channels
/// that are not there are zeros.
pub(super) fn last(tensor: OnCard) -> OnCard {
    if lie_last(&tensor) {
        return pixels(tensor);
    }
    let [batch, channels, height, width] = tensor.shape().dims();
    let shape = Shape::new([batch, height, width, channels.next_multiple_of(AT_ONCE)]);
    compute(Channels::Last, vec![into_contiguous(tensor)], [shape]).remove(0)
}

/// What [`last`] gives, as everybody sees it: `[batch, height, width, wide]` as `[batch, channels, height, width]`.
pub(super) fn first(tensor: OnCard) -> OnCard {
    permute_nhwc_to_nchw(tensor)
}

/// A picture whose channels lie last already, as `[batch, height, width, channels]`. Distances along axes of one, which say nothing, are
/// those of a tensor without gaps, as burn wants them.
fn pixels(picture: OnCard) -> OnCard {
    let [batch, channels, height, width] = picture.shape().dims();
    let shape = Shape::new([batch, height, width, channels]);
    OnCard::new_contiguous(picture.client, picture.device, shape, picture.handle, picture.dtype)
}

/// Whether a picture's channels lie last already, without gaps.
fn lie_last(tensor: &OnCard) -> bool {
    let [_, channels, height, width] = tensor.shape().dims();
    let wanted = [channels * height * width, 1, width * channels, channels];
    let axes = tensor.meta.strides().iter().zip(tensor.meta.shape().iter()).zip(wanted);
    channels.is_multiple_of(AT_ONCE)
        && axes.into_iter().all(|((stride, count), wanted)| *count == 1 || *stride == wanted)
}

/// Pictures as the card's, if the channels of all lie last.
fn all_last<B: Backend, const N: usize>(tensors: [&Tensor<B, 4>; N]) -> Option<Vec<OnCard>> {
    let found: Vec<OnCard> = tensors.into_iter().map(on_card).collect::<Option<_>>()?;
    let is_known = found.iter().all(lie_last) && lane::is_there(found.first()?.device.index);
    is_known.then(|| found.into_iter().map(pixels).collect())
}

fn run<B: Backend>(kernel: Channels, inputs: Vec<OnCard>, shape: Shape) -> Option<Tensor<B, 4>> {
    from_card(first(compute(kernel, inputs, [shape]).remove(0)))
}

/// The sum of two pictures.
pub fn sum<B: Backend>(left: &Tensor<B, 4>, right: &Tensor<B, 4>) -> Option<Tensor<B, 4>> {
    if left.dims() != right.dims() {
        return None;
    }
    let inputs = all_last([left, right])?;
    let shape = inputs[0].shape();
    run(Channels::Sum, inputs, shape)
}

/// A picture plus one number for each of its channels, `[batch, channels]`.
pub fn shifted<B: Backend>(picture: &Tensor<B, 4>, by: &Tensor<B, 2>) -> Option<Tensor<B, 4>> {
    let mut inputs = all_last([picture])?;
    let shape = inputs[0].shape();
    inputs.push(on_card(by)?);
    run(Channels::Shifted, inputs, shape)
}

/// The channels of two pictures of one size beside each other.
pub fn beside<B: Backend>(left: &Tensor<B, 4>, right: &Tensor<B, 4>) -> Option<Tensor<B, 4>> {
    let inputs = all_last([left, right])?;
    let ([batch, height, width, channels], [.., more]) = (inputs[0].shape().dims(), inputs[1].shape().dims::<4>());
    run(Channels::Beside, inputs, Shape::new([batch, height, width, channels + more]))
}

/// A picture of another height and width, whose pixels are the nearest ones.
pub fn resized<B: Backend>(picture: &Tensor<B, 4>, [height, width]: [usize; 2]) -> Option<Tensor<B, 4>> {
    let inputs = all_last([picture])?;
    let [batch, _, _, channels] = inputs[0].shape().dims();
    run(Channels::Resized, inputs, Shape::new([batch, height, width, channels]))
}

/// The same numbers with the channels last, where convolutions take them so, or at least without gaps.
pub fn laid_out<B: Backend>(tensor: &Tensor<B, 4>) -> Option<Tensor<B, 4>> {
    let weight = on_card(tensor)?;
    if !lane::has_convolutions(weight.device.index) {
        return None;
    }
    let is_known = tensor.dims()[1].is_multiple_of(AT_ONCE);
    from_card(if is_known { first(last(weight)) } else { into_contiguous(weight) })
}

/// Whether the channels of a picture lie last, so that its pixels are rows already.
pub fn are_last<B: Backend>(picture: &Tensor<B, 4>) -> bool {
    on_card(picture).is_some_and(|picture| lie_last(&picture))
}

/// `[batch, channels, height, width]`, every group of channels normalised, times and plus `[channels]`, and its silu if asked for.
pub(super) fn group_norm<B: Backend>(
    input: &Tensor<B, 4>,
    (weight, bias): (&Tensor<B, 1>, &Tensor<B, 1>),
    (groups, epsilon): (usize, f64),
    is_activated: bool,
) -> Option<Tensor<B, 4>> {
    let channels = input.dims()[1];
    if channels / AT_ONCE > GROUP_THREADS {
        return None;
    }
    let mut inputs = all_last([input])?;
    let shape = inputs[0].shape();
    inputs.extend([on_card(weight)?, on_card(bias)?]);
    run(Channels::GroupNorm { groups, epsilon: epsilon as f32, is_activated }, inputs, shape)
}

impl Computation for Channels {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let ([input, others @ ..], [output]) = (inputs, outputs) else {
            unreachable!("invariant: there is an input and one output")
        };
        let eights = output.shape.iter().product::<usize>() / AT_ONCE;
        let arguments = Arguments::default().address(input);
        match (self, others) {
            (Self::Last, []) => {
                let [count, channels, height, width] = [0, 1, 2, 3].map(|axis| input.shape[axis]);
                let (pixels, wide) = (height * width, output.shape[3]);
                let arguments = arguments.address(output).narrow(channels).narrow(pixels).narrow(wide);
                begin(lane, "channels_last", [pixels.div_ceil(32), wide.div_ceil(32), count], (THREADS, 0), arguments)
            }
            (Self::Sum, [other]) => {
                let arguments = arguments.address(other).address(output).wide(eights);
                begin(lane, "sum", [eights.div_ceil(THREADS), 1, 1], (THREADS, 0), arguments)
            }
            (Self::Shifted, [row]) => {
                let (batch, channels) = (output.shape[0], output.shape[3]);
                let each = eights / batch;
                let arguments = arguments.address(row).wide(row.strides[0]).address(output).wide(each).narrow(channels);
                begin(lane, "shifted", [each.div_ceil(THREADS), batch, 1], (THREADS, 0), arguments)
            }
            (Self::Beside, [other]) => {
                let arguments = arguments.address(other).address(output).wide(eights);
                let arguments = arguments.narrow(input.shape[3]).narrow(other.shape[3]);
                begin(lane, "beside", [eights.div_ceil(THREADS), 1, 1], (THREADS, 0), arguments)
            }
            (Self::Resized, []) => {
                let [height, width, channels] = [1, 2, 3].map(|axis| output.shape[axis]);
                let arguments = arguments.address(output).wide(eights).narrow(channels).narrow(height).narrow(width);
                let arguments = arguments.narrow(input.shape[1]).narrow(input.shape[2]);
                begin(lane, "resized", [eights.div_ceil(THREADS), 1, 1], (THREADS, 0), arguments)
            }
            (Self::GroupNorm { groups, epsilon, is_activated }, [weight, bias]) => {
                let norm = GroupNorm::of(input, *groups);
                let statistics = norm.statistics(lane, input, *epsilon)?;
                let arguments = arguments.at(statistics).address(weight).address(bias).address(output);
                let arguments = arguments.narrow(norm.pixels).narrow(norm.channels).narrow(*groups).narrow(norm.piece);
                let arguments = arguments.narrow(usize::from(*is_activated));
                begin(lane, "group_norm_of_pixels", norm.grid(), (GROUP_THREADS, 0), arguments)
            }
            _ => unreachable!("invariant: every kernel is given the tensors that it takes"),
        }
    }
}

/// How a group normalisation is cut into pieces.
struct GroupNorm {
    batch: usize,
    pixels: usize,
    channels: usize,
    groups: usize,
    /// Pixels of a piece.
    piece: usize,
}

impl GroupNorm {
    fn of(input: &Numbers, groups: usize) -> Self {
        let [batch, height, width, channels] = [0, 1, 2, 3].map(|axis| input.shape[axis]);
        let pixels = height * width;
        // A thread has a few pixels at least, and there are enough pieces for every multiprocessor.
        let lanes = GROUP_THREADS / (channels / AT_ONCE);
        let piece = (4 * lanes).max(pixels.div_ceil(PIECES));
        Self { batch, pixels, channels, groups, piece }
    }

    fn grid(&self) -> [usize; 3] {
        [self.pixels.div_ceil(self.piece), self.batch, 1]
    }

    /// Begins to compute the mean of every group and what it is multiplied by, and says where they will be.
    fn statistics(&self, lane: &mut Lane, input: &Numbers, epsilon: f32) -> Result<u64, Failure> {
        let [pieces, batch, _] = self.grid();
        let of_all = batch * self.groups;
        let sums = lane.workspace_of(of_all * (pieces + 1) * size_of::<[f32; 2]>())?;
        let statistics = sums + (of_all * pieces * size_of::<[f32; 2]>()) as u64;
        let lanes = GROUP_THREADS / (self.channels / AT_ONCE);
        let shared = lanes * self.channels * size_of::<[f32; 2]>();
        let arguments = Arguments::default().address(input).at(sums).narrow(self.pixels).narrow(self.channels);
        let arguments = arguments.narrow(self.groups).narrow(self.piece);
        begin(lane, "group_sums", self.grid(), (GROUP_THREADS, shared), arguments)?;
        let count = self.channels / self.groups * self.pixels;
        let arguments = Arguments::default().at(sums).at(statistics).narrow(pieces).float(count as f32).float(epsilon);
        begin(lane, "group_statistics_of_sums", [of_all, 1, 1], (32, 0), arguments)?;
        Ok(statistics)
    }
}

/// Begins a kernel with so many threads a block, which share so many bytes.
fn begin(
    lane: &mut Lane,
    name: &str,
    grid: [usize; 3],
    (threads, shared): (usize, usize),
    arguments: Arguments,
) -> Result<(), Failure> {
    let (threads, shared_memory) = (threads as u32, shared as u32);
    let kernel =
        Kernel { source: SOURCE, name, definitions: Vec::new(), threads, shared_memory, is_of_this_card: false };
    // SAFETY: each kernel above is given its arguments in their order.
    unsafe { arguments.launch(lane, &kernel, grid) }
}

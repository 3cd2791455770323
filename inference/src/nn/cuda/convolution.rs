//! Convolutions by cuDNN: of bf16 numbers with [channels last](super::channels), of others with rows of pixels.

use std::{collections::HashMap, ffi::c_int, mem::MaybeUninit};

use burn::tensor::{DType, Shape, Tensor, TensorMetadata, backend::Backend};
use burn_cubecl::{kernel::slice, ops::reshape};
use cudarc::{
    cudnn::{
        result::{self as dnn, CudnnError},
        sys,
    },
    driver::sys::CUstream,
};

use super::{
    OnCard, channels, from_card, lane,
    lane::{Failure, Lane},
    on_card_alike, on_card_in,
    operation::{Computation, Numbers, compute},
    products::MULTIPLE,
};

/// More bytes than this are not given to a convolution to compute in.
const MOST_WORKSPACE: usize = 4 << 30;

/// Steps and zeros of a convolution, the same in both directions and on every side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Steps {
    /// Pixels between outputs.
    stride: usize,
    /// Rows and columns of zeros on every side.
    padding: usize,
}

#[derive(Debug)]
struct Convolution {
    steps: Steps,
    channels_are_last: bool,
}

/// `[batch, in, height, width]` by `[out, in, kernel, kernel]`, and plus `[out]`, with so many pixels between outputs and so many
/// rows and columns of zeros on every side.
pub fn convolve<B: Backend>(
    input: &Tensor<B, 4>,
    weight: &Tensor<B, 4>,
    bias: Option<&Tensor<B, 1>>,
    (stride, padding): (usize, usize),
) -> Option<Tensor<B, 4>> {
    let steps = Steps { stride, padding };
    let [input, weight]: [OnCard; 2] = on_card_alike([input, weight])?.try_into().ok()?;
    let bias = match bias {
        Some(bias) => Some(on_card_in(bias, input.dtype)?),
        None => None,
    };
    if !lane::has_convolutions(input.device.index) {
        return None;
    }
    let shape = steps.output(&input.shape(), &weight.shape())?;
    from_card(if input.dtype == DType::BF16 {
        steps.convolve_channels_last(input, weight, bias, shape)
    } else {
        let inputs = [input, weight].into_iter().chain(bias).collect();
        compute(Convolution { steps, channels_are_last: false }, inputs, [shape]).remove(0)
    })
}

impl Steps {
    /// The output's shape, if the input is large enough for one.
    fn output(&self, input: &Shape, weight: &Shape) -> Option<Shape> {
        let ([batch, _, height, width], [outputs, _, kernel, _]) = (input.dims::<4>(), weight.dims::<4>());
        let after = |pixels: usize| Some((pixels + 2 * self.padding).checked_sub(kernel)? / self.stride + 1);
        Some(Shape::new([batch, outputs, after(height)?, after(width)?]))
    }

    /// The same with channels last, whose numbers are multiples of eight: those that are missing are zeros, and taken away again.
    fn convolve_channels_last(self, input: OnCard, weight: OnCard, bias: Option<OnCard>, shape: Shape) -> OnCard {
        let [batch, outputs, height, width] = shape.dims();
        let wide = outputs.next_multiple_of(MULTIPLE);
        let widen = |bias: OnCard| {
            let row = reshape(bias, Shape::new([1, outputs, 1, 1]));
            reshape(channels::last(row), Shape::new([wide]))
        };
        let bias = bias.map(|bias| if wide == outputs { bias } else { widen(bias) });
        let weight = if wide == outputs { weight } else { with_rows(weight, wide) };
        let inputs = [channels::last(input), channels::last(weight)].into_iter().chain(bias).collect();
        let convolution = Convolution { steps: self, channels_are_last: true };
        let computed = compute(convolution, inputs, [Shape::new([batch, height, width, wide])]).remove(0);
        let output = channels::first(computed);
        if wide == outputs { output } else { slice(output, &[0..batch, 0..outputs, 0..height, 0..width]) }
    }
}

/// A weight with rows of zeros after its own.
fn with_rows(weight: OnCard, rows: usize) -> OnCard {
    let [outputs, inputs, height, width] = weight.shape().dims();
    // To [`channels::last`] the outputs are channels, and everything else pixels.
    let shape = Shape::new([1, outputs, inputs, height * width]);
    let turned = channels::last(reshape(weight, shape));
    let back = channels::first(turned);
    reshape(back, Shape::new([rows, inputs, height, width]))
}

/// What decides how a convolution is computed best.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    input: Vec<usize>,
    weight: Vec<usize>,
    output: Vec<usize>,
    steps: Steps,
    is_half: bool,
    channels_are_last: bool,
    has_bias: bool,
}

/// A convolution that is ready to be computed; its descriptions stay for as long as the process.
#[derive(Clone, Copy)]
struct Plan {
    input: sys::cudnnTensorDescriptor_t,
    weight: sys::cudnnFilterDescriptor_t,
    output: sys::cudnnTensorDescriptor_t,
    bias: sys::cudnnTensorDescriptor_t,
    convolution: sys::cudnnConvolutionDescriptor_t,
    algorithm: sys::cudnnConvolutionFwdAlgo_t,
    /// Whether the bias is added at once.
    adds_bias: bool,
    /// Bytes that it computes in.
    workspace: usize,
}

/// cuDNN, and the convolutions that it knows by now.
pub(super) struct Convolutions {
    handle: sys::cudnnHandle_t,
    /// No activation.
    identity: sys::cudnnActivationDescriptor_t,
    plans: HashMap<Kind, Plan>,
}

impl Convolutions {
    /// cuDNN on a stream, `None` where it is not installed.
    pub fn new(stream: CUstream) -> Result<Option<Self>, CudnnError> {
        // SAFETY: the library is asked for first; the stream is the lane's and stays.
        unsafe {
            if !sys::is_culib_present() {
                return Ok(None);
            }
            let handle = dnn::create_handle()?;
            dnn::set_stream(handle, stream.cast())?;
            let mut identity = MaybeUninit::uninit();
            sys::cudnnCreateActivationDescriptor(identity.as_mut_ptr()).result()?;
            let identity = identity.assume_init();
            let (mode, numbers) = (
                sys::cudnnActivationMode_t::CUDNN_ACTIVATION_IDENTITY,
                sys::cudnnNanPropagation_t::CUDNN_NOT_PROPAGATE_NAN,
            );
            sys::cudnnSetActivationDescriptor(identity, mode, numbers, 0.0).result()?;
            Ok(Some(Self { handle, identity, plans: HashMap::new() }))
        }
    }

    /// Convolutions are told to this stream from now on.
    pub fn go_to(&self, stream: CUstream) -> Result<(), CudnnError> {
        // SAFETY: the handle is this one's own, and streams stay for as long as the process.
        unsafe { dnn::set_stream(self.handle, stream.cast()) }
    }

    fn plan(&mut self, kind: Kind) -> Result<Plan, Failure> {
        if let Some(plan) = self.plans.get(&kind) {
            return Ok(*plan);
        }
        let number = if kind.is_half {
            sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16
        } else {
            sys::cudnnDataType_t::CUDNN_DATA_FLOAT
        };
        let layout = if kind.channels_are_last {
            sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC
        } else {
            sys::cudnnTensorFormat_t::CUDNN_TENSOR_NCHW
        };
        let sizes = |shape: &[usize]| -> [c_int; 4] {
            std::array::from_fn(|axis| c_int::try_from(shape[axis]).unwrap_or(c_int::MAX))
        };
        let steps = [kind.steps.padding, kind.steps.stride].map(|steps| c_int::try_from(steps).unwrap_or(c_int::MAX));
        let [padding, stride] = steps;
        // SAFETY: every description is this function's own; the answers are written into room for as many as are asked for.
        let plan = unsafe {
            let (input, output, bias) =
                (dnn::create_tensor_descriptor()?, dnn::create_tensor_descriptor()?, dnn::create_tensor_descriptor()?);
            dnn::set_tensor4d_descriptor(input, layout, number, sizes(&kind.input))?;
            dnn::set_tensor4d_descriptor(output, layout, number, sizes(&kind.output))?;
            dnn::set_tensor4d_descriptor(bias, layout, number, sizes(&[1, kind.output[1], 1, 1]))?;
            let weight = dnn::create_filter_descriptor()?;
            dnn::set_filter4d_descriptor(weight, number, layout, sizes(&kind.weight))?;
            let convolution = dnn::create_convolution_descriptor()?;
            let (mode, sums) =
                (sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION, sys::cudnnDataType_t::CUDNN_DATA_FLOAT);
            dnn::set_convolution2d_descriptor(convolution, padding, padding, stride, stride, 1, 1, mode, sums)?;
            let math = if kind.is_half {
                sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH
            } else {
                sys::cudnnMathType_t::CUDNN_FMA_MATH
            };
            dnn::set_convolution_math_type(convolution, math)?;
            let mut found: [MaybeUninit<sys::cudnnConvolutionFwdAlgoPerf_t>; 8] = [const { MaybeUninit::uninit() }; 8];
            let mut count = 0;
            let first = found.as_mut_ptr().cast();
            dnn::get_convolution_forward_algorithm(
                self.handle,
                input,
                weight,
                convolution,
                output,
                8,
                &raw mut count,
                first,
            )?;
            let known = found.iter().take(usize::try_from(count).unwrap_or_default()).map(|one| one.assume_init());
            let works = |one: &sys::cudnnConvolutionFwdAlgoPerf_t| {
                one.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS && one.memory <= MOST_WORKSPACE
            };
            let known: Vec<_> = known.into_iter().filter(works).collect();
            // The fastest stands first; one adds a bias at once.
            let adds_bias = |one: &&sys::cudnnConvolutionFwdAlgoPerf_t| {
                let this = sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
                kind.channels_are_last && kind.has_bias && one.algo == this
            };
            let with_bias = known.iter().find(adds_bias);
            let chosen = with_bias.or(known.first()).ok_or(Failure::Missing("a way to compute a convolution"))?;
            dnn::set_convolution_math_type(convolution, chosen.mathType)?;
            let (algorithm, workspace, adds_bias) = (chosen.algo, chosen.memory, with_bias.is_some());
            Plan { input, weight, output, bias, convolution, algorithm, adds_bias, workspace }
        };
        self.plans.insert(kind, plan);
        Ok(plan)
    }
}

impl Computation for Convolution {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let ([input, weight, ..], [output]) = (inputs, outputs) else {
            unreachable!("invariant: a convolution has an input, a weight and an output")
        };
        let convolutions = lane.convolutions.as_mut().ok_or(Failure::Missing("cuDNN (libcudnn)"))?;
        // cuDNN is told channels before rows and columns however they lie.
        let of = |numbers: &Numbers| match numbers.shape.as_slice() {
            [count, rows, columns, channels] if self.channels_are_last => vec![*count, *channels, *rows, *columns],
            shape => shape.to_vec(),
        };
        let bias = inputs.get(2);
        let kind = Kind {
            input: of(input),
            weight: of(weight),
            output: of(output),
            steps: self.steps,
            is_half: input.precision == DType::BF16,
            channels_are_last: self.channels_are_last,
            has_bias: bias.is_some(),
        };
        let plan = convolutions.plan(kind)?;
        let (handle, identity) = (convolutions.handle, convolutions.identity);
        let workspace = lane.workspace_of(plan.workspace)? as *mut _;
        let (one, nothing) = (1.0f32, 0.0f32);
        let (one, nothing) = ((&raw const one).cast(), (&raw const nothing).cast());
        let (from, by, to) = (input.address as *const _, weight.address as *const _, output.address as *mut _);
        let Plan { convolution, algorithm, workspace: bytes, .. } = plan;
        // SAFETY: the plan describes these tensors, whose memory burn keeps until the card has done what it was told.
        unsafe {
            match bias {
                Some(bias) if plan.adds_bias => sys::cudnnConvolutionBiasActivationForward(
                    handle,
                    one,
                    plan.input,
                    from,
                    plan.weight,
                    by,
                    convolution,
                    algorithm,
                    workspace,
                    bytes,
                    nothing,
                    plan.output,
                    to,
                    plan.bias,
                    bias.address as *const _,
                    identity,
                    plan.output,
                    to,
                )
                .result()?,
                _ => {
                    dnn::convolution_forward(
                        handle,
                        one,
                        plan.input,
                        from,
                        plan.weight,
                        by,
                        convolution,
                        algorithm,
                        workspace,
                        bytes,
                        nothing,
                        plan.output,
                        to,
                    )?;
                    if let Some(bias) = bias {
                        let from = bias.address as *const _;
                        sys::cudnnAddTensor(handle, one, plan.bias, from, one, plan.output, to).result()?;
                    }
                }
            }
        }
        Ok(())
    }

    fn wants_whole_inputs(&self) -> bool {
        true
    }
}

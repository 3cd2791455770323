//! Convolutions by cuDNN.

use std::{collections::HashMap, ffi::c_int, mem::MaybeUninit};

use burn::tensor::{DType, Shape, Tensor, backend::Backend};
use cudarc::cudnn::{
    result::{self as dnn, CudnnError},
    sys,
};

use super::{
    lane,
    lane::{Failure, Lane},
    operation::{Computation, Numbers, compute},
    on_card_alike, from_card,
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
    let mut inputs = on_card_alike([input, weight])?;
    if let Some(bias) = bias {
        inputs.extend(on_card_alike([bias])?);
    }
    let precision = inputs.first()?.dtype;
    let card = inputs.first()?.device.index;
    if inputs.iter().any(|one| one.dtype != precision) || !lane::has_convolutions(card) {
        return None;
    }
    let ([batch, _, height, width], [outputs, _, kernel, _]) = (input.dims(), weight.dims());
    let after = |pixels: usize| Some((pixels + 2 * steps.padding).checked_sub(kernel)? / steps.stride + 1);
    let shape = Shape::new([batch, outputs, after(height)?, after(width)?]);
    from_card(compute(Convolution { steps }, inputs, [shape]).into_iter().next()?)
}

/// What decides how a convolution is computed best.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    input: Vec<usize>,
    weight: Vec<usize>,
    output: Vec<usize>,
    steps: Steps,
    is_half: bool,
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
    /// Bytes that it computes in.
    workspace: usize,
}

/// cuDNN, and the convolutions that it knows by now.
pub(super) struct Convolutions {
    handle: sys::cudnnHandle_t,
    plans: HashMap<Kind, Plan>,
}

impl Convolutions {
    /// cuDNN on a lane's stream, `None` where it is not installed.
    pub fn new(stream: cudarc::driver::sys::CUstream) -> Result<Option<Self>, CudnnError> {
        // SAFETY: the library is asked for first; the stream is the lane's and stays.
        unsafe {
            if !sys::is_culib_present() {
                return Ok(None);
            }
            let handle = dnn::create_handle()?;
            dnn::set_stream(handle, stream.cast())?;
            Ok(Some(Self { handle, plans: HashMap::new() }))
        }
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
        let layout = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NCHW;
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
            // The fastest stands first.
            let works = |one: &sys::cudnnConvolutionFwdAlgoPerf_t| {
                one.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS && one.memory <= MOST_WORKSPACE
            };
            let chosen = known.into_iter().find(works).ok_or(Failure::Missing("a way to compute a convolution"))?;
            dnn::set_convolution_math_type(convolution, chosen.mathType)?;
            let (algorithm, workspace) = (chosen.algo, chosen.memory);
            Plan { input, weight, output, bias, convolution, algorithm, workspace }
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
        let kind = Kind {
            input: input.shape.clone(),
            weight: weight.shape.clone(),
            output: output.shape.clone(),
            steps: self.steps,
            is_half: input.precision == DType::BF16,
        };
        let plan = convolutions.plan(kind)?;
        let handle = convolutions.handle;
        let workspace = lane.workspace_of(plan.workspace)?;
        let (one, nothing) = (1.0f32, 0.0f32);
        let (one, nothing) = ((&raw const one).cast(), (&raw const nothing).cast());
        // SAFETY: the plan describes these tensors, whose memory burn keeps until the card has done what it was told.
        unsafe {
            dnn::convolution_forward(
                handle,
                one,
                plan.input,
                input.address as *const _,
                plan.weight,
                weight.address as *const _,
                plan.convolution,
                plan.algorithm,
                workspace as *mut _,
                plan.workspace,
                nothing,
                plan.output,
                output.address as *mut _,
            )?;
            if let Some(bias) = inputs.get(2) {
                let (from, to) = (bias.address as *const _, output.address as *mut _);
                sys::cudnnAddTensor(handle, one, plan.bias, from, one, plan.output, to).result()?;
            }
        }
        Ok(())
    }

    fn wants_whole_inputs(&self) -> bool {
        true
    }
}

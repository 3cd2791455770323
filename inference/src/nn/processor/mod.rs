//! The costly operations on the processor, each in few passes over its numbers and with a gradient of its own.
//!
//! burn composes a normalisation, a rotation or an attention of five to ten operations, each of which reads and writes all
//! numbers once, and remembers its inputs for the gradient. An accelerator's compiler joins them again; the processor's
//! backend does not. What stands here computes the same at once: [`run`] does where the backend is the processor's, with or
//! without gradients, and the numbers are f32; it answers `None` elsewhere, and its caller composes.

mod activation;
mod attention;
mod convolution;
mod group_norm;
mod lanes;
mod layer_norm;
mod matrix;
mod projection;
mod rms_norm;
mod rotation;
mod tracked;

pub use self::{
    activation::Gated,
    attention::{Attention, Mask},
    convolution::Convolution,
    group_norm::GroupNormalisation,
    layer_norm::{GatedSum, ScaledLayerNorm},
    projection::Projection,
    rms_norm::RmsNormalisation,
    rotation::{Pairs, Turn},
};

use std::{any::Any, fmt::Debug, ops::Range};

use burn::{
    backend::{
        Autodiff, Flex,
        flex::{FlexTensor, Layout},
    },
    tensor::{DType, Tensor, TensorMetadata, TensorPrimitive, backend::Backend},
};
use half::{bf16, f16};
use rayon::prelude::*;

use self::lanes::fast;

/// A tensor that remembers what it was computed from.
type Tracked = <Autodiff<Flex> as burn::tensor::backend::BackendTypes>::FloatTensorPrimitive;

/// Rows are computed on another thread from so many numbers on.
const WORTH_A_THREAD: usize = 1 << 15;

const LIES_WHOLE: &str = "invariant: an array lies whole in memory";

/// An operation of `N` inputs with one output.
pub trait Operation<const N: usize>: Clone + Debug + Send + 'static {
    /// What the gradient needs beside the inputs and the output.
    type Kept: Clone + Debug + Send + 'static;

    /// The output, and what its gradient will need.
    fn forward(&self, inputs: [&Array; N]) -> (Array, Self::Kept);

    /// Whether an input may be in half precision; every other one is f32.
    fn takes_halves(&self, _input: usize) -> bool {
        false
    }

    /// Gradients of the inputs that are wanted, from the output and its gradient.
    fn backward(&self, pass: BackwardPass<'_, Self::Kept, N>) -> [Option<Array>; N];
}

/// What a gradient is computed from.
pub struct BackwardPass<'a, K, const N: usize> {
    /// The inputs of the operation.
    pub inputs: [&'a Array; N],
    /// Its output.
    pub output: &'a Array,
    /// What it kept.
    pub kept: &'a K,
    /// The gradient of its output.
    pub gradient: &'a Array,
    /// Which inputs' gradients are wanted.
    pub wanted: [bool; N],
}

/// Numbers in the order of their shape.
#[derive(Clone, Debug)]
pub struct Array(FlexTensor);

impl Array {
    /// Numbers of a shape.
    pub fn new(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> Self {
        let shape = burn::tensor::Shape::from(shape.into());
        debug_assert_eq!(values.len(), shape.num_elements(), "a shape counts its numbers");
        Self(FlexTensor::new(burn::tensor::Bytes::from_elems(values), Layout::contiguous(shape), DType::F32))
    }

    /// The numbers.
    pub fn values(&self) -> &[f32] {
        self.0.as_slice().expect(LIES_WHOLE)
    }

    /// The shape.
    pub fn shape(&self) -> &[usize] {
        self.0.layout().shape()
    }

    /// Numbers along the last axis.
    pub fn width(&self) -> usize {
        self.shape().last().copied().unwrap_or(1)
    }

    /// Some of the numbers, in f32: read where they lie or widened into `place`.
    pub fn floats<'a>(&'a self, range: Range<usize>, place: &'a mut [f32]) -> &'a [f32] {
        /// Widens on all threads if it is much.
        fn widen<T: Copy + Sync>(values: &[T], place: &mut [f32], one: impl Fn(T) -> f32 + Sync) {
            by_rows(place, 1, |first, part| {
                fast(|| part.iter_mut().zip(&values[first..]).for_each(|(place, value)| *place = one(*value)));
            });
        }
        let count = range.len();
        match self.0.dtype() {
            DType::BF16 => {
                widen(&self.0.as_slice::<bf16>().expect(LIES_WHOLE)[range], &mut place[..count], bf16::to_f32)
            }
            DType::F16 => widen(&self.0.as_slice::<f16>().expect(LIES_WHOLE)[range], &mut place[..count], f16::to_f32),
            _ => return &self.values()[range],
        }
        &place[..count]
    }

    /// Whether the numbers are in half precision.
    pub fn is_half(&self) -> bool {
        is_half(self.0.dtype())
    }

    fn of(tensor: &FlexTensor) -> Self {
        let lies_whole = match tensor.dtype() {
            DType::BF16 => tensor.as_slice::<bf16>().is_some(),
            DType::F16 => tensor.as_slice::<f16>().is_some(),
            _ => tensor.as_slice::<f32>().is_some(),
        };
        Self(if lies_whole { tensor.clone() } else { tensor.to_contiguous() })
    }
}

/// The parameters of an operation as it takes them: tensors of any rank.
pub struct Input<B: Backend>(B::FloatTensorPrimitive);

impl<B: Backend, const D: usize> From<Tensor<B, D>> for Input<B> {
    fn from(tensor: Tensor<B, D>) -> Self {
        Self(tensor.into_primitive().tensor())
    }
}

/// Whether operations are computed here for tensors of this backend and precision.
pub fn computes<B: Backend>(precision: DType) -> bool {
    use std::any::TypeId;
    let kind = TypeId::of::<B::FloatTensorPrimitive>();
    precision == DType::F32 && (kind == TypeId::of::<FlexTensor>() || kind == TypeId::of::<Tracked>())
}

fn is_half(precision: DType) -> bool {
    matches!(precision, DType::BF16 | DType::F16)
}

/// Computes an operation, or `None` where it is not computed here: on other backends and in other precisions.
pub fn run<B: Backend, O: Operation<N>, const D: usize, const N: usize>(
    operation: &O,
    inputs: [Input<B>; N],
) -> Option<Tensor<B, D>> {
    let is_taken = |(index, input): (usize, &Input<B>)| {
        let precision = input.0.dtype();
        precision == DType::F32 || (is_half(precision) && operation.takes_halves(index))
    };
    if !computes::<B>(DType::F32) || !inputs.iter().enumerate().all(is_taken) {
        return None;
    }
    let inputs = inputs.map(|input| input.0);
    let output = match as_kind::<_, [FlexTensor; N]>(inputs) {
        Ok(plain) => {
            let arrays = plain.each_ref().map(Array::of);
            as_kind::<_, B::FloatTensorPrimitive>(operation.forward(arrays.each_ref()).0.0).ok()?
        }
        Err(inputs) => {
            let tracked = as_kind::<_, [Tracked; N]>(inputs).ok()?;
            as_kind(tracked::run(operation.clone(), tracked)).ok()?
        }
    };
    Some(Tensor::from_primitive(TensorPrimitive::Float(output)))
}

/// As [`run`], of as many inputs as come, 2 to 6; `None` for another number as well.
pub fn run_of_many<B: Backend, O, const D: usize>(operation: &O, inputs: Vec<Input<B>>) -> Option<Tensor<B, D>>
where
    O: Operation<2> + Operation<3> + Operation<4> + Operation<5> + Operation<6>,
{
    fn of<B: Backend, O: Operation<N>, const D: usize, const N: usize>(
        operation: &O,
        inputs: Vec<Input<B>>,
    ) -> Option<Tensor<B, D>> {
        run(operation, <[Input<B>; N]>::try_from(inputs).ok()?)
    }
    match inputs.len() {
        2 => of::<B, O, D, 2>(operation, inputs),
        3 => of::<B, O, D, 3>(operation, inputs),
        4 => of::<B, O, D, 4>(operation, inputs),
        5 => of::<B, O, D, 5>(operation, inputs),
        6 => of::<B, O, D, 6>(operation, inputs),
        _ => None,
    }
}

/// The value, if it is of the other type, too: generic code finds out here what its backend is.
pub(super) fn as_kind<A: 'static, T: 'static>(value: A) -> Result<T, A> {
    let mut place = Some(value);
    if let Some(found) = (&mut place as &mut dyn Any).downcast_mut::<Option<T>>().and_then(Option::take) {
        return Ok(found);
    }
    Err(place.expect("invariant: what was not taken is still there"))
}

/// Calls `compute` with the number of the first row and some rows, for all rows of `output`, on all threads if it is much.
fn by_rows(output: &mut [f32], width: usize, compute: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = (WORTH_A_THREAD / width.max(1)).max(1);
    if output.len() <= rows * width || rayon::current_num_threads() == 1 {
        return compute(0, output);
    }
    output.par_chunks_mut(rows * width).enumerate().for_each(|(index, chunk)| compute(index * rows, chunk));
}

/// Calls `compute` with the index of every piece of `width` numbers of `output`, on all threads.
fn by_pieces(output: &mut [f32], width: usize, compute: impl Fn(usize, &mut [f32]) + Sync) {
    if rayon::current_num_threads() == 1 {
        return output.chunks_mut(width).enumerate().for_each(|(index, piece)| compute(index, piece));
    }
    output.par_chunks_mut(width).enumerate().for_each(|(index, piece)| compute(index, piece));
}

#[cfg(test)]
mod tests;

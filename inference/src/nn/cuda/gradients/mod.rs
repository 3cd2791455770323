//! Gradients of what is computed on the card's lane, so that a training on a card has NVIDIA's own products and no scores in memory
//! as well.

mod attention;
mod projection;
mod rows;

use std::{fmt::Debug, marker::PhantomData};

use burn::{
    backend::{
        Autodiff, Cuda,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        cuda::CudaDevice,
    },
    tensor::{
        Tensor, TensorPrimitive,
        backend::{Backend, BackendTypes},
    },
};
use half::bf16;

use super::OnCard;
use crate::nn::processor::as_kind;

pub use self::projection::project;
pub(super) use self::{
    attention::attention,
    rows::{gated, gated_sum, layer_norm, rms_norm, turn},
};

/// A tensor of the card's that remembers what it was computed from.
type Tracked<C> = <Autodiff<C> as BackendTypes>::FloatTensorPrimitive;

/// burn's backend of cards, in one of the precisions that models are in.
pub(super) trait Card: Backend<FloatTensorPrimitive = OnCard, Device = CudaDevice> {}

impl Card for Cuda<f32> {}
impl Card for Cuda<bf16> {}

/// An operation of `N` inputs with one output.
trait Operation<const N: usize>: Clone + Debug + Send + 'static {
    /// The output, and what the gradient needs beside it and the inputs.
    fn forward(&self, inputs: [OnCard; N]) -> (OnCard, Vec<OnCard>);

    /// Gradients of the inputs that are wanted.
    fn backward<C: Card>(&self, pass: BackwardPass<N>) -> [Option<OnCard>; N];
}

/// What a gradient is computed from.
struct BackwardPass<const N: usize> {
    inputs: [OnCard; N],
    output: OnCard,
    kept: Vec<OnCard>,
    /// Of the output.
    gradient: OnCard,
    wanted: [bool; N],
}

/// The gradient of an operation, as burn calls it.
#[derive(Debug)]
struct Gradient<O>(PhantomData<fn() -> O>);

/// What an operation and its gradient share.
#[derive(Clone, Debug)]
struct Memory<O, const N: usize> {
    operation: O,
    inputs: [OnCard; N],
    output: OnCard,
    kept: Vec<OnCard>,
}

impl<C: Card, O: Operation<N>, const N: usize> Backward<C, N> for Gradient<O> {
    type State = Memory<O, N>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<C>(&ops.node);
        let Memory { operation, inputs, output, kept } = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let results = operation.backward::<C>(BackwardPass { inputs, output, kept, gradient, wanted });
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let (Some(parent), Some(result)) = (parent, result) {
                gradients.register::<C>(parent.id, result);
            }
        }
    }
}

/// Computes the operation and remembers it where an input's gradient will be asked for.
fn remember<C: Card, O: Operation<N>, const N: usize>(operation: O, inputs: [Tracked<C>; N]) -> Tracked<C> {
    let plain = inputs.each_ref().map(|input| input.primitive.clone());
    let (output, kept) = operation.forward(plain.clone());
    let nodes = inputs.each_ref().map(|input| input.node.clone());
    let gradient = Gradient::<O>(PhantomData);
    match Backward::<C, N>::prepare::<NoCheckpointing>(gradient, nodes).compute_bound().stateful() {
        OpsKind::Tracked(tracked) => {
            let memory = Memory { operation, inputs: plain, output: output.clone(), kept };
            tracked.finish(memory, output)
        }
        OpsKind::UnTracked(untracked) => untracked.finish(output),
    }
}

/// Whether this is a card's backend with gradients.
pub(super) fn is_tracked<B: Backend>() -> bool {
    use std::any::TypeId;
    let kind = TypeId::of::<B::FloatTensorPrimitive>();
    kind == TypeId::of::<Tracked<Cuda<f32>>>() || kind == TypeId::of::<Tracked<Cuda<bf16>>>()
}

/// A tensor of bf16 that remembers nothing, as one of a backend with gradients.
pub(super) fn constant<B: Backend, const D: usize>(tensor: OnCard) -> Option<Tensor<B, D>> {
    let tracked: Tracked<Cuda<bf16>> = Tracked::<Cuda<bf16>>::new(tensor);
    let primitive = as_kind::<_, B::FloatTensorPrimitive>(tracked).ok()?;
    Some(Tensor::from_primitive(TensorPrimitive::Float(primitive)))
}

/// The tensor without what it remembers.
fn plain<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> Option<OnCard> {
    let primitive = tensor.clone().into_primitive().tensor();
    match as_kind::<_, Tracked<Cuda<f32>>>(primitive) {
        Ok(tracked) => Some(tracked.primitive),
        Err(primitive) => Some(as_kind::<_, Tracked<Cuda<bf16>>>(primitive).ok()?.primitive),
    }
}

/// Computes the operation on a card's backend with gradients.
fn run<B: Backend, O: Operation<N>, const D: usize, const N: usize>(
    operation: O,
    inputs: [B::FloatTensorPrimitive; N],
) -> Option<Tensor<B, D>> {
    let output = match as_kind::<_, [Tracked<Cuda<f32>>; N]>(inputs) {
        Ok(tracked) => as_kind(remember::<Cuda<f32>, O, N>(operation, tracked)).ok()?,
        Err(inputs) => {
            let tracked = as_kind::<_, [Tracked<Cuda<bf16>>; N]>(inputs).ok()?;
            as_kind(remember::<Cuda<bf16>, O, N>(operation, tracked)).ok()?
        }
    };
    Some(Tensor::from_primitive(TensorPrimitive::Float(output)))
}

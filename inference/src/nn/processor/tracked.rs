//! Operations that remember their inputs, so that their gradients can be asked for.

use std::marker::PhantomData;

use burn::backend::{
    Flex,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
};

use super::{Array, BackwardPass, Operation, Tracked};

/// The gradient of an operation, as burn calls it.
#[derive(Debug)]
struct Gradient<O>(PhantomData<fn() -> O>);

/// What an operation and its gradient share.
#[derive(Clone, Debug)]
struct Memory<O, K, const N: usize> {
    operation: O,
    inputs: [Array; N],
    output: Array,
    kept: K,
}

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Gradient<O> {
    type State = Memory<O, O::Kept, N>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = Array::of(&gradients.consume::<Flex>(&ops.node));
        let Memory { operation, inputs, output, kept } = &ops.state;
        let results = operation.backward(BackwardPass {
            inputs: inputs.each_ref(),
            output,
            kept,
            gradient: &gradient,
            wanted: ops.parents.each_ref().map(Option::is_some),
        });
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let (Some(parent), Some(Array(result))) = (parent, result) {
                gradients.register::<Flex>(parent.id, result);
            }
        }
    }
}

/// Computes the operation and remembers it where an input's gradient will be asked for.
pub(super) fn run<O: Operation<N>, const N: usize>(operation: O, inputs: [Tracked; N]) -> Tracked {
    let arrays = inputs.each_ref().map(|input| Array::of(&input.primitive));
    let (output, kept) = operation.forward(arrays.each_ref());
    let nodes = inputs.each_ref().map(|input| input.node.clone());
    match Gradient::<O>(PhantomData).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(tracked) => {
            let memory = Memory { operation, inputs: arrays, output: output.clone(), kept };
            tracked.finish(memory, output.0)
        }
        OpsKind::UnTracked(untracked) => untracked.finish(output.0),
    }
}

//! Operations that burn plans with the others and that are computed on the card's own lane.

use std::fmt::Debug;

use burn::tensor::{DType, Shape, TensorMetadata};
use burn_cubecl::{fusion::FusionCubeRuntime, kernel::into_contiguous, ops::numeric::empty_device_contiguous_dtype};
use burn_fusion::stream::{Operation, OperationStreams};
use burn_ir::{CustomOpIr, HandleContainer, OperationIr, TensorIr};
use cubecl::cuda::CudaRuntime;

use super::{
    Card, Computed, Planned,
    lane::{Failure, Lane, with_lane},
};

/// What is computed on the lane from some tensors into others.
pub(super) trait Computation: Debug + Send + Sync + 'static {
    /// Told to the lane; it returns before the card is done.
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure>;

    /// Whether inputs have to lie in the order of their shapes, without gaps between rows.
    fn wants_whole_inputs(&self) -> bool {
        false
    }
}

/// Numbers on the card, the last axis without gaps.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    /// Their address.
    pub address: u64,
    /// Numbers along each axis.
    pub shape: Vec<usize>,
    /// Distance between neighbours of each axis, in numbers.
    pub strides: Vec<usize>,
    /// What they are.
    pub precision: DType,
}

/// A computation among burn's.
#[derive(Debug)]
struct OnLane<C> {
    computation: C,
    description: CustomOpIr,
}

/// Plans a computation: its outputs, which have these shapes and the first input's precision.
pub(super) fn plan<C: Computation>(
    name: &'static str,
    computation: C,
    inputs: Vec<Planned>,
    outputs: impl IntoIterator<Item = Shape>,
) -> Option<Vec<Planned>> {
    let first = inputs.first()?;
    let (client, precision) = (first.client.clone(), first.dtype);
    let streams = OperationStreams::with_inputs(&inputs);
    let inputs: Vec<TensorIr> = inputs.into_iter().map(Planned::into_ir).collect();
    let outputs: Vec<TensorIr> =
        outputs.into_iter().map(|shape| TensorIr::uninit(client.create_empty_handle(), shape, precision)).collect();
    let description = CustomOpIr::new(name, &inputs, &outputs);
    let operation = OnLane { computation, description: description.clone() };
    Some(client.register(streams, OperationIr::Custom(description), operation))
}

impl<C: Computation> Operation<FusionCubeRuntime<CudaRuntime>> for OnLane<C> {
    fn execute(
        &self,
        handles: &mut HandleContainer<<FusionCubeRuntime<CudaRuntime> as burn_fusion::FusionRuntime>::FusionHandle>,
    ) {
        let whole = if self.computation.wants_whole_inputs() { into_contiguous } else { rows_whole };
        let read = |input| whole(handles.get_float_tensor::<Card>(input));
        let inputs: Vec<Computed> = self.description.inputs.iter().map(read).collect();
        let Some(first) = inputs.first() else { return };
        let outputs: Vec<Computed> = self
            .description
            .outputs
            .iter()
            .map(|output| {
                let (client, device) = (first.client.clone(), first.device.clone());
                empty_device_contiguous_dtype(client, device, output.shape.clone(), output.dtype)
            })
            .collect();
        // Asking for addresses also waits until everything that was planned before has been told to the card.
        let (from, to): (Vec<_>, Vec<_>) =
            (inputs.iter().map(numbers).collect(), outputs.iter().map(numbers).collect());
        let told = with_lane(first.device.index, |lane| {
            lane.after_all_before()?;
            self.computation.begin(lane, &from, &to)?;
            lane.before_all_after()
        });
        if let Err(failure) = told {
            // burn's operations have no other way to say that a card failed.
            panic!("The card failed: {failure}.");
        }
        for (description, output) in self.description.outputs.iter().zip(outputs) {
            handles.register_float_tensor::<Card>(&description.id, output);
        }
    }
}

/// The tensor, copied if numbers of its last axis have gaps between them.
fn rows_whole(tensor: Computed) -> Computed {
    let last = tensor.rank().saturating_sub(1);
    if tensor.meta.strides()[last] == 1 { tensor } else { into_contiguous(tensor) }
}

fn numbers(tensor: &Computed) -> Numbers {
    let resource = tensor.client.get_resource(tensor.handle.clone()).expect("invariant: a tensor has memory");
    Numbers {
        address: resource.resource().ptr,
        shape: tensor.shape().as_slice().to_vec(),
        strides: tensor.meta.strides().iter().copied().collect(),
        precision: tensor.dtype,
    }
}

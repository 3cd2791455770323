//! Operations that are computed on the card's [lane](super::lane), in the order in which everything is told to the card.
//!
//! burn's operations are told to a card by a thread of its own, which takes them one after the other. Ours are put among them: who
//! asks for one goes on at once.

use std::{fmt, sync::Arc};

use burn::{
    backend::cuda::CudaDevice,
    prelude::DeviceOps,
    tensor::{DType, Shape, StreamId},
};
use burn_cubecl::kernel::into_contiguous;
use cubecl::{
    Runtime,
    cuda::CudaRuntime,
    device_handle::DeviceHandle,
    server::{ComputeServer, Handle},
};

use super::{
    OnCard,
    lane::{self, Failure, Lane, with_lane},
    recording, stream,
};

/// What tells burn's operations to a card.
pub(super) type Server = <CudaRuntime as Runtime>::Server;

const HAS_AN_INPUT: &str = "invariant: a computation has an input";

/// What is computed on the lane from some tensors into others.
pub(super) trait Computation: fmt::Debug + Send + Sync + 'static {
    /// Told to the lane; it returns before the card is done.
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure>;

    /// Whether inputs have to lie in the order of their shapes, without gaps between rows.
    fn wants_whole_inputs(&self) -> bool {
        false
    }
}

/// Numbers on the card, the last axis without gaps.
#[derive(Clone, Debug, PartialEq)]
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

/// Computes outputs that have these shapes and the first input's precision.
pub(super) fn compute<C: Computation>(
    computation: C,
    inputs: Vec<OnCard>,
    outputs: impl IntoIterator<Item = Shape>,
) -> Vec<OnCard> {
    let precision = inputs.first().expect(HAS_AN_INPUT).dtype;
    compute_in(computation, inputs, outputs.into_iter().map(|shape| (shape, precision)))
}

/// Computes outputs that have these shapes and precisions.
///
/// # Panics
/// If an operation before failed: burn's operations have no other way to say so.
pub(super) fn compute_in<C: Computation>(
    computation: C,
    inputs: Vec<OnCard>,
    outputs: impl IntoIterator<Item = (Shape, DType)>,
) -> Vec<OnCard> {
    let whole = if computation.wants_whole_inputs() { into_contiguous } else { rows_whole };
    let inputs: Vec<OnCard> = inputs.into_iter().map(whole).collect();
    let first = inputs.first().expect(HAS_AN_INPUT);
    let card = first.device.index;
    panic_if_failed(card);
    let whose = StreamId::current();
    let output = |(shape, precision)| promised(first, shape, precision, whose);
    let outputs: Vec<OnCard> = outputs.into_iter().map(output).collect();
    // What came from another thread is waited for by events: burn may give its memory away on that thread's stream.
    let is_of_one_thread = inputs.iter().all(|input| input.handle.stream == whose);
    let (from, to) = (Waiting::all(&inputs), Waiting::all(&outputs));
    let (computation, trace) = (Arc::new(computation), recording::under_way());
    server(card).submit(move |server| {
        for one in &to {
            one.reserve(server, whose);
        }
        let resolve = |waiting: &[Waiting], server: &mut Server| -> Result<Vec<Numbers>, Failure> {
            waiting.iter().map(|one| one.resolve(server, whose)).collect()
        };
        let told = resolve(&from, server).and_then(|inputs| {
            let outputs = resolve(&to, server)?;
            tell(server, card, is_of_one_thread.then_some(whose), |lane| computation.begin(lane, &inputs, &outputs))?;
            if let Some(trace) = trace {
                let of = |waiting: Vec<Waiting>, numbers| {
                    waiting.into_iter().map(Waiting::into_handle).zip(numbers).collect()
                };
                trace.tell(computation, of(from, inputs), of(to, outputs));
            }
            Ok(())
        });
        if let Err(failure) = told {
            lane::remember_failure(card, &failure);
        }
    });
    outputs
}

/// # Panics
/// If an operation before failed: burn's operations have no other way to say so.
pub(super) fn panic_if_failed(card: usize) {
    if let Some(failure) = lane::take_failure(card) {
        panic!("The card failed: {failure}.");
    }
}

/// Tells a card's lane something, in burn's order: on the stream of a thread that everything comes from, or beside all streams.
pub(super) fn tell(
    server: &Server,
    card: usize,
    whose: Option<StreamId>,
    work: impl FnOnce(&mut Lane) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let burns = whose.and_then(|whose| stream::of(server, card, whose));
    with_lane(card, |lane| lane.in_turn(burns, work))
}

/// A tensor without gaps beside another one, whose memory is still to be found when its numbers are computed: so that one message
/// does for both.
pub(super) fn promised(beside: &OnCard, shape: Shape, precision: DType, whose: StreamId) -> OnCard {
    let bytes = (shape.num_elements() * precision.size()) as u64;
    let all = bytes.next_multiple_of(beside.client.properties().memory.alignment);
    let handle = Handle::new(whose, all).offset_end(all - bytes);
    OnCard::new_contiguous(beside.client.clone(), beside.device.clone(), shape, handle, precision)
}

/// What tells operations to a card.
pub(super) fn server(card: usize) -> DeviceHandle<Server> {
    thread_local! {
        static KNOWN: std::cell::RefCell<Option<(usize, DeviceHandle<Server>)>> = const { std::cell::RefCell::new(None) };
    }
    KNOWN.with_borrow_mut(|known| match known {
        Some((number, server)) if *number == card => server.clone(),
        _ => {
            let server = DeviceHandle::new(CudaDevice::new(card).to_id());
            *known = Some((card, server.clone()));
            server
        }
    })
}

/// Numbers whose address is known when it is their turn.
pub(super) struct Waiting {
    handle: Handle,
    shape: Vec<usize>,
    strides: Vec<usize>,
    precision: DType,
}

impl Waiting {
    /// Those of some tensors.
    pub fn all(tensors: &[OnCard]) -> Vec<Self> {
        tensors.iter().map(Self::of).collect()
    }

    /// Those of a tensor.
    pub fn of(tensor: &OnCard) -> Self {
        Self {
            handle: tensor.handle.clone(),
            shape: tensor.meta.shape().iter().copied().collect(),
            strides: tensor.meta.strides().iter().copied().collect(),
            precision: tensor.dtype,
        }
    }

    /// Finds memory for numbers that were [`promised`].
    pub fn reserve(&self, server: &mut Server, stream: StreamId) {
        server.initialize_memory(self.handle.memory.clone(), self.handle.size(), stream);
    }

    /// Finds out where they lie.
    pub fn resolve(&self, server: &mut Server, stream: StreamId) -> Result<Numbers, Failure> {
        let resource = server.get_resource(self.handle.clone().binding(), stream);
        let resource = resource.map_err(|error| Failure::Memory(format!("{error:?}")))?;
        let address = resource.resource().ptr;
        Ok(Numbers { address, shape: self.shape.clone(), strides: self.strides.clone(), precision: self.precision })
    }

    /// What burn knows them by.
    pub fn into_handle(self) -> Handle {
        self.handle
    }
}

/// The tensor, copied if numbers of its last axis have gaps between them or rows of it are the same in memory.
fn rows_whole(tensor: OnCard) -> OnCard {
    let strides = tensor.meta.strides();
    let is_repeated = strides.iter().zip(tensor.meta.shape().iter()).any(|(stride, count)| *stride == 0 && *count > 1);
    if strides.last() == Some(&1) && !is_repeated { tensor } else { into_contiguous(tensor) }
}

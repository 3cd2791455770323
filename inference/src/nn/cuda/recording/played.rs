//! What a network told the card, to be told again without the network.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{DType, Shape, StreamId};
use cubecl::server::Handle;

use super::{
    super::{
        OnCard,
        lane::{self, Failure, Lane},
        operation::{Computation, Numbers, Server, Waiting, panic_if_failed, promised, server, tell},
    },
    graph::Graph,
    layout::{Lifetime, lay_out},
    trace::{Memory, Piece, Source, Step, Trace},
};

/// Some of a card's memory.
#[derive(Clone, Copy, Debug)]
struct Place {
    address: u64,
    bytes: u64,
}

/// A computation, and where the numbers are that it reads and writes.
struct Told {
    computation: Arc<dyn Computation>,
    inputs: Vec<Numbers>,
    outputs: Vec<Numbers>,
}

/// What a network told the card, with memory of its own for everything in between.
pub(super) struct Recording {
    whose: StreamId,
    steps: Vec<Told>,
    /// Where each of the given tensors is copied to, all of its memory.
    given: Vec<Place>,
    /// Where what comes of it lies, all of its memory.
    results: Vec<Place>,
    /// Tensors that lie like those that come of it, without memory.
    like: Vec<OnCard>,
    /// Bytes that lie in between.
    bytes: u64,
    state: Mutex<State>,
    /// Everything that lies in between, and what is read beside.
    _kept: (Room, Vec<Handle>),
}

/// What changes from one time to the next.
#[derive(Default)]
struct State {
    /// What lies in the places of what is given, and its address: the same again need not be copied. That it is kept here keeps burn
    /// from writing in it.
    lying: Vec<Option<(u64, Handle)>>,
    graph: Option<Graph>,
    /// Whether a graph is wanted, as long as the driver makes one.
    wants_graph: bool,
}

impl Recording {
    /// From what was told, and what came of it. `has_room` says whether there is room for so many bytes.
    ///
    /// # Errors
    /// When there is not.
    pub fn new(trace: Trace, results: &[OnCard], has_room: impl FnOnce(u64) -> bool) -> Result<Self, Failure> {
        let (offsets, bytes) = offsets(&trace);
        if !has_room(bytes) {
            return Err(Failure::Memory(format!("it takes {bytes} bytes")));
        }
        let whose = StreamId::current();
        let room = Room::beside(results.first().ok_or(Failure::Missing("what comes of it"))?, bytes, whose)?;
        let Trace { memories, steps, given, results: of_results, .. } = trace;
        let place = |(memory, offset): (&Memory, &Option<u64>)| Place {
            address: offset.map_or(memory.address, |offset| room.address + offset),
            bytes: memory.bytes,
        };
        let places: Vec<Place> = memories.iter().zip(&offsets).map(place).collect();
        let numbers = |pieces: Vec<Piece>| -> Vec<Numbers> {
            let at =
                |Piece { memory, numbers }| Numbers { address: places[memory].address + numbers.address, ..numbers };
            pieces.into_iter().map(at).collect()
        };
        let told = |step: Step| Told {
            computation: step.computation,
            inputs: numbers(step.inputs),
            outputs: numbers(step.outputs),
        };
        let of = |memories: Vec<usize>| memories.into_iter().map(|memory| places[memory]).collect::<Vec<_>>();
        let kept = |memory: Memory| if let Source::Kept(handle) = memory.source { Some(handle) } else { None };
        Ok(Self {
            whose,
            steps: steps.into_iter().map(told).collect(),
            state: Mutex::new(State { lying: given.iter().map(|_| None).collect(), ..State::default() }),
            given: of(given),
            results: of(of_results),
            like: results.iter().map(|result| another(result, whose)).collect(),
            bytes,
            _kept: (room, memories.into_iter().filter_map(kept).collect()),
        })
    }

    /// Bytes of its own.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// From now on it is told as a graph, where the driver makes one.
    pub fn wish_for_graph(&self) {
        self.state().wants_graph = true;
    }

    /// From now on it is told step by step.
    pub fn forgo_graph(&self) {
        let mut state = self.state();
        (state.graph, state.wants_graph) = (None, false);
    }

    /// Whether it is told as a graph.
    #[cfg(test)]
    pub fn is_graph(&self) -> bool {
        self.state().graph.is_some()
    }

    /// Tells it again, for tensors that lie as those did that it was recorded with.
    ///
    /// # Panics
    /// If an operation before failed.
    pub fn play(self: &Arc<Self>, given: &[OnCard]) -> Vec<OnCard> {
        let (this, whose) = (self.clone(), self.whose);
        let results: Vec<OnCard> = self.like.iter().map(|like| another(like, whose)).collect();
        let card = results[0].device.index;
        panic_if_failed(card);
        let is_of_one_thread = given.iter().all(|tensor| tensor.handle.stream == whose);
        let given: Vec<OnCard> = given.iter().map(all_memory).collect();
        let memories: Vec<OnCard> = results.iter().map(all_memory).collect();
        let (given, to) = (Waiting::all(&given), Waiting::all(&memories));
        server(card).submit(move |server| {
            for one in &to {
                one.reserve(server, whose);
            }
            let told = this.told(server, (card, is_of_one_thread), given, &to);
            if let Err(failure) = told {
                lane::remember_failure(card, &failure);
            }
        });
        results
    }

    fn told(
        &self,
        server: &mut Server,
        (card, is_of_one_thread): (usize, bool),
        given: Vec<Waiting>,
        results: &[Waiting],
    ) -> Result<(), Failure> {
        let whose = self.whose;
        let resolve = |waiting: &[Waiting], server: &mut Server| -> Result<Vec<u64>, Failure> {
            waiting.iter().map(|one| Ok(one.resolve(server, whose)?.address)).collect()
        };
        let (addresses, results) = (resolve(&given, server)?, resolve(results, server)?);
        let given: Vec<(u64, Handle)> =
            addresses.into_iter().zip(given.into_iter().map(Waiting::into_handle)).collect();
        let mut state = self.state();
        tell(server, card, is_of_one_thread.then_some(whose), |lane| {
            self.lay(lane, &mut state, given)?;
            self.compute(lane, &mut state)?;
            for (place, to) in self.results.iter().zip(results) {
                // SAFETY: results are as large as those that were recorded, and all are kept until the card is done.
                unsafe { lane.copy(place.address, to, place.bytes)? };
            }
            Ok(())
        })
    }

    /// Copies what is given to where it is read.
    fn lay(&self, lane: &Lane, state: &mut State, given: Vec<(u64, Handle)>) -> Result<(), Failure> {
        let mut from: Vec<(u64, u64)> = Vec::with_capacity(given.len());
        for ((place, lying), (address, handle)) in self.given.iter().zip(&mut state.lying).zip(given) {
            // Tensors that were of one memory when it was recorded have to be so again.
            if from.iter().any(|(known, from)| *known == place.address && *from != address) {
                return Err(Failure::Memory("tensors that shared their memory do not any more".to_owned()));
            }
            let is_new = from.iter().all(|(known, _)| *known != place.address);
            from.push((place.address, address));
            if is_new && lying.as_ref().is_none_or(|(known, _)| *known != address) {
                // SAFETY: what is given lies as it did when it was recorded, and is kept here.
                unsafe { lane.copy(address, place.address, place.bytes)? };
            }
            *lying = Some((address, handle));
        }
        Ok(())
    }

    fn compute(&self, lane: &mut Lane, state: &mut State) -> Result<(), Failure> {
        if !state.wants_graph {
            return self.tell_steps(lane);
        }
        if state.graph.as_ref().is_none_or(|graph| !graph.is_of(lane)) {
            state.graph = None;
            let graph = Graph::of(lane, |lane| self.tell_steps(lane));
            state.graph = graph.inspect_err(|why| tracing::debug!("A network is told step by step: {why}.")).ok();
        }
        match state.graph.as_ref().map(|graph| graph.launch(lane)) {
            Some(Ok(())) => Ok(()),
            failed => {
                if let Some(Err(why)) = failed {
                    tracing::warn!("A graph could not be told to the card, so it is told step by step: {why}.");
                }
                (state.graph, state.wants_graph) = (None, false);
                self.tell_steps(lane)
            }
        }
    }

    fn tell_steps(&self, lane: &mut Lane) -> Result<(), Failure> {
        self.steps.iter().try_for_each(|step| step.computation.begin(lane, &step.inputs, &step.outputs))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where in one piece of memory everything lies that is given or computed, and how many bytes all of it takes. What is kept lies
/// elsewhere.
fn offsets(trace: &Trace) -> (Vec<Option<u64>>, u64) {
    let end = trace.steps.len();
    let lifetime = |memory: &Memory| match memory.source {
        // It lies there from one time to the next.
        Source::Given => Some(Lifetime { bytes: memory.bytes, first: 0, last: end }),
        Source::Computed { first, last } => Some(Lifetime { bytes: memory.bytes, first, last: last.min(end) }),
        Source::Kept(_) => None,
    };
    let lifetimes: Vec<Option<Lifetime>> = trace.memories.iter().map(lifetime).collect();
    let (offsets, bytes) = lay_out(&lifetimes.iter().copied().flatten().collect::<Vec<_>>());
    let mut offsets = offsets.into_iter();
    (lifetimes.into_iter().map(|lifetime| lifetime.and_then(|_| offsets.next())).collect(), bytes)
}

/// A piece of a card's memory.
struct Room {
    address: u64,
    _tensor: OnCard,
}

impl Room {
    /// So many bytes of the card that a tensor lies on.
    fn beside(tensor: &OnCard, bytes: u64, whose: StreamId) -> Result<Self, Failure> {
        let room = promised(tensor, Shape::new([bytes as usize]), DType::U8, whose);
        let waiting = Waiting::of(&room);
        let found = server(tensor.device.index).submit_blocking(move |server| {
            waiting.reserve(server, whose);
            waiting.resolve(server, whose)
        });
        let found = found.map_err(|error| Failure::Memory(format!("{error:?}")))??;
        Ok(Self { address: found.address, _tensor: room })
    }
}

/// A tensor that lies as another one does in memory of its own, which is still to be found.
fn another(like: &OnCard, whose: StreamId) -> OnCard {
    let mut handle = Handle::new(whose, like.handle.size());
    (handle.offset_start, handle.offset_end) = (like.handle.offset_start, like.handle.offset_end);
    OnCard::new(like.client.clone(), handle, (*like.meta).clone(), like.device.clone(), like.dtype)
}

/// All of the memory that a tensor lies in.
fn all_memory(tensor: &OnCard) -> OnCard {
    let handle = Handle::from_memory(tensor.handle.memory.clone(), tensor.handle.stream, tensor.handle.size());
    let shape = Shape::new([handle.size() as usize]);
    OnCard::new_contiguous(tensor.client.clone(), tensor.device.clone(), shape, handle, DType::U8)
}

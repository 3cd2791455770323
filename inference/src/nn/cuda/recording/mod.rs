//! Networks that run again and again with tensors of the same shapes, such as at every step of a picture: what one tells the card is
//! written down, and told again from then on, without the network.
//!
//! Telling a card one operation after the other takes the processor some twenty microseconds each, most of it to find memory and to
//! pass messages, and networks have thousands: small pictures wait for it. What is written down has memory of its own for everything
//! in between, and is told in one message; as one graph, where the driver makes one.
//!
//! Nobody but burn knows what burn tells the card, so a network is written down only if all of its operations are ours. That is found
//! out: it is written down twice, and what it reads beside what it is given has to be the very same memory both times; then it is told
//! again, and what comes of it has to be the same to the bit.

mod graph;
mod layout;
mod played;
mod trace;

use std::{
    cell::RefCell,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use burn::tensor::{DType, StreamId, Tensor, backend::Backend};

use self::{
    played::Recording,
    trace::{Told, Trace},
};
use super::{
    OnCard, from_card, lane,
    operation::{Computation, Waiting, server},
};
use crate::nn::processor::as_kind;

/// So many kinds of tensors are known at a time; the one that was not met for longest is forgotten first.
const KINDS: usize = 4;

/// The share of a card's memory, over one, that what lies in between may take, of all kinds of tensors of a network together.
const SHARE_OF_MEMORY: u64 = 16;

/// Why what is being written down is not told again at the same time.
const UNDER_WAY_ELSEWHERE: &str = "it is being written down";

/// A trace that is being written.
#[derive(Clone, Default)]
pub(super) struct Writing(Arc<Mutex<Trace>>);

impl Writing {
    /// Takes in a computation, with what it reads and writes.
    pub fn tell(&self, computation: Arc<dyn Computation>, inputs: Vec<Told>, outputs: Vec<Told>) {
        self.lock().tell(computation, inputs, outputs);
    }

    fn lock(&self) -> MutexGuard<'_, Trace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    static UNDER_WAY: RefCell<Option<Writing>> = const { RefCell::new(None) };
}

/// What this thread tells the card is written down here, if it is.
pub(super) fn under_way() -> Option<Writing> {
    UNDER_WAY.with_borrow(Clone::clone)
}

/// Ends what is under way, whatever happens.
struct UnderWay;

impl UnderWay {
    fn begin(writing: Writing) -> Self {
        UNDER_WAY.set(Some(writing));
        Self
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.set(None);
    }
}

/// A tensor that a network is given, as the card's, if it is one.
pub struct Given(Option<OnCard>);

impl<B: Backend, const D: usize> From<&Tensor<B, D>> for Given {
    fn from(tensor: &Tensor<B, D>) -> Self {
        Self(as_kind::<_, OnCard>(tensor.clone().into_primitive().tensor()).ok())
    }
}

/// What a network told the card, by the kinds of tensors that it was given. Clones share it.
#[derive(Clone, Default)]
pub struct Recordings(Arc<Mutex<Vec<(Kind, State)>>>);

/// How tensors lie, and whose they are: a recording is for all of one kind.
#[derive(Clone, Debug, PartialEq)]
struct Kind {
    thread: StreamId,
    tensors: Vec<Lying>,
}

#[derive(Clone, Debug, PartialEq)]
struct Lying {
    shape: Vec<usize>,
    strides: Vec<usize>,
    precision: DType,
    start: Option<u64>,
    bytes: u64,
}

/// What is known of a kind.
enum State {
    /// It was met so often.
    Met(usize),
    Traced(Trace),
    Ready(Arc<Recording>),
    /// Why it is told each time.
    Refused(String),
}

impl State {
    fn bytes(&self) -> u64 {
        if let Self::Ready(recording) = self { recording.bytes() } else { 0 }
    }
}

/// What is to be done.
enum Next {
    Tell,
    Trace,
    /// Traces for the second time, to be compared with the first.
    Record(Trace),
    Play(Arc<Recording>),
}

impl Recordings {
    /// What a network makes of tensors. `given` is everything that is not the same each time, and `after` is how often the network
    /// is run for tensors of a kind before it is written down, which takes as long as running it three times.
    pub fn run<B: Backend, const D: usize>(
        &self,
        after: usize,
        given: Vec<Given>,
        network: impl FnOnce() -> Vec<Tensor<B, D>>,
    ) -> Vec<Tensor<B, D>> {
        let Some(given) = given.into_iter().map(|given| given.0).collect::<Option<Vec<OnCard>>>() else {
            return network();
        };
        let is_possible = given.first().is_some_and(|first| lane::is_there(first.device.index));
        if !is_possible || under_way().is_some() {
            return network();
        }
        let kind = Kind::of(&given);
        match self.next(&kind, after) {
            Next::Tell => network(),
            Next::Play(recording) => {
                let results = recording.play(&given).into_iter().map(from_card).collect::<Option<_>>();
                results.expect("invariant: it was recorded with tensors of this backend")
            }
            Next::Trace => {
                let (results, trace) = traced(&given, network);
                self.put(kind, trace.map_or_else(State::Refused, State::Traced));
                results
            }
            Next::Record(before) => {
                let (results, trace) = traced(&given, network);
                let recording = trace.and_then(|trace| self.recorded(&before, trace, &given, &results));
                let refused = |why| {
                    tracing::debug!("A network is told to the card each time, because {why}.");
                    State::Refused(why)
                };
                self.put(kind, recording.map_or_else(refused, State::Ready));
                results
            }
        }
    }

    /// The recording of a network that was traced twice, the second time with these, if what it comes to is the same to the bit. Otherwise
    /// it says why not.
    fn recorded<B: Backend, const D: usize>(
        &self,
        before: &Trace,
        trace: Trace,
        given: &[OnCard],
        results: &[Tensor<B, D>],
    ) -> Result<Arc<Recording>, String> {
        if let Some(flaw) = trace.flaw(before) {
            return Err(flaw);
        }
        let like = results.iter().map(|result| Given::from(result).0).collect::<Option<Vec<OnCard>>>();
        let like = like.ok_or("what comes of it does not lie on the card")?;
        let most = crate::cuda::memory(given[0].device.index).unwrap_or_default() / SHARE_OF_MEMORY;
        let recording = Recording::new(trace, &like, |bytes| {
            self.make_room(bytes, most);
            bytes <= most
        });
        let recording = recording.map_err(|failure| failure.to_string())?;
        let recording = Arc::new(recording);
        if !is_same(&recording.play(given), results) {
            return Err("told again it comes to something else".to_owned());
        }
        recording.wish_for_graph();
        if !is_same(&recording.play(given), results) {
            tracing::warn!(
                "A network is told to the card step by step, because as a graph it comes to something else."
            );
            recording.forgo_graph();
        }
        Ok(recording)
    }

    /// Why networks are told each time.
    #[cfg(test)]
    pub fn refused(&self) -> Vec<String> {
        let why = |(_, state): &(Kind, State)| if let State::Refused(why) = state { Some(why.clone()) } else { None };
        self.lock().iter().filter_map(why).collect()
    }

    /// How many networks are told as graphs.
    #[cfg(test)]
    pub fn graphs(&self) -> usize {
        let is_graph = |state: &State| matches!(state, State::Ready(recording) if recording.is_graph());
        self.lock().iter().filter(|(_, state)| is_graph(state)).count()
    }

    fn next(&self, kind: &Kind, after: usize) -> Next {
        let mut kinds = self.lock();
        let known = kinds.iter().position(|(known, _)| known == kind).map(|place| kinds.remove(place).1);
        let (state, next) = match known.unwrap_or(State::Met(0)) {
            State::Met(times) if times < after => (State::Met(times + 1), Next::Tell),
            State::Met(_) => (State::Refused(UNDER_WAY_ELSEWHERE.to_owned()), Next::Trace),
            State::Traced(trace) => (State::Refused(UNDER_WAY_ELSEWHERE.to_owned()), Next::Record(trace)),
            State::Ready(recording) => (State::Ready(recording.clone()), Next::Play(recording)),
            State::Refused(why) => (State::Refused(why), Next::Tell),
        };
        kinds.push((kind.clone(), state));
        if kinds.len() > KINDS {
            kinds.remove(0);
        }
        next
    }

    fn put(&self, kind: Kind, state: State) {
        let mut kinds = self.lock();
        kinds.retain(|(known, _)| *known != kind);
        kinds.push((kind, state));
    }

    /// Forgets what was not used for longest until there is room for so many bytes more, of so many for all.
    fn make_room(&self, bytes: u64, most: u64) {
        let mut kinds = self.lock();
        let taken = |kinds: &[(Kind, State)]| -> u64 { kinds.iter().map(|(_, state)| state.bytes()).sum() };
        while !kinds.is_empty() && taken(&kinds) + bytes > most {
            kinds.remove(0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Kind, State)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recordings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Recordings").finish_non_exhaustive()
    }
}

impl Kind {
    fn of(tensors: &[OnCard]) -> Self {
        let lying = |tensor: &OnCard| Lying {
            shape: tensor.meta.shape().iter().copied().collect(),
            strides: tensor.meta.strides().iter().copied().collect(),
            precision: tensor.dtype,
            start: tensor.handle.offset_start,
            bytes: tensor.handle.size(),
        };
        Self { thread: StreamId::current(), tensors: tensors.iter().map(lying).collect() }
    }
}

/// Runs a network and writes down what it tells the card.
fn traced<B: Backend, const D: usize>(
    given: &[OnCard],
    network: impl FnOnce() -> Vec<Tensor<B, D>>,
) -> (Vec<Tensor<B, D>>, Result<Trace, String>) {
    let (card, whose) = (given[0].device.index, StreamId::current());
    let (writing, waiting) = (Writing::default(), Waiting::all(given));
    let trace = writing.clone();
    server(card).submit(move |server| {
        let numbers: Result<Vec<_>, _> = waiting.iter().map(|one| one.resolve(server, whose)).collect();
        match numbers {
            Ok(numbers) => trace.lock().give(waiting.into_iter().map(Waiting::into_handle).zip(numbers).collect()),
            Err(failure) => lane::remember_failure(card, &failure),
        }
    });
    let under_way = UnderWay::begin(writing.clone());
    let results = network();
    drop(under_way);
    let Some(on_card) = results.iter().map(|result| Given::from(result).0).collect::<Option<Vec<OnCard>>>() else {
        return (results, Err("what comes of it does not lie on the card".to_owned()));
    };
    let handles: Vec<_> = on_card.iter().map(|tensor| tensor.handle.clone()).collect();
    let trace = server(card).submit_blocking(move |_| {
        let mut trace = writing.lock();
        trace.take(&handles);
        std::mem::take(&mut *trace)
    });
    (results, trace.map_err(|error| format!("{error:?}")))
}

/// Whether tensors have the same numbers, to the bit.
fn is_same<B: Backend, const D: usize>(found: &[OnCard], expected: &[Tensor<B, D>]) -> bool {
    found.iter().zip(expected).all(|(found, expected)| {
        let found: Option<Tensor<B, D>> = from_card(found.clone());
        found.is_some_and(|found| found.into_data().bytes == expected.clone().into_data().bytes)
    })
}

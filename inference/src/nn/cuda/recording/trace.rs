//! What a network told the card, written down while it was told.

use std::{collections::HashMap, sync::Arc};

use cubecl::server::Handle;

use super::super::operation::{Computation, Numbers};

/// Where numbers of a network come from.
#[derive(Debug)]
pub(super) enum Source {
    /// Whoever runs the network gives them, each time anew.
    Given,
    /// One of the network's computations writes them; another one, or whoever runs it, reads them for the last time.
    Computed { first: usize, last: usize },
    /// They were there before, such as a weight, and are kept.
    Kept(Handle),
}

/// Memory that a network reads or writes.
#[derive(Debug)]
pub(super) struct Memory {
    /// What cubecl knows it by: see [`identity`].
    identity: u64,
    /// All of it.
    pub bytes: u64,
    /// Its address while the network was written down.
    pub address: u64,
    pub source: Source,
}

/// Numbers in a memory; their address counts from where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    /// Its number in [`Trace::memories`].
    pub memory: usize,
    pub numbers: Numbers,
}

/// A computation, what it reads and what it writes.
pub(super) struct Step {
    pub computation: Arc<dyn Computation>,
    pub inputs: Vec<Piece>,
    pub outputs: Vec<Piece>,
}

/// Everything that a network told the card, in its order.
#[derive(Default)]
pub(super) struct Trace {
    known: HashMap<u64, usize>,
    pub memories: Vec<Memory>,
    pub steps: Vec<Step>,
    /// The memory of everything that is given; the same one may be given more than once.
    pub given: Vec<usize>,
    /// The memory of everything that comes of it.
    pub results: Vec<usize>,
    /// Why it cannot be used, if so.
    flaw: Option<&'static str>,
}

/// A tensor while it is told to the card: its memory, and where its numbers lie.
pub(in super::super) type Told = (Handle, Numbers);

/// Where in its memory a handle's numbers begin.
fn start(handle: &Handle) -> u64 {
    handle.offset_start.unwrap_or_default()
}

/// The number that cubecl gives a piece of memory and never gives again. It keeps that to itself, but for the debug form. To be asked
/// for where cubecl's operations are told to the card: it is where the rest of that form is written.
fn identity(handle: &Handle) -> Option<u64> {
    let text = format!("{:?}", handle.memory);
    let (_, rest) = text.split_once("ManagedMemoryId { value: ")?;
    rest.split_once(' ')?.0.parse().ok()
}

impl Trace {
    /// Takes in what is given to the network, before anything else.
    pub fn give(&mut self, told: Vec<Told>) {
        for (handle, numbers) in told {
            let address = numbers.address - start(&handle);
            match self.find(&handle) {
                Some(known) => self.given.push(known),
                None => {
                    let number = self.add(&handle, address, Source::Given);
                    self.given.push(number);
                }
            }
        }
    }

    /// Takes in a computation.
    pub fn tell(&mut self, computation: Arc<dyn Computation>, inputs: Vec<Told>, outputs: Vec<Told>) {
        let step = self.steps.len();
        let inputs = inputs.into_iter().map(|told| self.read(told, step)).collect();
        let outputs = outputs.into_iter().map(|told| self.written(told, step)).collect();
        self.steps.push(Step { computation, inputs, outputs });
    }

    /// Takes in what comes of the network.
    pub fn take(&mut self, handles: &[Handle]) {
        for handle in handles {
            let found = self.find(handle).filter(|found| self.is_used_until(*found, usize::MAX));
            match found {
                Some(found) => self.results.push(found),
                None => self.flaw = Some("what comes of it was not computed by one of our own operations"),
            }
        }
    }

    /// Why it cannot stand for every time that the network runs, if so; `other` is what was told another time.
    pub fn flaw(&self, other: &Self) -> Option<String> {
        if let Some(flaw) = self.flaw.or(other.flaw) {
            return Some(flaw.to_owned());
        }
        let is_same_memory = |one: &Piece, two: &Piece| {
            let [mine, others] = [&self.memories[one.memory], &other.memories[two.memory]];
            match (&mine.source, &others.source) {
                (Source::Given, Source::Given) | (Source::Computed { .. }, Source::Computed { .. }) => one == two,
                (Source::Kept(_), Source::Kept(_)) => mine.identity == others.identity && one.numbers == two.numbers,
                _ => false,
            }
        };
        let is_same = |(one, two): (&Step, &Step)| {
            one.inputs.len() == two.inputs.len()
                && one.inputs.iter().zip(&two.inputs).all(|(one, two)| is_same_memory(one, two))
                && one.outputs == two.outputs
        };
        let different = self.steps.iter().zip(&other.steps).position(|pair| !is_same(pair));
        let different = different.map(|step| {
            format!("operation {step}, {:?}, reads what was not there the time before", self.steps[step].computation)
        });
        let is_as_long =
            (self.steps.len(), &self.given, &self.results) == (other.steps.len(), &other.given, &other.results);
        different.or_else(|| (!is_as_long).then(|| "it does not do the same each time".to_owned()))
    }

    fn read(&mut self, (handle, numbers): Told, step: usize) -> Piece {
        let address = numbers.address - start(&handle);
        let memory = match self.find(&handle) {
            Some(known) => known,
            None => self.add(&handle, address, Source::Kept(handle.clone())),
        };
        self.is_used_until(memory, step);
        Piece { memory, numbers: Numbers { address: start(&handle), ..numbers } }
    }

    fn written(&mut self, (handle, numbers): Told, step: usize) -> Piece {
        if self.find(&handle).is_some() {
            self.flaw = Some("something is written twice");
        }
        let address = numbers.address - start(&handle);
        let memory = self.add(&handle, address, Source::Computed { first: step, last: step });
        Piece { memory, numbers: Numbers { address: start(&handle), ..numbers } }
    }

    fn find(&mut self, handle: &Handle) -> Option<usize> {
        let identity = identity(handle);
        if identity.is_none() {
            self.flaw = Some("what cubecl knows memory by is not found");
        }
        self.known.get(&identity?).copied()
    }

    fn add(&mut self, handle: &Handle, address: u64, source: Source) -> usize {
        let identity = identity(handle).unwrap_or_default();
        self.memories.push(Memory { identity, bytes: handle.size(), address, source });
        self.known.insert(identity, self.memories.len() - 1);
        self.memories.len() - 1
    }

    /// Whether a memory is one that the network computes; it is needed until then.
    fn is_used_until(&mut self, memory: usize, step: usize) -> bool {
        match &mut self.memories[memory].source {
            Source::Computed { last, .. } => {
                *last = step;
                true
            }
            Source::Given | Source::Kept(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use cubecl::server::Handle;

    use super::identity;
    use burn::tensor::StreamId;

    #[test]
    fn memory_is_known_by_its_own_number() {
        let [one, other] = [1, 2].map(|bytes| Handle::new(StreamId::current(), bytes));
        assert_ne!(identity(&one).unwrap(), identity(&other).unwrap());
        assert_eq!(identity(&one), identity(&one.clone().offset_start(1)));
    }
}

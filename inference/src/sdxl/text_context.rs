//! The text as a UNet looks at it. What its layers make of it is the same at every step of a picture, so that it is made once.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use burn::{
    module::ParamId,
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

/// The text, and the keys and values that layers have made of it.
#[derive(Clone)]
pub struct TextContext<B: Backend> {
    /// `[batch, tokens, context]`.
    states: Tensor<B, 3>,
    /// Which entry of a batch it is, where it is one of several.
    entry: Option<usize>,
    /// Keys and values by entry and layer; none where they are made anew each time.
    known: Option<Arc<Mutex<Known<B>>>>,
}

/// Keys and values, in the order in which they were made, and where those of an entry and a layer stand.
#[derive(Debug)]
struct Known<B: Backend> {
    places: HashMap<(Option<usize>, ParamId), usize>,
    made: Vec<[Tensor<B, 3>; 2]>,
}

impl<B: Backend> TextContext<B> {
    /// A text `[batch, tokens, context]` that is looked at once, such as in a step of a training.
    pub fn of_one_look(states: Tensor<B, 3>) -> Self {
        Self { states, entry: None, known: None }
    }

    /// A text `[batch, tokens, context]` that the same layers look at again and again: clones of it share what was made of it.
    pub fn of_many_looks(states: Tensor<B, 3>) -> Self {
        let known = Known { places: HashMap::new(), made: Vec::new() };
        Self { states, entry: None, known: Some(Arc::new(Mutex::new(known))) }
    }

    /// An entry of its batch. What is made of entries is shared as well.
    pub fn entry(&self, entry: usize) -> Self {
        Self { states: self.states.clone().narrow(0, entry, 1), entry: Some(entry), known: self.known.clone() }
    }

    /// Keys and values that a layer, known by its weight, makes of the states.
    pub(super) fn keys_and_values(
        &self,
        layer: ParamId,
        make: impl FnOnce(Tensor<B, 3>) -> [Tensor<B, 3>; 2],
    ) -> [Tensor<B, 3>; 2] {
        let Some(known) = &self.known else { return make(self.states.clone()) };
        let key = (self.entry, layer);
        let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |known: &Known<B>| known.places.get(&key).map(|place| known.made[*place].clone());
        let found = find(&lock());
        found.unwrap_or_else(|| {
            let made = make(self.states.clone());
            let mut known = lock();
            let place = known.made.len();
            known.places.insert(key, place);
            known.made.push(made.clone());
            made
        })
    }

    /// All keys and values that layers have made of it by now, in the order in which they were made.
    pub(crate) fn made(&self) -> Vec<[Tensor<B, 3>; 2]> {
        let known = self.known.as_ref();
        known.map_or_else(Vec::new, |known| known.lock().unwrap_or_else(PoisonError::into_inner).made.clone())
    }
}

impl<B: AutodiffBackend> TextContext<B> {
    /// The same where there are no gradients, looked at once.
    pub fn without_gradients(&self) -> TextContext<B::InnerBackend> {
        TextContext::of_one_look(self.states.clone().inner())
    }
}

impl<B: Backend> fmt::Debug for TextContext<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TextContext").field("states", &self.states.dims()).field("entry", &self.entry).finish()
    }
}

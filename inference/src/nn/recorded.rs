//! A network that runs again and again. On a card, what it tells the card is written down and told again without the network.

use std::ops::{Deref, DerefMut};

use burn::tensor::{Tensor, backend::Backend};

pub use super::cuda::Given;
use super::cuda::{self, Recordings};

/// What runs once a picture is written down when it is met for the second time.
pub const AFTER_ONE: usize = 1;

/// What runs at every step of a picture is written down after so many: who draws a picture of few steps with a LoRA that is never used
/// again need not wait for it.
pub const AFTER_STEPS: usize = 4;

/// A network, and what it told a card. Clones share that, until one of them is changed.
#[derive(Clone, Debug)]
pub struct Recorded<N> {
    network: N,
    recordings: Recordings,
}

impl<N> Recorded<N> {
    /// What the network makes of tensors by operations of a card's own. `given` is everything that is not the same each time, without
    /// which nothing may be made: on a card, `run` is called no more when tensors that lie like these were given more than `after`
    /// times.
    pub fn run<B: Backend, const D: usize>(
        &self,
        after: usize,
        given: Vec<Given>,
        run: impl FnOnce(&N) -> Vec<Tensor<B, D>>,
    ) -> Vec<Tensor<B, D>> {
        self.recordings.run(after, given, || run(&self.network))
    }

    /// What the network told a card.
    #[cfg(all(test, feature = "cuda"))]
    pub(crate) fn recordings(&self) -> &Recordings {
        &self.recordings
    }
}

/// The tensor as a network is best given it: where its rows lie with gaps on a card, an operation that is not one of the card's own
/// would close them.
pub fn without_gaps<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, D> {
    cuda::without_gaps(&tensor).unwrap_or(tensor)
}

/// The tensor that a network of one made.
pub fn only<B: Backend, const D: usize>(made: Vec<Tensor<B, D>>) -> Tensor<B, D> {
    made.into_iter().next().expect("invariant: the network made one")
}

impl<N> From<N> for Recorded<N> {
    fn from(network: N) -> Self {
        Self { network, recordings: Recordings::default() }
    }
}

impl<N> Deref for Recorded<N> {
    type Target = N;

    fn deref(&self) -> &N {
        &self.network
    }
}

impl<N> DerefMut for Recorded<N> {
    /// The network, to be changed: what it told a card holds no longer.
    fn deref_mut(&mut self) -> &mut N {
        self.recordings = Recordings::default();
        &mut self.network
    }
}

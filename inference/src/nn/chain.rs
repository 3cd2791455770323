//! Gradient checkpointing (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016): a network as a chain of
//! links, of which only what goes from link to link is kept on the way forward; on the way back each link is computed once
//! more.

use burn::{
    module::AutodiffModule,
    optim::{GradientsAccumulator, GradientsParams},
    tensor::{
        ElementConversion, Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

/// A tensor of any rank that goes from link to link.
#[derive(Clone, Debug)]
pub struct Passed<B: Backend> {
    values: Tensor<B, 1>,
    dims: Vec<usize>,
}

impl<B: Backend> Passed<B> {
    /// The tensor as it was.
    ///
    /// # Panics
    /// If it had another rank, which is a mistake of the chain's.
    pub fn tensor<const D: usize>(&self) -> Tensor<B, D> {
        let dims: [usize; D] =
            self.dims.as_slice().try_into().expect("invariant: a link reads what the last one wrote");
        self.values.clone().reshape(dims)
    }
}

impl<B: Backend, const D: usize> From<Tensor<B, D>> for Passed<B> {
    fn from(tensor: Tensor<B, D>) -> Self {
        let dims = tensor.dims().to_vec();
        Self { values: tensor.reshape([dims.iter().product::<usize>()]), dims }
    }
}

/// A network whose middle is a chain. What comes before the first link and after the last one is its caller's.
pub trait Chain<B: Backend> {
    /// What every link sees and nothing is learnt through.
    type Constants;

    /// How many links there are.
    fn links(&self) -> usize;

    /// What link number `link` makes of what the last one passed on.
    fn link(&self, link: usize, passed: Vec<Passed<B>>, constants: &Self::Constants) -> Vec<Passed<B>>;

    /// What the whole chain makes of it.
    fn through(&self, passed: Vec<Passed<B>>, constants: &Self::Constants) -> Vec<Passed<B>> {
        (0..self.links()).fold(passed, |passed, link| self.link(link, passed, constants))
    }
}

/// The constants of a chain, for the way back and for the way forward.
pub struct Constants<'a, B: AutodiffBackend, N: AutodiffModule<B> + Chain<B>>
where
    N::InnerModule: Chain<B::InnerBackend>,
{
    /// With gradients.
    pub learning: &'a <N as Chain<B>>::Constants,
    /// Without.
    pub frozen: &'a <N::InnerModule as Chain<B::InnerBackend>>::Constants,
}

/// The loss and its gradients.
///
/// - `first`: what the first link is passed. `learns_before`: whether anything is learnt that it was computed with
/// - `loss`: `[1]`, from what the last link passes on
pub fn gradients<B: AutodiffBackend, N: AutodiffModule<B> + Chain<B>>(
    network: &N,
    constants: &Constants<'_, B, N>,
    first: Vec<Passed<B>>,
    learns_before: bool,
    loss: impl FnOnce(Vec<Passed<B>>) -> Tensor<B, 1>,
) -> (f32, GradientsParams)
where
    N::InnerModule: Chain<B::InnerBackend>,
{
    let frozen = network.valid();
    let mut kept: Vec<Vec<Passed<B::InnerBackend>>> = vec![first.iter().map(without_gradients).collect()];
    for link in 0..network.links() {
        let last = kept.last().cloned().unwrap_or_default();
        kept.push(frozen.link(link, last, constants.frozen));
    }
    let mut sum = GradientsAccumulator::new();
    let mut back = |value: Tensor<B, 1>, inputs: &[Passed<B>]| -> Vec<Option<Tensor<B::InnerBackend, 1>>> {
        let gradients = value.backward();
        let slopes = inputs.iter().map(|input| input.values.grad(&gradients)).collect();
        sum.accumulate(network, GradientsParams::from_grads(gradients, network));
        slopes
    };
    let inputs = leaves(kept.pop().unwrap_or_default());
    let value = loss(inputs.clone());
    let number = value.clone().inner().into_scalar().elem();
    let mut slopes = back(value, &inputs);
    for link in (0..network.links()).rev() {
        let inputs = leaves(kept.pop().unwrap_or_default());
        let outputs = network.link(link, inputs.clone(), constants.learning);
        // The sum of outputs times their slopes has the slopes of the inputs as its gradient.
        if let Some(surrogate) = along(outputs, slopes) {
            slopes = back(surrogate, &inputs);
        } else {
            slopes = vec![None; inputs.len()];
        }
    }
    if learns_before && let Some(surrogate) = along(first, slopes) {
        // Perhaps nothing of it is learnt after all, and then it has no gradients of its own to go back from.
        let something = surrogate.zeros_like().require_grad();
        back(surrogate + something, &[]);
    }
    (number, sum.grads())
}

fn without_gradients<B: AutodiffBackend>(passed: &Passed<B>) -> Passed<B::InnerBackend> {
    Passed { values: passed.values.clone().inner(), dims: passed.dims.clone() }
}

/// What was kept, as the beginning of a computation whose gradients are wanted.
fn leaves<B: AutodiffBackend>(kept: Vec<Passed<B::InnerBackend>>) -> Vec<Passed<B>> {
    let leaf = |Passed { values, dims }| Passed { values: Tensor::from_inner(values).require_grad(), dims };
    kept.into_iter().map(leaf).collect()
}

fn along<B: AutodiffBackend>(
    outputs: Vec<Passed<B>>,
    slopes: Vec<Option<Tensor<B::InnerBackend, 1>>>,
) -> Option<Tensor<B, 1>> {
    let product = |(output, slope): (Passed<B>, Option<Tensor<B::InnerBackend, 1>>)| {
        Some((output.values * Tensor::from_inner(slope?)).sum())
    };
    outputs.into_iter().zip(slopes).filter_map(product).reduce(|sum, product| sum + product)
}

//! Gradients of a batch in parts at the same time: element-wise work of the processor's backend uses one thread.

use burn::{
    module::AutodiffModule,
    optim::{GradientsAccumulator, GradientsParams},
    tensor::{ElementConversion, Tensor, backend::AutodiffBackend},
};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// One pool of one thread a part.
///
/// # Errors
/// When the system gives no thread.
pub fn pools(parts: usize) -> Result<Vec<ThreadPool>> {
    let pools = (0..parts.max(1)).map(|_| ThreadPoolBuilder::new().num_threads(1).build());
    pools.collect::<std::result::Result<_, _>>().map_err(|error| Error::Device(error.to_string()))
}

/// The sum of the parts' losses and its gradients. `loss` is given a copy of the model with a graph of its own, and one
/// part.
///
/// # Errors
/// When a part's thread ended early.
pub fn gradients<B, M, P>(
    model: &M,
    parts: Vec<P>,
    pools: &[ThreadPool],
    loss: impl Fn(&M, P) -> Tensor<B, 1> + Sync,
) -> Result<(f32, GradientsParams)>
where
    B: AutodiffBackend,
    M: AutodiffModule<B> + Send + Sync,
    P: Send,
{
    let results: Vec<_> = std::thread::scope(|scope| {
        let loss = &loss;
        let begun: Vec<_> = parts
            .into_iter()
            .zip(pools)
            .map(|(part, pool)| {
                let copy = M::from_inner(model.valid());
                let compute = move || {
                    let loss = loss(&copy, part);
                    let value: f32 = loss.clone().inner().into_scalar().elem();
                    (value, GradientsParams::from_grads(loss.backward(), &copy))
                };
                scope.spawn(move || pool.install(compute))
            })
            .collect();
        begun.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let (mut sum, mut accumulated) = (0.0, GradientsAccumulator::new());
    for result in results {
        let (value, gradients) =
            result.map_err(|_| Error::Input("A thread of the training ended early.".to_owned()))?;
        sum += value;
        accumulated.accumulate(model, gradients);
    }
    Ok((sum, accumulated.grads()))
}

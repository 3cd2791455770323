//! Gradients of a batch in parts at the same time: element-wise work of the processor's backend uses one thread.

use burn::{
    module::AutodiffModule,
    optim::{GradientsAccumulator, GradientsParams},
    tensor::{Tensor, backend::AutodiffBackend},
};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// One pool of one thread a part; a single part has all threads.
///
/// # Errors
/// When the system gives no thread.
pub fn pools(parts: usize) -> Result<Vec<ThreadPool>> {
    let (parts, threads) = if parts > 1 { (parts, 1) } else { (1, 0) };
    let pools = (0..parts).map(|_| ThreadPoolBuilder::new().num_threads(threads).build());
    pools.collect::<std::result::Result<_, _>>().map_err(|error| Error::Device(error.to_string()))
}

/// The sum of the parts' losses and its gradients. `loss` is given a copy of the model with a graph of its own, and one
/// part. The sum stays on the device: a card need not be waited for at every step.
///
/// # Errors
/// When a part's thread ended early.
pub fn gradients<B, M, P>(
    model: &M,
    parts: Vec<P>,
    pools: &[ThreadPool],
    loss: impl Fn(&M, P) -> Tensor<B, 1> + Sync,
) -> Result<(Tensor<B::InnerBackend, 1>, GradientsParams)>
where
    B: AutodiffBackend,
    M: AutodiffModule<B> + Send + Sync,
    P: Send,
{
    let compute = |part: P| {
        let copy = M::from_inner(model.valid());
        let loss = loss(&copy, part);
        (loss.clone().inner(), GradientsParams::from_grads(loss.backward(), &copy))
    };
    let results: Vec<_> = if parts.len() == 1 {
        // A card is told everything by one thread.
        parts.into_iter().map(|part| Ok(compute(part))).collect()
    } else {
        std::thread::scope(|scope| {
            let compute = &compute;
            let begin = |(part, pool): (P, _)| scope.spawn(move || ThreadPool::install(pool, || compute(part)));
            let begun: Vec<_> = parts.into_iter().zip(pools).map(begin).collect();
            begun.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        })
    };
    let (mut losses, mut accumulated) = (Vec::new(), GradientsAccumulator::new());
    for result in results {
        let (loss, gradients) = result.map_err(|_| Error::Input("A thread of the training ended early.".to_owned()))?;
        losses.push(loss);
        accumulated.accumulate(model, gradients);
    }
    Ok((Tensor::cat(losses, 0).sum(), accumulated.grads()))
}

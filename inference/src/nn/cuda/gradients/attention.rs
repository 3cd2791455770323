//! Attention with a gradient.

use burn::tensor::{DType, Tensor, backend::Backend};

use super::{super::attention as kernels, BackwardPass, Card, OnCard, Operation, plain, run};

/// Attention of bf16 numbers, with a gradient that computes the scores once more.
#[derive(Clone, Debug)]
struct Attention {
    heads: usize,
}

impl Operation<3> for Attention {
    fn forward(&self, inputs: [OnCard; 3]) -> (OnCard, Vec<OnCard>) {
        let [output, sums] = kernels::forward(inputs, self.heads);
        (output, vec![sums])
    }

    fn backward<C: Card>(&self, pass: BackwardPass<3>) -> [Option<OnCard>; 3] {
        let ([query, key, value], [sums]) = (pass.inputs, pass.kept.try_into().expect("invariant: the sums are kept"));
        kernels::gradients([query, key, value, pass.output, sums, pass.gradient], self.heads).map(Some)
    }
}

/// `[batch, queries, heads · width]` attends to `[batch, keys, heads · width]`, where gradients are asked for → the queries' shape.
pub(in super::super) fn attention<B: Backend>(
    query: &Tensor<B, 3>,
    key: &Tensor<B, 3>,
    value: &Tensor<B, 3>,
    heads: usize,
) -> Option<Tensor<B, 3>> {
    if [query, key, value].iter().any(|input| input.dtype() != DType::BF16)
        || !kernels::has_gradient(&plain(query)?, heads)
    {
        return None;
    }
    let inputs = [query, key, value].map(|input| input.clone().into_primitive().tensor());
    run::<B, _, 3, 3>(Attention { heads }, inputs)
}

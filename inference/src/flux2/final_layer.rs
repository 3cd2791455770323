//! The last normalisation: scale and shift from the embedded time (the final layer of Peebles and Xie, "Scalable Diffusion Models
//! with Transformers", 2022). In diffusers' files (`AdaLayerNormContinuous` in `models/normalization.py`) scale comes first, in
//! Black Forest Labs' (`flux2/src/flux2/model.py`) shift.

use burn::{
    module::Module,
    tensor::{Tensor, activation::silu, backend::Backend},
};

use crate::nn::{linear::Linear, norm::scaled_layer_norm};

/// Adaptive layer normalisation without weights of its own but those of the modulation.
#[derive(Module, Debug)]
pub struct FinalNorm<B: Backend> {
    /// `[hidden] → [2 · hidden]`: scale, then shift.
    pub linear: Linear<B>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl<B: Backend> FinalNorm<B> {
    /// A normalisation that neither scales nor shifts at first.
    pub fn new(hidden: usize, epsilon: f64, device: &B::Device) -> Self {
        Self { linear: Linear::zeros(hidden, 2 * hidden, false, device), epsilon }
    }

    /// `[batch, tokens, hidden]` and `[batch or 1, hidden]` → `[batch, tokens, hidden]`.
    pub fn forward(&self, input: Tensor<B, 3>, embedded: Tensor<B, 2>) -> Tensor<B, 3> {
        self.normalise(input, self.scale_and_shift(embedded))
    }

    /// `[batch or 1, hidden]` → one more than the scale, and the shift, each `[batch or 1, 1, hidden]`.
    pub fn scale_and_shift(&self, embedded: Tensor<B, 2>) -> [Tensor<B, 3>; 2] {
        let hidden = embedded.dims()[1];
        let both = self.linear.forward(silu(embedded)).unsqueeze_dim::<3>(1);
        [both.clone().narrow(2, 0, hidden).add_scalar(1.0), both.narrow(2, hidden, hidden)]
    }

    /// `[batch, tokens, hidden]` with [`Self::scale_and_shift`] → the same shape.
    pub fn normalise(&self, input: Tensor<B, 3>, [scale, shift]: [Tensor<B, 3>; 2]) -> Tensor<B, 3> {
        scaled_layer_norm(input, scale, shift, self.epsilon)
    }
}

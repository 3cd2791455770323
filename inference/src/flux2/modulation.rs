//! Modulation: shift, scale and gate of a residual branch, from the embedded time (adaLN: Peebles and Xie, "Scalable Diffusion
//! Models with Transformers", 2022). FLUX.2 shares it between all blocks of a kind. `Flux2Modulation` in diffusers'
//! `transformer_flux2.py`.

use burn::{
    module::Module,
    tensor::{Tensor, activation::silu, backend::Backend},
};

use crate::nn::{activation::gated_sum, linear::Linear, norm::scaled_layer_norm, recorded::Given};

/// Shift, scale and gate, each `[1, 1, hidden]`, or `[batch, 1, hidden]` where the times of a batch differ.
#[derive(Clone, Debug)]
pub struct Modulated<B: Backend> {
    /// Added to the normalised stream.
    shift: Tensor<B, 3>,
    /// Multiplies it; one more than the layer says.
    scale: Tensor<B, 3>,
    /// Multiplies the branch before it joins the stream.
    gate: Tensor<B, 3>,
}

impl<B: Backend> Modulated<B> {
    /// The stream `[batch, tokens, hidden]`, layer-normalised: `(1 + scale) · normalised + shift`.
    pub fn normalise(&self, stream: Tensor<B, 3>, epsilon: f64) -> Tensor<B, 3> {
        scaled_layer_norm(stream, self.scale.clone(), self.shift.clone(), epsilon)
    }

    /// `stream + gate · branch`.
    pub fn join(&self, stream: Tensor<B, 3>, branch: Tensor<B, 3>) -> Tensor<B, 3> {
        gated_sum(stream, branch, self.gate.clone())
    }
}

impl<B: Backend> Modulated<B> {
    /// What a network that reads it is given.
    pub(super) fn given(&self) -> [Given; 3] {
        [(&self.shift).into(), (&self.scale).into(), (&self.gate).into()]
    }

    /// Shift, scale and gate.
    pub(super) fn into_parts(self) -> [Tensor<B, 3>; 3] {
        [self.shift, self.scale, self.gate]
    }

    /// What [`Self::into_parts`] took apart.
    pub(super) fn from_parts([shift, scale, gate]: [Tensor<B, 3>; 3]) -> Self {
        Self { shift, scale, gate }
    }
}

/// Makes one or two triples of shift, scale and gate.
#[derive(Module, Debug)]
pub struct Modulation<B: Backend> {
    /// `[hidden] → [3 · triples · hidden]`.
    pub linear: Linear<B>,
}

impl<B: Backend> Modulation<B> {
    /// A modulation that begins as nothing: every gate is zero.
    pub fn new(hidden: usize, triples: usize, device: &B::Device) -> Self {
        Self { linear: Linear::zeros(hidden, hidden * 3 * triples, false, device) }
    }

    /// `[batch or 1, hidden]` → triples.
    pub fn forward(&self, embedded: Tensor<B, 2>) -> Vec<Modulated<B>> {
        let [_, hidden] = embedded.dims();
        let all = self.linear.forward(silu(embedded)).unsqueeze_dim::<3>(1);
        let triples = all.dims()[2] / (3 * hidden);
        let part = |index: usize| all.clone().narrow(2, index * hidden, hidden);
        (0..triples)
            .map(|triple| Modulated {
                shift: part(3 * triple),
                scale: part(3 * triple + 1).add_scalar(1.0),
                gate: part(3 * triple + 2),
            })
            .collect()
    }
}

//! A linear layer, with any number of low-rank adapters beside its weight.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Tensor, backend::Backend},
};

use super::norm::in_precision_of;

/// `y = x Wᵀ + b + Σ scale · (x Aᵀ) Bᵀ`.
#[derive(Module, Debug)]
pub struct Linear<B: Backend> {
    /// `[out, in]`, as PyTorch keeps it.
    pub weight: Param<Tensor<B, 2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<B, 1>>>,
    /// Adapters, applied together and never merged: taking one away costs nothing.
    pub adapters: Vec<LowRank<B>>,
}

/// One low-rank adapter of a linear layer (Hu et al., "LoRA", 2021).
#[derive(Module, Debug)]
pub struct LowRank<B: Backend> {
    /// `[rank, in]`.
    pub a: Param<Tensor<B, 2>>,
    /// `[out, rank]`.
    pub b: Param<Tensor<B, 2>>,
    /// strength · alpha / rank.
    pub scale: f64,
}

impl<B: Backend> LowRank<B> {
    /// `[rows, in]` → `[rows, rank]`, scaled, in the pair's precision, which may be another than the layer's.
    fn down(&self, input: Tensor<B, 2>) -> Tensor<B, 2> {
        let a = self.a.val();
        in_precision_of(input, &a).matmul(a.transpose()).mul_scalar(self.scale)
    }
}

impl<B: Backend> Linear<B> {
    /// A layer with weights drawn as PyTorch draws them.
    pub fn new(inputs: usize, outputs: usize, bias: bool, device: &B::Device) -> Self {
        let draw = Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false };
        let weight = draw.init_with([outputs, inputs], Some(inputs), Some(outputs), device);
        let bias = bias.then(|| draw.init_with([outputs], Some(inputs), Some(outputs), device));
        Self { weight, bias, adapters: Vec::new() }
    }

    /// A layer of zeros: a residual branch that begins as nothing.
    pub fn zeros(inputs: usize, outputs: usize, bias: bool, device: &B::Device) -> Self {
        let draw = Initializer::Zeros;
        let weight = draw.init_with([outputs, inputs], None, None, device);
        let bias = bias.then(|| draw.init_with([outputs], None, None, device));
        Self { weight, bias, adapters: Vec::new() }
    }

    /// Features in and out.
    pub fn features(&self) -> (usize, usize) {
        let [outputs, inputs] = self.weight.shape().dims();
        (inputs, outputs)
    }

    /// Adds `Σ scale · B A` to the weight, in f32, and takes the adapters away.
    pub fn merge_adapters(&mut self) {
        for adapter in std::mem::take(&mut self.adapters) {
            self.weight = self.weight.clone().map(|weight| {
                let change = adapter.b.val().matmul(adapter.a.val()).mul_scalar(adapter.scale);
                let sum = in_precision_of(weight.clone(), &change) + change;
                in_precision_of(sum, &weight)
            });
        }
    }

    /// `[…, in]` → `[…, out]`.
    pub fn forward<const D: usize>(&self, input: Tensor<B, D>) -> Tensor<B, D> {
        let (_, outputs) = self.features();
        let [output] = self.forward_in_parts(input, [outputs]);
        output
    }

    /// `[…, in]` → as many `[…, width]` as there are widths, which make up `out` together. The same as cutting the output
    /// of [`Self::forward`] to pieces, but that every piece lies whole in memory.
    pub fn forward_in_parts<const D: usize, const N: usize>(
        &self,
        input: Tensor<B, D>,
        widths: [usize; N],
    ) -> [Tensor<B, D>; N] {
        let mut dims = input.dims();
        let (inputs, outputs) = self.features();
        let rows = dims.iter().product::<usize>() / inputs;
        let flat = input.reshape([rows, inputs]);
        let low: Vec<Tensor<B, 2>> = self.adapters.iter().map(|adapter| adapter.down(flat.clone())).collect();
        let mut start = 0;
        widths.map(|width| {
            let part = |matrix: Tensor<B, 2>| if width == outputs { matrix } else { matrix.narrow(0, start, width) };
            let mut output = flat.clone().matmul(part(self.weight.val()).transpose());
            if let Some(bias) = &self.bias {
                output = output + bias.val().narrow(0, start, width).unsqueeze();
            }
            for (adapter, low) in self.adapters.iter().zip(&low) {
                let high = low.clone().matmul(part(adapter.b.val()).transpose());
                let high = in_precision_of(high, &output);
                output = output + high;
            }
            start += width;
            dims[D - 1] = width;
            output.reshape(dims)
        })
    }

    /// Pieces `[…, width]` whose widths make up `in` together → `[…, out]`. The same as [`Self::forward`] of the pieces side
    /// by side, but that nobody has to lay them there.
    pub fn forward_joined<const D: usize>(&self, pieces: Vec<Tensor<B, D>>) -> Tensor<B, D> {
        let (inputs, outputs) = self.features();
        let mut dims = pieces.first().map(Tensor::dims).unwrap_or([0; D]);
        let rows = dims[..D - 1].iter().product::<usize>();
        let mut start = 0;
        let pieces: Vec<(usize, usize, Tensor<B, 2>)> = pieces
            .into_iter()
            .map(|piece| {
                let width = piece.dims()[D - 1];
                start += width;
                (start - width, width, piece.reshape([rows, width]))
            })
            .collect();
        debug_assert_eq!(start, inputs, "the pieces make up the input");
        let times = |matrix: &Tensor<B, 2>| {
            let products = pieces.iter().map(|(start, width, piece)| {
                let piece = in_precision_of(piece.clone(), matrix);
                piece.matmul(matrix.clone().narrow(1, *start, *width).transpose())
            });
            products.reduce(|sum, product| sum + product)
        };
        let mut output = times(&self.weight.val()).expect("invariant: there is a piece");
        if let Some(bias) = &self.bias {
            output = output + bias.val().unsqueeze();
        }
        for adapter in &self.adapters {
            let low = times(&adapter.a.val()).expect("invariant: there is a piece").mul_scalar(adapter.scale);
            let high = in_precision_of(low.matmul(adapter.b.val().transpose()), &output);
            output = output + high;
        }
        dims[D - 1] = outputs;
        output.reshape(dims)
    }
}

//! Rotary position embedding (Su et al., "RoFormer", 2021), in f32, in the two layouts that are in use.

use std::sync::Arc;

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};

use super::{
    cuda,
    norm::in_f32,
    processor::{self, Pairs, Turn},
};

/// Cosines and sines of every position.
#[derive(Clone, Debug)]
pub struct Rotation<B: Backend> {
    turn: Turn,
    /// Cosines, `[1, tokens, 1, width]`.
    cos: Tensor<B, 4>,
    /// Sines, of the same shape.
    sin: Tensor<B, 4>,
    /// `[width, width]`: `x · quarter` puts every number where its partner was, with the sign that a turn by a quarter gives.
    quarter: Tensor<B, 2>,
}

impl<B: Backend> Rotation<B> {
    /// From the angles of every position, one a pair.
    fn new(angles: &[Vec<f64>], width: usize, pairs: Pairs, device: &B::Device) -> Self {
        let every =
            |of: fn(f64) -> f64| angles.iter().flatten().map(move |angle| of(*angle) as f32).collect::<Vec<_>>();
        let turn = Turn { cos: Arc::new(every(f64::cos)), sin: Arc::new(every(f64::sin)), width, pairs };
        let half = width / 2;
        let both = |values: &[f32]| {
            let spread = |row: &[f32]| match pairs {
                Pairs::Neighbours => row.iter().flat_map(|value| [*value; 2]).collect::<Vec<_>>(),
                Pairs::Halves => row.repeat(2),
            };
            let values: Vec<f32> = values.chunks_exact(half).flat_map(spread).collect();
            Tensor::from_data(TensorData::new(values, [1, angles.len(), 1, width]), (device, DType::F32))
        };
        let partner = |place: usize| match pairs {
            Pairs::Neighbours if place.is_multiple_of(2) => (place + 1, -1.0),
            Pairs::Neighbours => (place - 1, 1.0),
            Pairs::Halves if place < half => (place + half, -1.0),
            Pairs::Halves => (place - half, 1.0),
        };
        let mut quarter = vec![0.0f32; width * width];
        for place in 0..width {
            let (from, sign) = partner(place);
            quarter[from * width + place] = sign;
        }
        let quarter = Tensor::from_data(TensorData::new(quarter, [width, width]), (device, DType::F32));
        Self { cos: both(&turn.cos), sin: both(&turn.sin), turn, quarter }
    }

    /// Pairs of neighbours turn together: position `ids` (one number an axis) over axes of the given widths, as FLUX.2
    /// lays them out.
    pub fn interleaved(ids: &[[i64; 4]], axes: &[usize; 4], theta: f64, device: &B::Device) -> Self {
        let angles_of = |id: &[i64; 4]| {
            let axis = |(position, width): (&i64, &usize)| {
                let (position, width) = (*position as f64, *width);
                (0..width / 2).map(move |pair| position * theta.powf(-((2 * pair) as f64) / width as f64))
            };
            id.iter().zip(axes).flat_map(axis).collect()
        };
        let angles: Vec<Vec<f64>> = ids.iter().map(angles_of).collect();
        Self::new(&angles, axes.iter().sum(), Pairs::Neighbours, device)
    }

    /// The first half turns with the second: positions 0, 1, 2, … as language models lay them out.
    pub fn halves(tokens: usize, width: usize, theta: f64, device: &B::Device) -> Self {
        // The reference computes these in f32.
        let frequency = |pair: usize| 1.0 / (theta as f32).powf((2 * pair) as f32 / width as f32);
        let angles_of =
            |position: usize| (0..width / 2).map(|pair| f64::from(position as f32 * frequency(pair))).collect();
        let angles: Vec<Vec<f64>> = (0..tokens).map(angles_of).collect();
        Self::new(&angles, width, Pairs::Halves, device)
    }

    /// Turns `[batch, tokens, heads · width]`, head by head.
    pub fn turn(&self, input: Tensor<B, 3>) -> Tensor<B, 3> {
        let halves = self.turn.pairs == Pairs::Halves;
        processor::run(&self.turn, [input.clone().into()])
            .or_else(|| cuda::turn(&input, &self.cos, &self.sin, halves))
            .unwrap_or_else(|| self.composed(input))
    }

    /// The same from burn's operations.
    pub(super) fn composed(&self, input: Tensor<B, 3>) -> Tensor<B, 3> {
        let [batch, tokens, features] = input.dims();
        let width = self.turn.width;
        in_f32(input, |input| {
            let heads = [batch, tokens, features / width, width];
            let turned = input.clone().reshape([batch * tokens * features / width, width]).matmul(self.quarter.clone());
            let sum = input.reshape(heads) * self.cos.clone() + turned.reshape(heads) * self.sin.clone();
            sum.reshape([batch, tokens, features])
        })
    }
}

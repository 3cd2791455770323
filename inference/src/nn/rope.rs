//! Rotary position embedding (Su et al., "RoFormer", 2021), in f32, in the two layouts that are in use.

use std::{collections::HashMap, sync::Arc};

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};

use super::{
    cuda,
    norm::in_f32,
    processor::{self, Pairs, Turn},
    recorded::Given,
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

/// How far a pair of numbers is turned.
#[derive(Clone, Copy, Debug)]
struct PairTurn {
    cos: f32,
    sin: f32,
}

impl PairTurn {
    fn by(angle: f64) -> Self {
        Self { cos: angle.cos() as f32, sin: angle.sin() as f32 }
    }
}

impl<B: Backend> Rotation<B> {
    /// From the turns of every position's pairs.
    fn new(turns: impl Iterator<Item = PairTurn>, width: usize, pairs: Pairs, device: &B::Device) -> Self {
        let (cos, sin): (Vec<f32>, Vec<f32>) = turns.map(|turn| (turn.cos, turn.sin)).unzip();
        let turn = Turn { cos: Arc::new(cos), sin: Arc::new(sin), width, pairs };
        let half = width / 2;
        let tokens = turn.cos.len() / half;
        let both = |values: &[f32]| {
            let spread = |row: &[f32]| match pairs {
                Pairs::Neighbours => row.iter().flat_map(|value| [*value; 2]).collect::<Vec<_>>(),
                Pairs::Halves => row.repeat(2),
            };
            let values: Vec<f32> = values.chunks_exact(half).flat_map(spread).collect();
            Tensor::from_data(TensorData::new(values, [1, tokens, 1, width]), (device, DType::F32))
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
        let frequencies = axes.map(|width| {
            (0..width / 2).map(|pair| theta.powf(-((2 * pair) as f64) / width as f64)).collect::<Vec<_>>()
        });
        // A picture has many tokens, and few rows and columns.
        let mut known: [HashMap<i64, Vec<PairTurn>>; 4] = Default::default();
        let mut turns = Vec::with_capacity(ids.len() * axes.iter().sum::<usize>() / 2);
        for id in ids {
            for ((position, frequencies), known) in id.iter().zip(&frequencies).zip(&mut known) {
                let of_position = known.entry(*position).or_insert_with(|| {
                    frequencies.iter().map(|frequency| PairTurn::by(*position as f64 * frequency)).collect()
                });
                turns.extend_from_slice(of_position);
            }
        }
        Self::new(turns.into_iter(), axes.iter().sum(), Pairs::Neighbours, device)
    }

    /// The first half turns with the second: positions 0, 1, 2, … as language models lay them out.
    pub fn halves(tokens: usize, width: usize, theta: f64, device: &B::Device) -> Self {
        // The reference computes these in f32.
        let frequency = |pair: usize| 1.0 / (theta as f32).powf((2 * pair) as f32 / width as f32);
        let frequencies: Vec<f32> = (0..width / 2).map(frequency).collect();
        let by = |position: usize| {
            frequencies.iter().map(move |frequency| PairTurn::by(f64::from(position as f32 * frequency)))
        };
        Self::new((0..tokens).flat_map(by), width, Pairs::Halves, device)
    }

    /// What a network that reads it is given.
    pub fn given(&self) -> [Given; 2] {
        [(&self.cos).into(), (&self.sin).into()]
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

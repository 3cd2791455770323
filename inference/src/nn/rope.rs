//! Rotary position embedding (Su et al., "RoFormer", 2021), in f32, in the two layouts that are in use.

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};

use super::norm::in_f32;

/// Cosines and sines of every position, laid out for a number of heads.
#[derive(Clone, Debug)]
pub struct Rotation<B: Backend> {
    /// Cosines, `[1, tokens · heads · width]`: one long row, because backends multiply along a row fast, and across other
    /// axes slowly.
    cos: Tensor<B, 2>,
    /// Sines, of the same shape.
    sin: Tensor<B, 2>,
    /// `[width, width]`: `x · turn` puts every number where its partner was, with the sign that a turn by a quarter gives.
    quarter: Tensor<B, 2>,
}

impl<B: Backend> Rotation<B> {
    /// From angles, row by row, each of the width of a head; `partner` gives the place and sign that go into a place.
    fn new(
        angles: &[Vec<f64>],
        width: usize,
        heads: usize,
        partner: impl Fn(usize) -> (usize, f32),
        device: &B::Device,
    ) -> Self {
        let row = |of: fn(f64) -> f64| {
            let values: Vec<f32> = angles
                .iter()
                .flat_map(|row| (0..heads).flat_map(move |_| row.iter().map(move |angle| of(*angle) as f32)))
                .collect();
            let length = values.len();
            Tensor::from_data(TensorData::new(values, [1, length]), (device, DType::F32))
        };
        let mut quarter = vec![0.0; width * width];
        for place in 0..width {
            let (from, sign) = partner(place);
            quarter[from * width + place] = sign;
        }
        let quarter = Tensor::from_data(TensorData::new(quarter, [width, width]), (device, DType::F32));
        Self { cos: row(f64::cos), sin: row(f64::sin), quarter }
    }

    /// Pairs of neighbours turn together: position `ids` (one number an axis) over axes of the given widths, as FLUX.2
    /// lays them out.
    pub fn interleaved(ids: &[[i64; 4]], axes: &[usize; 4], theta: f64, heads: usize, device: &B::Device) -> Self {
        let angles_of = |id: &[i64; 4]| {
            let mut angles = Vec::new();
            for (position, width) in id.iter().zip(axes) {
                for pair in 0..width / 2 {
                    let frequency = theta.powf(-((2 * pair) as f64) / *width as f64);
                    let angle = *position as f64 * frequency;
                    angles.extend([angle, angle]);
                }
            }
            angles
        };
        let angles: Vec<Vec<f64>> = ids.iter().map(angles_of).collect();
        let partner = |place: usize| if place.is_multiple_of(2) { (place + 1, -1.0) } else { (place - 1, 1.0) };
        Self::new(&angles, axes.iter().sum(), heads, partner, device)
    }

    /// The first half turns with the second: positions 0, 1, 2, … as language models lay them out.
    pub fn halves(tokens: usize, width: usize, theta: f64, heads: usize, device: &B::Device) -> Self {
        let half = width / 2;
        // The reference computes these in f32.
        let frequency = |place: usize| 1.0 / (theta as f32).powf((2 * (place % half)) as f32 / width as f32);
        let angles_of =
            |position: usize| (0..width).map(|place| f64::from(position as f32 * frequency(place))).collect();
        let angles: Vec<Vec<f64>> = (0..tokens).map(angles_of).collect();
        let partner = |place: usize| if place < half { (place + half, -1.0) } else { (place - half, 1.0) };
        Self::new(&angles, width, heads, partner, device)
    }

    /// Turns `[batch, tokens, heads · width]`, head by head.
    pub fn turn(&self, input: Tensor<B, 3>) -> Tensor<B, 3> {
        let [batch, tokens, features] = input.dims();
        let width = self.quarter.dims()[0];
        in_f32(input, |input| {
            let turned = input.clone().reshape([batch * tokens * features / width, width]).matmul(self.quarter.clone());
            let long = [batch, tokens * features];
            let sum = input.reshape(long) * self.cos.clone() + turned.reshape(long) * self.sin.clone();
            sum.reshape([batch, tokens, features])
        })
    }
}

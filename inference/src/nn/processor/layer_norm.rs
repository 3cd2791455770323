//! Layer normalisation (Ba et al., 2016) with a scale and a shift, and the gated sum that ends a residual branch (Peebles and
//! Xie, "DiT", 2022). Scale, shift and gate are one row for all, or one a picture.

use super::{
    Array, BackwardPass, Operation, by_rows,
    lanes::{dot, fast, squares_around, sum},
};

/// `[batch, tokens, width]`, every row normalised, times a scale and plus a shift, each `[batch or 1, 1, width]`.
#[derive(Clone, Debug)]
pub struct ScaledLayerNorm {
    /// Added to the variance.
    pub epsilon: f32,
}

/// Which row of a parameter belongs to a row of the stream.
#[derive(Clone, Copy)]
struct Rows {
    width: usize,
    /// Rows of the stream a row of the parameter.
    each: usize,
}

impl Rows {
    fn new(stream: &Array, parameter: &Array) -> Self {
        let width = stream.width();
        let rows = stream.values().len() / width;
        Self { width, each: rows / (parameter.values().len() / width).max(1) }
    }

    #[inline(always)]
    fn of<'a>(&self, parameter: &'a [f32], row: usize) -> &'a [f32] {
        &parameter[row / self.each * self.width..][..self.width]
    }

    /// Sums rows of the stream, as `add` adds one to a sum, to rows of the parameter.
    fn sums(&self, parameter: &Array, add: impl Fn(usize, &mut [f32]) + Sync) -> Array {
        let mut sums = vec![0.0; parameter.values().len()];
        super::by_pieces(&mut sums, self.width, |place, sum| {
            fast(|| (place * self.each..(place + 1) * self.each).for_each(|row| add(row, sum)));
        });
        Array::new(sums, parameter.shape())
    }
}

impl ScaledLayerNorm {
    /// Mean, and one over the standard deviation.
    #[inline(always)]
    fn statistics(&self, row: &[f32]) -> (f32, f32) {
        let mean = sum(row) / row.len() as f32;
        (mean, 1.0 / (squares_around(row, mean) / row.len() as f32 + self.epsilon).sqrt())
    }
}

impl Operation<3> for ScaledLayerNorm {
    type Kept = ();

    fn forward(&self, [input, scale, shift]: [&Array; 3]) -> (Array, ()) {
        let (rows, width) = (Rows::new(input, scale), input.width());
        let (scales, shifts) = (scale.values(), shift.values());
        let mut output = input.values().to_vec();
        by_rows(&mut output, width, |first, chunk| {
            fast(|| {
                for (index, row) in chunk.chunks_exact_mut(width).enumerate() {
                    let (mean, spread) = self.statistics(row);
                    let (scale, shift) = (rows.of(scales, first + index), rows.of(shifts, first + index));
                    for ((value, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
                        *value = (*value - mean) * spread * scale + shift;
                    }
                }
            });
        });
        (Array::new(output, input.shape()), ())
    }

    fn backward(&self, pass: BackwardPass<'_, (), 3>) -> [Option<Array>; 3] {
        let [input, scale, shift] = pass.inputs;
        let (rows, width) = (Rows::new(input, scale), input.width());
        let (values, scales, gradients) = (input.values(), scale.values(), pass.gradient.values());
        let of_input = pass.wanted[0].then(|| {
            let mut result = gradients.to_vec();
            by_rows(&mut result, width, |first, chunk| {
                let values = &values[first * width..][..chunk.len()];
                fast(|| {
                    let each = chunk.chunks_exact_mut(width).zip(values.chunks_exact(width)).enumerate();
                    for (index, (row, value)) in each {
                        let scale = rows.of(scales, first + index);
                        row.iter_mut().zip(scale).for_each(|(gradient, scale)| *gradient *= scale);
                        let (mean, spread) = self.statistics(value);
                        let level = sum(row) / width as f32;
                        let along = (dot(row, value) - mean * width as f32 * level) / width as f32 * spread * spread;
                        for (gradient, value) in row.iter_mut().zip(value) {
                            *gradient = spread * (*gradient - level - (value - mean) * along);
                        }
                    }
                });
            });
            Array::new(result, input.shape())
        });
        let of_scale = pass.wanted[1].then(|| {
            rows.sums(scale, |row, sums| {
                let (value, gradient) = (&values[row * width..][..width], &gradients[row * width..][..width]);
                let (mean, spread) = self.statistics(value);
                for ((sum, value), gradient) in sums.iter_mut().zip(value).zip(gradient) {
                    *sum += gradient * (value - mean) * spread;
                }
            })
        });
        let of_shift = pass.wanted[2].then(|| {
            rows.sums(shift, |row, sums| {
                let gradient = &gradients[row * width..][..width];
                sums.iter_mut().zip(gradient).for_each(|(sum, gradient)| *sum += gradient);
            })
        });
        [of_input, of_scale, of_shift]
    }
}

/// `stream + gate · branch`: `[batch, tokens, width]` twice, and a gate `[batch or 1, 1, width]`.
#[derive(Clone, Debug)]
pub struct GatedSum;

impl Operation<3> for GatedSum {
    type Kept = ();

    fn forward(&self, [stream, branch, gate]: [&Array; 3]) -> (Array, ()) {
        let (rows, width) = (Rows::new(stream, gate), stream.width());
        let (branches, gates) = (branch.values(), gate.values());
        let mut output = stream.values().to_vec();
        by_rows(&mut output, width, |first, chunk| {
            let branches = &branches[first * width..][..chunk.len()];
            fast(|| {
                let each = chunk.chunks_exact_mut(width).zip(branches.chunks_exact(width)).enumerate();
                for (index, (row, branch)) in each {
                    let gate = rows.of(gates, first + index);
                    row.iter_mut().zip(branch).zip(gate).for_each(|((sum, branch), gate)| *sum += branch * gate);
                }
            });
        });
        (Array::new(output, stream.shape()), ())
    }

    fn backward(&self, pass: BackwardPass<'_, (), 3>) -> [Option<Array>; 3] {
        let [stream, branch, gate] = pass.inputs;
        let (rows, width) = (Rows::new(stream, gate), stream.width());
        let (branches, gates, gradients) = (branch.values(), gate.values(), pass.gradient.values());
        let of_branch = pass.wanted[1].then(|| {
            let mut result = gradients.to_vec();
            by_rows(&mut result, width, |first, chunk| {
                fast(|| {
                    for (index, row) in chunk.chunks_exact_mut(width).enumerate() {
                        let gate = rows.of(gates, first + index);
                        row.iter_mut().zip(gate).for_each(|(gradient, gate)| *gradient *= gate);
                    }
                });
            });
            Array::new(result, branch.shape())
        });
        let of_gate = pass.wanted[2].then(|| {
            rows.sums(gate, |row, sums| {
                let (branch, gradient) = (&branches[row * width..][..width], &gradients[row * width..][..width]);
                for ((sum, branch), gradient) in sums.iter_mut().zip(branch).zip(gradient) {
                    *sum += gradient * branch;
                }
            })
        });
        [pass.wanted[0].then(|| pass.gradient.clone()), of_branch, of_gate]
    }
}

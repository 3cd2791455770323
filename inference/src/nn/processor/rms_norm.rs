//! Root-mean-square normalisation (Zhang and Sennrich, 2019).

use super::{
    Array, BackwardPass, Operation, by_rows,
    lanes::{dot, fast},
};

/// Rows `[…, width]` over their root mean square, times a weight `[width]`.
#[derive(Clone, Debug)]
pub struct RmsNormalisation {
    /// Added to the mean square.
    pub epsilon: f32,
}

impl RmsNormalisation {
    #[inline(always)]
    fn scale(&self, row: &[f32]) -> f32 {
        1.0 / (dot(row, row) / row.len() as f32 + self.epsilon).sqrt()
    }
}

impl Operation<2> for RmsNormalisation {
    type Kept = ();

    fn forward(&self, [input, weight]: [&Array; 2]) -> (Array, ()) {
        let (width, weight) = (weight.width(), weight.values());
        let mut output = input.values().to_vec();
        by_rows(&mut output, width, |_, rows| {
            fast(|| {
                for row in rows.chunks_exact_mut(width) {
                    let scale = self.scale(row);
                    row.iter_mut().zip(weight).for_each(|(value, weight)| *value *= scale * weight);
                }
            });
        });
        (Array::new(output, input.shape()), ())
    }

    fn backward(&self, pass: BackwardPass<'_, (), 2>) -> [Option<Array>; 2] {
        let [input, weight] = pass.inputs;
        let (width, weights, values) = (weight.width(), weight.values(), input.values());
        let of_input = pass.wanted[0].then(|| {
            let mut result = pass.gradient.values().to_vec();
            by_rows(&mut result, width, |first, rows| {
                let values = &values[first * width..][..rows.len()];
                fast(|| {
                    for (row, value) in rows.chunks_exact_mut(width).zip(values.chunks_exact(width)) {
                        row.iter_mut().zip(weights).for_each(|(gradient, weight)| *gradient *= weight);
                        let scale = self.scale(value);
                        let along = dot(row, value) / width as f32 * scale * scale;
                        let each = row.iter_mut().zip(value);
                        each.for_each(|(gradient, value)| *gradient = scale * (*gradient - value * along));
                    }
                });
            });
            Array::new(result, input.shape())
        });
        let of_weight = pass.wanted[1].then(|| {
            let mut sums = vec![0.0; width];
            fast(|| {
                let rows = values.chunks_exact(width).zip(pass.gradient.values().chunks_exact(width));
                for (value, gradient) in rows {
                    let scale = self.scale(value);
                    let each = sums.iter_mut().zip(value).zip(gradient);
                    each.for_each(|((sum, value), gradient)| *sum += gradient * value * scale);
                }
            });
            Array::new(sums, weight.shape())
        });
        [of_input, of_weight]
    }
}

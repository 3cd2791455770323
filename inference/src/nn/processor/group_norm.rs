//! Group normalisation (Wu and He, 2018), with the activation that follows it nearly everywhere.

use super::{
    Array, BackwardPass, Operation, by_pieces,
    lanes::{dot, fast, sigmoid, squares_around, sum},
};

/// `[batch, channels, …]`, every group of channels normalised, times a weight and plus a bias a channel.
#[derive(Clone, Debug)]
pub struct GroupNormalisation {
    /// Groups of channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether x · sigmoid(x) follows.
    pub is_activated: bool,
}

impl GroupNormalisation {
    #[inline(always)]
    fn statistics(&self, group: &[f32]) -> (f32, f32) {
        let mean = sum(group) / group.len() as f32;
        (mean, 1.0 / (squares_around(group, mean) / group.len() as f32 + self.epsilon).sqrt())
    }
}

/// Numbers of a channel, and channels of a group.
fn sizes(input: &Array, groups: usize) -> (usize, usize) {
    let shape = input.shape();
    (shape[2..].iter().product(), shape[1] / groups)
}

impl Operation<3> for GroupNormalisation {
    type Kept = ();

    fn forward(&self, [input, weight, bias]: [&Array; 3]) -> (Array, ()) {
        let (length, channels) = sizes(input, self.groups);
        let mut output = input.values().to_vec();
        by_pieces(&mut output, channels * length, |place, group| {
            let first = place % self.groups * channels;
            fast(|| {
                let (mean, spread) = self.statistics(group);
                for (index, channel) in group.chunks_exact_mut(length).enumerate() {
                    let scale = weight.values()[first + index] * spread;
                    let shift = bias.values()[first + index] - mean * scale;
                    if self.is_activated {
                        channel.iter_mut().for_each(|value| {
                            let normed = *value * scale + shift;
                            *value = normed * sigmoid(normed);
                        });
                    } else {
                        channel.iter_mut().for_each(|value| *value = *value * scale + shift);
                    }
                }
            });
        });
        (Array::new(output, input.shape()), ())
    }

    fn backward(&self, pass: BackwardPass<'_, (), 3>) -> [Option<Array>; 3] {
        let [input, weight, bias] = pass.inputs;
        let (length, channels) = sizes(input, self.groups);
        let all = weight.values().len();
        // A group's gradient, and behind it those of its weights and biases.
        let piece = channels * (length + 2);
        let mut results = vec![0.0; input.values().len() / length / channels * piece];
        by_pieces(&mut results, piece, |place, piece| {
            let start = place * channels * length;
            let values = &input.values()[start..][..channels * length];
            let gradients = &pass.gradient.values()[start..][..channels * length];
            let (group, sums) = piece.split_at_mut(channels * length);
            let first = place % self.groups * channels;
            fast(|| {
                let (mean, spread) = self.statistics(values);
                for index in 0..channels {
                    let (scale, shift) = (weight.values()[first + index], bias.values()[first + index]);
                    let range = index * length..(index + 1) * length;
                    let (row, values) = (&mut group[range.clone()], &values[range.clone()]);
                    row.copy_from_slice(&gradients[range]);
                    if self.is_activated {
                        for (gradient, value) in row.iter_mut().zip(values) {
                            let normed = (value - mean) * spread * scale + shift;
                            let share = sigmoid(normed);
                            *gradient *= share * (1.0 + normed * (1.0 - share));
                        }
                    }
                    let level = sum(row);
                    sums[2 * index] = (dot(row, values) - mean * level) * spread;
                    sums[2 * index + 1] = level;
                    row.iter_mut().for_each(|gradient| *gradient *= scale);
                }
                let count = group.len() as f32;
                let level = sum(group) / count;
                let along = (dot(group, values) - mean * count * level) / count * spread * spread;
                for (gradient, value) in group.iter_mut().zip(values) {
                    *gradient = spread * (*gradient - level - (value - mean) * along);
                }
            });
        });
        let of_input = pass.wanted[0].then(|| {
            let groups = results.chunks_exact(piece).flat_map(|piece| &piece[..channels * length]);
            Array::new(groups.copied().collect(), input.shape())
        });
        let sums = |which: usize| {
            let mut sums = vec![0.0; all];
            for (place, piece) in results.chunks_exact(piece).enumerate() {
                let first = place % self.groups * channels;
                for (index, pair) in piece[channels * length..].chunks_exact(2).enumerate() {
                    sums[first + index] += pair[which];
                }
            }
            Array::new(sums, weight.shape())
        };
        [of_input, pass.wanted[1].then(|| sums(0)), pass.wanted[2].then(|| sums(1))]
    }
}

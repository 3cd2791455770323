//! Rotary position embedding (Su et al., "RoFormer", 2021).

use std::sync::Arc;

use super::{Array, BackwardPass, Operation, by_rows, lanes::fast};

/// Which numbers of a head turn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// A number and its neighbour.
    Neighbours,
    /// A number of the first half and its like of the second.
    Halves,
}

/// Turns the pairs of every head of `[batch, tokens, heads · width]`.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Cosines, `[tokens, width / 2]`.
    pub cos: Arc<Vec<f32>>,
    /// Sines, `[tokens, width / 2]`.
    pub sin: Arc<Vec<f32>>,
    /// Width of a head.
    pub width: usize,
    /// Which numbers turn together.
    pub pairs: Pairs,
}

impl Turn {
    /// Turns by the angles, or back by them where `direction` is -1.
    fn turned(&self, input: &Array, direction: f32) -> Array {
        let features = input.width();
        let pairs = self.width / 2;
        let tokens = self.cos.len() / pairs;
        let mut output = input.values().to_vec();
        by_rows(&mut output, features, |first, rows| {
            fast(|| {
                for (index, row) in rows.chunks_exact_mut(features).enumerate() {
                    let token = (first + index) % tokens;
                    let (cos, sin) = (&self.cos[token * pairs..][..pairs], &self.sin[token * pairs..][..pairs]);
                    for head in row.chunks_exact_mut(self.width) {
                        match self.pairs {
                            Pairs::Neighbours => turn_neighbours(head, cos, sin, direction),
                            Pairs::Halves => turn_halves(head, cos, sin, direction),
                        }
                    }
                }
            });
        });
        Array::new(output, input.shape())
    }
}

#[inline(always)]
fn turn_neighbours(head: &mut [f32], cos: &[f32], sin: &[f32], direction: f32) {
    for ((pair, cos), sin) in head.as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
        let [a, b] = *pair;
        let sin = sin * direction;
        *pair = [a * cos - b * sin, b * cos + a * sin];
    }
}

#[inline(always)]
fn turn_halves(head: &mut [f32], cos: &[f32], sin: &[f32], direction: f32) {
    let (first, second) = head.split_at_mut(cos.len());
    for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
        let sin = sin * direction;
        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
    }
}

impl Operation<1> for Turn {
    type Kept = ();

    fn forward(&self, [input]: [&Array; 1]) -> (Array, ()) {
        (self.turned(input, 1.0), ())
    }

    fn backward(&self, pass: BackwardPass<'_, (), 1>) -> [Option<Array>; 1] {
        [Some(self.turned(pass.gradient, -1.0))]
    }
}

//! Scaled dot-product attention (Vaswani et al., 2017), a block of queries at a time, so that no more than a block's scores
//! are ever in memory; the gradient computes them again (Dao et al., "FlashAttention", 2022).

use std::sync::Arc;

use rayon::prelude::*;

use super::{
    Array, BackwardPass, Operation, by_pieces,
    lanes::{dot, exp, fast, largest, sum},
    matrix::{Matrix, Written, multiply},
};

/// Queries whose scores are computed together.
const BLOCK: usize = 64;

/// What is added to the scores of every head before the softmax.
#[derive(Clone, Debug)]
pub struct Mask {
    /// `[batch or 1, queries, keys]`.
    pub values: Arc<Vec<f32>>,
    /// Whether there is one for every entry of the batch.
    pub is_batched: bool,
}

/// `[batch, queries, heads · width]` looks at keys and values `[batch, keys, heads · width]`, head by head.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Heads.
    pub heads: usize,
    /// Added to the scores.
    pub mask: Option<Mask>,
}

/// The sizes of one attention.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    queries: usize,
    keys: usize,
    /// All heads together.
    features: usize,
    /// One head.
    width: usize,
}

/// One block of queries of one head.
#[derive(Clone, Copy)]
struct Block {
    entry: usize,
    head: usize,
    first: usize,
    count: usize,
}

impl Attention {
    fn sizes(&self, query: &Array, key: &Array) -> Sizes {
        let (&[batch, queries, features], &[_, keys, _]) = (query.shape(), key.shape()) else {
            unreachable!("invariant: attention is given tensors of three axes")
        };
        Sizes { batch, queries, keys, features, width: features / self.heads }
    }

    /// The scores of a block, each row less than its largest by what is in the exponent.
    fn scores(&self, sizes: Sizes, block: Block, query: &[f32], key: &[f32], scores: &mut [f32]) {
        multiply(
            scores,
            sizes.queries_of(query, block),
            sizes.keys_of(key, block).transposed(),
            Written { stride: sizes.keys, scale: 1.0 / (sizes.width as f32).sqrt(), adds: false, everywhere: false },
        );
        if let Some(mask) = &self.mask {
            let entry = if mask.is_batched { block.entry } else { 0 };
            let start = (entry * sizes.queries + block.first) * sizes.keys;
            let rows = &mask.values[start..][..block.count * sizes.keys];
            scores.iter_mut().zip(rows).for_each(|(score, bias)| *score += bias);
        }
    }
}

impl Sizes {
    /// Where a head's rows begin in an array of `tokens` rows an entry.
    fn place(&self, tokens: usize, block: Block, first: usize) -> usize {
        (block.entry * tokens + first) * self.features + block.head * self.width
    }

    fn queries_of<'a>(&self, values: &'a [f32], block: Block) -> Matrix<'a> {
        let place = self.place(self.queries, block, block.first);
        Matrix::new(&values[place..], (block.count, self.width), self.features)
    }

    fn keys_of<'a>(&self, values: &'a [f32], block: Block) -> Matrix<'a> {
        let place = self.place(self.keys, block, 0);
        Matrix::new(&values[place..], (self.keys, self.width), self.features)
    }

    fn written(&self, scale: f32, adds: bool) -> Written {
        Written { stride: self.width, scale, adds, everywhere: false }
    }

    /// `[batch, heads, tokens, width]` → `[batch, tokens, heads · width]`.
    fn side_by_side(&self, by_head: &[f32], tokens: usize) -> Array {
        let (heads, width) = (self.features / self.width, self.width);
        let mut output = vec![0.0; by_head.len()];
        by_pieces(&mut output, tokens * self.features, |entry, rows| {
            for (head, of_head) in by_head[entry * rows.len()..][..rows.len()].chunks_exact(tokens * width).enumerate()
            {
                for (row, values) in rows.chunks_exact_mut(heads * width).zip(of_head.chunks_exact(width)) {
                    row[head * width..][..width].copy_from_slice(values);
                }
            }
        });
        Array::new(output, [self.batch, tokens, self.features])
    }
}

/// Makes probabilities of scores, row by row, and says the logarithm of each row's sum of exponentials.
fn softmax(scores: &mut [f32], width: usize, logarithms: &mut [f32]) {
    fast(|| {
        for (row, logarithm) in scores.chunks_exact_mut(width).zip(logarithms) {
            let most = largest(row);
            row.iter_mut().for_each(|score| *score = exp(*score - most));
            let total = sum(row);
            row.iter_mut().for_each(|score| *score /= total);
            *logarithm = most + total.ln();
        }
    });
}

impl Operation<3> for Attention {
    /// The logarithms of the rows' sums, `[batch, heads, queries]`.
    type Kept = Arc<Vec<f32>>;

    fn forward(&self, [query, key, value]: [&Array; 3]) -> (Array, Self::Kept) {
        let sizes = self.sizes(query, key);
        let rows = sizes.queries * (sizes.width + 1);
        // A head's mixtures, and behind them the logarithms of its sums.
        let mut by_head = vec![0.0; sizes.batch * self.heads * rows];
        by_pieces(&mut by_head, rows, |place, piece| {
            let (mixed, logarithms) = piece.split_at_mut(sizes.queries * sizes.width);
            let compute = |scores: &mut Vec<f32>, (number, (mixed, logarithms)): (usize, (&mut [f32], &mut [f32]))| {
                let count = logarithms.len();
                let (entry, head) = (place / self.heads, place % self.heads);
                let block = Block { entry, head, first: number * BLOCK, count };
                let scores = &mut scores[..count * sizes.keys];
                self.scores(sizes, block, query.values(), key.values(), scores);
                softmax(scores, sizes.keys, logarithms);
                let probabilities = Matrix::new(scores, (count, sizes.keys), sizes.keys);
                multiply(mixed, probabilities, sizes.keys_of(value.values(), block), sizes.written(1.0, false));
            };
            let room = || vec![0.0; BLOCK.min(sizes.queries) * sizes.keys];
            if rayon::current_num_threads() == 1 || sizes.queries <= BLOCK {
                let mut room = room();
                let blocks = mixed.chunks_mut(BLOCK * sizes.width).zip(logarithms.chunks_mut(BLOCK)).enumerate();
                return blocks.for_each(|block| compute(&mut room, block));
            }
            let blocks = mixed.par_chunks_mut(BLOCK * sizes.width).zip(logarithms.par_chunks_mut(BLOCK)).enumerate();
            blocks.for_each_init(room, compute);
        });
        let (mut mixed, mut logarithms) = (Vec::with_capacity(query.values().len()), Vec::new());
        for piece in by_head.chunks_exact(rows) {
            let (of_head, sums) = piece.split_at(sizes.queries * sizes.width);
            mixed.extend_from_slice(of_head);
            logarithms.extend_from_slice(sums);
        }
        (sizes.side_by_side(&mixed, sizes.queries), Arc::new(logarithms))
    }

    fn backward(&self, pass: BackwardPass<'_, Self::Kept, 3>) -> [Option<Array>; 3] {
        let [query, key, value] = pass.inputs;
        let sizes = self.sizes(query, key);
        let (of_queries, of_keys) = (sizes.queries * sizes.width, sizes.keys * sizes.width);
        // The gradients of a head's queries, keys and values, one behind the other.
        let length = of_queries + 2 * of_keys;
        let mut by_head = vec![0.0; sizes.batch * self.heads * length];
        by_pieces(&mut by_head, length, |place, piece| {
            let (of_query, rest) = piece.split_at_mut(of_queries);
            let (of_key, of_value) = rest.split_at_mut(of_keys);
            let logarithms = &pass.kept[place * sizes.queries..][..sizes.queries];
            let room = BLOCK.min(sizes.queries) * sizes.keys;
            let (mut probabilities, mut slopes) = (vec![0.0; room], vec![0.0; room]);
            for first in (0..sizes.queries).step_by(BLOCK) {
                let count = BLOCK.min(sizes.queries - first);
                let block = Block { entry: place / self.heads, head: place % self.heads, first, count };
                let probabilities = &mut probabilities[..count * sizes.keys];
                let slopes = &mut slopes[..count * sizes.keys];
                self.scores(sizes, block, query.values(), key.values(), probabilities);
                fast(|| {
                    for (row, logarithm) in probabilities.chunks_exact_mut(sizes.keys).zip(&logarithms[first..]) {
                        row.iter_mut().for_each(|score| *score = exp(*score - logarithm));
                    }
                });
                let gradient = sizes.queries_of(pass.gradient.values(), block);
                let square = |values| Matrix::new(values, (count, sizes.keys), sizes.keys);
                let written = sizes.written(1.0, first > 0);
                multiply(of_value, square(probabilities).transposed(), gradient, written);
                let along_keys = Written { stride: sizes.keys, scale: 1.0, adds: false, everywhere: false };
                multiply(slopes, gradient, sizes.keys_of(value.values(), block).transposed(), along_keys);
                fast(|| {
                    let rows = slopes.chunks_exact_mut(sizes.keys).zip(probabilities.chunks_exact(sizes.keys));
                    for (slopes, probabilities) in rows {
                        let mean = dot(slopes, probabilities);
                        slopes
                            .iter_mut()
                            .zip(probabilities)
                            .for_each(|(slope, share)| *slope = share * (*slope - mean));
                    }
                });
                let scale = 1.0 / (sizes.width as f32).sqrt();
                let output = &mut of_query[first * sizes.width..(first + count) * sizes.width];
                let keys = sizes.keys_of(key.values(), block);
                multiply(output, square(slopes), keys, sizes.written(scale, false));
                let queries = sizes.queries_of(query.values(), block);
                multiply(of_key, square(slopes).transposed(), queries, sizes.written(scale, first > 0));
            }
        });
        let collect = |start: usize, count: usize, tokens: usize| {
            let pieces = by_head.chunks_exact(length).flat_map(|piece| &piece[start..start + count]);
            sizes.side_by_side(&pieces.copied().collect::<Vec<f32>>(), tokens)
        };
        [
            pass.wanted[0].then(|| collect(0, of_queries, sizes.queries)),
            pass.wanted[1].then(|| collect(of_queries, of_keys, sizes.keys)),
            pass.wanted[2].then(|| collect(of_queries + of_keys, of_keys, sizes.keys)),
        ]
    }
}

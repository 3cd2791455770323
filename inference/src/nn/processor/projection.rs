//! A linear layer with its bias and its low-rank pair: every product is added to the output where it lies, so that the output
//! is written once and a pair costs its own operations and no pass beside them.

use super::{
    Array, BackwardPass, Operation, by_rows,
    lanes::fast,
    matrix::{Matrix, Written, multiply},
};

/// Multiplications of a product from which on a second thread is worth it.
const WORTH_ALL_THREADS: usize = 1 << 22;

/// Numbers of a weight in half precision that are widened at once: little beside a large weight, and so much that a product
/// does not order its other side's numbers often, which it does once each time.
const PANEL: usize = 1 << 22;

/// `Σ piece · W_pieceᵀ + bias + scale · low · Bᵀ`.
///
/// The inputs come in this order: the pieces `[rows, width]`, whose widths make up the layer's inputs; the weight
/// `[outputs, inputs]`; the bias `[outputs]`, if there is one; `low` `[rows, rank]` and B `[outputs, rank]`, if there is a pair.
#[derive(Clone, Debug)]
pub struct Projection {
    /// In how many pieces the layer's input comes.
    pub pieces: usize,
    /// Whether there is a bias.
    pub has_bias: bool,
    /// What the pair is multiplied by, if there is one.
    pub pair: Option<f32>,
}

/// What a projection is computed from.
#[derive(Clone, Copy)]
struct Parts<'a> {
    pieces: &'a [&'a Array],
    weight: &'a Array,
    bias: Option<&'a Array>,
    /// `low` and B.
    pair: Option<(&'a Array, &'a Array)>,
}

impl Projection {
    fn parts<'a>(&self, inputs: &'a [&'a Array]) -> Parts<'a> {
        let (pieces, rest) = inputs.split_at(self.pieces);
        let bias = self.has_bias.then(|| rest[1]);
        let pair = self.pair.map(|_| (rest[rest.len() - 2], rest[rest.len() - 1]));
        Parts { pieces, weight: rest[0], bias, pair }
    }
}

impl Parts<'_> {
    fn rows(&self) -> usize {
        self.pieces[0].shape()[0]
    }

    fn outputs(&self) -> usize {
        self.weight.shape()[0]
    }

    fn inputs(&self) -> usize {
        self.weight.shape()[1]
    }

    /// Every piece, and where in a row of the layer's inputs it begins.
    fn placed(&self) -> impl Iterator<Item = (usize, &Array)> {
        self.pieces.iter().scan(0, |end, piece| {
            *end += piece.width();
            Some((*end - piece.width(), *piece))
        })
    }

    /// Calls `with` for all rows of the weight: for all at once, or for as many as are widened to f32 at a time where they are in
    /// half precision.
    fn each_panel(&self, mut with: impl FnMut(Panel<'_>)) {
        let (outputs, inputs) = (self.outputs(), self.inputs());
        let (rows, widened) = match self.weight.is_half() {
            true => ((PANEL / inputs).clamp(1, outputs), inputs),
            false => (outputs, 0),
        };
        let mut place = vec![0.0; rows * widened];
        for first in (0..outputs).step_by(rows) {
            let count = rows.min(outputs - first);
            let values = self.weight.floats(first * inputs..(first + count) * inputs, &mut place);
            with(Panel { first, count, inputs, values });
        }
    }
}

/// Some rows of a weight, in f32.
#[derive(Clone, Copy)]
struct Panel<'a> {
    first: usize,
    count: usize,
    inputs: usize,
    values: &'a [f32],
}

impl<'a> Panel<'a> {
    /// Its columns for a piece of the input that begins there.
    fn columns(self, start: usize, width: usize) -> Matrix<'a> {
        Matrix::new(&self.values[start..], (self.count, width), self.inputs)
    }
}

fn whole(array: &Array) -> Matrix<'_> {
    let width = array.width();
    Matrix::new(array.values(), (array.shape()[0], width), width)
}

/// Some columns of a matrix.
fn columns(matrix: &Array, start: usize, count: usize) -> Matrix<'_> {
    Matrix::new(&matrix.values()[start..], (matrix.shape()[0], count), matrix.width())
}

/// A product whose rows lie one behind the other.
fn product(output: &mut [f32], left: Matrix<'_>, right: Matrix<'_>, scale: f32, adds: bool) {
    let stride = right.columns();
    product_at(output, stride, left, right, scale, adds);
}

fn product_at(output: &mut [f32], stride: usize, left: Matrix<'_>, right: Matrix<'_>, scale: f32, adds: bool) {
    let everywhere = left.rows() * left.columns() * right.columns() >= WORTH_ALL_THREADS;
    multiply(output, left, right, Written { stride, scale, adds, everywhere });
}

impl<const N: usize> Operation<N> for Projection {
    type Kept = ();

    /// The weight may: nothing of what a model knows has to be in memory twice as large as its file.
    fn takes_halves(&self, input: usize) -> bool {
        input == self.pieces
    }

    fn forward(&self, inputs: [&Array; N]) -> (Array, ()) {
        let parts = self.parts(&inputs);
        let (rows, outputs) = (parts.rows(), parts.outputs());
        let mut output = vec![0.0; rows * outputs];
        if let Some(bias) = parts.bias {
            let copy = |row: &mut [f32]| row.copy_from_slice(bias.values());
            by_rows(&mut output, outputs, |_, rows| rows.chunks_exact_mut(outputs).for_each(copy));
        }
        parts.each_panel(|panel| {
            let output = &mut output[panel.first..];
            for (start, piece) in parts.placed() {
                let weight = panel.columns(start, piece.width()).transposed();
                product_at(output, outputs, whole(piece), weight, 1.0, self.has_bias || start > 0);
            }
        });
        if let (Some((low, b)), Some(scale)) = (parts.pair, self.pair) {
            product(&mut output, whole(low), whole(b).transposed(), scale, true);
        }
        (Array::new(output, [rows, outputs]), ())
    }

    fn backward(&self, pass: BackwardPass<'_, (), N>) -> [Option<Array>; N] {
        let parts = self.parts(&pass.inputs);
        let (outputs, inputs) = (parts.outputs(), parts.inputs());
        let slopes = whole(pass.gradient);
        let product_of = |left: Matrix<'_>, right: Matrix<'_>, scale: f32| {
            let shape = [left.rows(), right.columns()];
            let mut result = vec![0.0; shape[0] * shape[1]];
            product(&mut result, left, right, scale, false);
            Some(Array::new(result, shape))
        };
        let mut results = [const { None }; N];
        for (index, (start, piece)) in parts.placed().enumerate().filter(|(index, _)| pass.wanted[*index]) {
            let mut gradient = vec![0.0; parts.rows() * piece.width()];
            parts.each_panel(|panel| {
                let slopes = columns(pass.gradient, panel.first, panel.count);
                product(&mut gradient, slopes, panel.columns(start, piece.width()), 1.0, panel.first > 0);
            });
            results[index] = Some(Array::new(gradient, [parts.rows(), piece.width()]));
        }
        let of_weight = self.pieces;
        if pass.wanted[of_weight] {
            let mut gradient = vec![0.0; outputs * inputs];
            for (start, piece) in parts.placed() {
                product_at(&mut gradient[start..], inputs, slopes.transposed(), whole(piece), 1.0, false);
            }
            results[of_weight] = Some(Array::new(gradient, [outputs, inputs]));
        }
        if self.has_bias && pass.wanted[of_weight + 1] {
            results[of_weight + 1] = Some(sums_of_columns(pass.gradient, outputs));
        }
        if let (Some((low, b)), Some(scale)) = (parts.pair, self.pair) {
            let (of_low, of_b) = (N - 2, N - 1);
            results[of_low] = pass.wanted[of_low].then(|| product_of(slopes, whole(b), scale)).flatten();
            results[of_b] = pass.wanted[of_b].then(|| product_of(slopes.transposed(), whole(low), scale)).flatten();
        }
        results
    }
}

fn sums_of_columns(array: &Array, width: usize) -> Array {
    let mut sums = vec![0.0; width];
    fast(|| {
        for row in array.values().chunks_exact(width) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
    });
    Array::new(sums, [width])
}

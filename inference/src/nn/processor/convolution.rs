//! Two-dimensional convolution as matrix products over some rows of the picture at a time: the pixels that go into them lie
//! side by side in the cache for the product, and never all in memory (Chetlur et al., "cuDNN", 2014, section 3).

use super::{
    Array, BackwardPass, Operation, by_pieces,
    lanes::{fast, sum},
    matrix::{Matrix, Written, multiply},
};

/// Numbers that lie side by side at once: half a megabyte, which a second cache holds.
const TILE: usize = 1 << 17;

/// `[batch, in, height, width]` with a weight `[out, in, kernel, kernel]` and, as a third input, a bias `[out]` if there is one.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// Step between outputs.
    pub stride: usize,
    /// Rows and columns of zeros on top and on the left.
    pub padding_start: usize,
    /// Rows and columns of zeros below and on the right.
    pub padding_end: usize,
}

/// The sizes of one convolution.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    inputs: usize,
    height: usize,
    width: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    rows: usize,
    columns: usize,
}

impl Sizes {
    fn of(convolution: &Convolution, input: &Array, weight: &Array) -> Self {
        let (&[_, inputs, height, width], &[outputs, _, kernel, _]) = (input.shape(), weight.shape()) else {
            unreachable!("invariant: a convolution is given tensors of four axes")
        };
        let Convolution { stride, padding_start, padding_end } = *convolution;
        let along = |length: usize| (length + padding_start + padding_end - kernel) / stride + 1;
        let (rows, columns) = (along(height), along(width));
        Self { inputs, height, width, outputs, kernel, stride, padding: padding_start, rows, columns }
    }

    /// Numbers that go into one output.
    fn depth(&self) -> usize {
        self.inputs * self.kernel * self.kernel
    }

    fn pixels_in(&self) -> usize {
        self.height * self.width
    }

    fn pixels_out(&self) -> usize {
        self.rows * self.columns
    }

    /// Whether the numbers lie side by side already.
    fn is_product(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0 && self.rows == self.height
    }

    /// Rows of the output that are computed at once.
    fn rows_at_once(&self) -> usize {
        (TILE / (self.depth() * self.columns)).clamp(1, self.rows)
    }

    /// Columns of the output, from one to before another, for which `shift` reaches a pixel, and the first such pixel.
    fn reach(&self, shift: usize) -> (usize, usize, usize) {
        let begin = self.padding.saturating_sub(shift).div_ceil(self.stride);
        let end = (self.width + self.padding).saturating_sub(shift).div_ceil(self.stride).min(self.columns);
        if begin < end { (begin, end, begin * self.stride + shift - self.padding) } else { (0, 0, 0) }
    }

    /// Row of the input that goes into a row of the output.
    fn row_in(&self, row: usize, shift: usize) -> Option<usize> {
        (row * self.stride + shift).checked_sub(self.padding).filter(|row| *row < self.height)
    }

    /// Lays `[depth, count · columns]` out: what goes into `count` rows of the output from `first` on.
    fn lay_out(&self, picture: &[f32], first: usize, count: usize, tile: &mut [f32]) {
        let kernel = self.kernel;
        by_pieces(&mut tile[..self.depth() * count * self.columns], count * self.columns, |place, line| {
            let (channel, shift) = (place / (kernel * kernel), place % (kernel * kernel));
            let plane = &picture[channel * self.pixels_in()..][..self.pixels_in()];
            let (begin, end, from) = self.reach(shift % kernel);
            for (row, target) in line.chunks_exact_mut(self.columns).enumerate() {
                let Some(source) = self.row_in(first + row, shift / kernel) else {
                    target.fill(0.0);
                    continue;
                };
                let source = &plane[source * self.width..][..self.width];
                target[..begin].fill(0.0);
                target[end..].fill(0.0);
                if self.stride == 1 {
                    target[begin..end].copy_from_slice(&source[from..from + end - begin]);
                } else {
                    let pixels = source[from..].iter().step_by(self.stride);
                    target[begin..end].iter_mut().zip(pixels).for_each(|(target, pixel)| *target = *pixel);
                }
            }
        });
    }

    /// Adds what [`Self::lay_out`] laid out back to where it came from.
    fn gather(&self, tile: &[f32], first: usize, count: usize, picture: &mut [f32]) {
        let (kernel, length) = (self.kernel, count * self.columns);
        by_pieces(picture, self.pixels_in(), |channel, plane| {
            fast(|| {
                for shift in 0..kernel * kernel {
                    let line = &tile[(channel * kernel * kernel + shift) * length..][..length];
                    let (begin, end, from) = self.reach(shift % kernel);
                    for (row, source) in line.chunks_exact(self.columns).enumerate() {
                        let Some(row) = self.row_in(first + row, shift / kernel) else { continue };
                        let target = &mut plane[row * self.width..(row + 1) * self.width][from..];
                        add_apart(target, &source[begin..end], self.stride);
                    }
                }
            });
        });
    }

    /// Calls `compute` with the first row, the number of rows and the laid out input of every tile of a picture.
    fn for_every_tile(&self, picture: &[f32], mut compute: impl FnMut(usize, usize, &[f32])) {
        if self.is_product() {
            return compute(0, self.rows, picture);
        }
        let at_once = self.rows_at_once();
        let mut tile = vec![0.0; self.depth() * at_once * self.columns];
        for first in (0..self.rows).step_by(at_once) {
            let count = at_once.min(self.rows - first);
            self.lay_out(picture, first, count, &mut tile);
            compute(first, count, &tile);
        }
    }
}

/// Adds numbers to every `stride`th one of others.
#[inline(always)]
fn add_apart(target: &mut [f32], source: &[f32], stride: usize) {
    if stride == 1 {
        return target.iter_mut().zip(source).for_each(|(target, value)| *target += value);
    }
    target.iter_mut().step_by(stride).zip(source).for_each(|(target, value)| *target += value);
}

impl Convolution {
    fn convolve(&self, input: &Array, weight: &Array, bias: Option<&Array>) -> Array {
        let sizes = Sizes::of(self, input, weight);
        let batch = input.shape()[0];
        let mut output = vec![0.0; batch * sizes.outputs * sizes.pixels_out()];
        let everywhere = batch == 1;
        let one = |entry: usize, output: &mut [f32]| {
            let picture =
                &input.values()[entry * sizes.inputs * sizes.pixels_in()..][..sizes.inputs * sizes.pixels_in()];
            if let Some(bias) = bias {
                let planes = output.chunks_exact_mut(sizes.pixels_out()).zip(bias.values());
                planes.for_each(|(plane, bias)| plane.fill(*bias));
            }
            sizes.for_every_tile(picture, |first, count, tile| {
                let columns = count * sizes.columns;
                multiply(
                    &mut output[first * sizes.columns..],
                    Matrix::new(weight.values(), (sizes.outputs, sizes.depth()), sizes.depth()),
                    Matrix::new(tile, (sizes.depth(), columns), columns),
                    Written { stride: sizes.pixels_out(), scale: 1.0, adds: bias.is_some(), everywhere },
                );
            });
        };
        for_every_entry(&mut output, batch, one);
        Array::new(output, [batch, sizes.outputs, sizes.rows, sizes.columns])
    }

    fn input_gradient(&self, input: &Array, weight: &Array, gradient: &Array) -> Array {
        let sizes = Sizes::of(self, input, weight);
        let batch = input.shape()[0];
        let mut result = vec![0.0; input.values().len()];
        let everywhere = batch == 1;
        let weights = Matrix::new(weight.values(), (sizes.outputs, sizes.depth()), sizes.depth()).transposed();
        let one = |entry: usize, picture: &mut [f32]| {
            let length = sizes.outputs * sizes.pixels_out();
            let gradient = &gradient.values()[entry * length..][..length];
            let product = |first: usize, columns: usize, tile: &mut [f32]| {
                let part = &gradient[first * sizes.columns..];
                let slopes = Matrix::new(part, (sizes.outputs, columns), sizes.pixels_out());
                multiply(tile, weights, slopes, Written { stride: columns, scale: 1.0, adds: false, everywhere });
            };
            if sizes.is_product() {
                return product(0, sizes.pixels_out(), picture);
            }
            let at_once = sizes.rows_at_once();
            let mut tile = vec![0.0; sizes.depth() * at_once * sizes.columns];
            for first in (0..sizes.rows).step_by(at_once) {
                let count = at_once.min(sizes.rows - first);
                product(first, count * sizes.columns, &mut tile);
                sizes.gather(&tile, first, count, picture);
            }
        };
        for_every_entry(&mut result, batch, one);
        Array::new(result, input.shape())
    }

    fn weight_gradient(&self, input: &Array, weight: &Array, gradient: &Array) -> Array {
        let sizes = Sizes::of(self, input, weight);
        let mut result = vec![0.0; weight.values().len()];
        let pictures = input.values().chunks_exact(sizes.inputs * sizes.pixels_in());
        for (picture, gradient) in pictures.zip(gradient.values().chunks_exact(sizes.outputs * sizes.pixels_out())) {
            sizes.for_every_tile(picture, |first, count, tile| {
                let columns = count * sizes.columns;
                let part = &gradient[first * sizes.columns..];
                multiply(
                    &mut result,
                    Matrix::new(part, (sizes.outputs, columns), sizes.pixels_out()),
                    Matrix::new(tile, (sizes.depth(), columns), columns).transposed(),
                    Written { stride: sizes.depth(), scale: 1.0, adds: true, everywhere: true },
                );
            });
        }
        Array::new(result, weight.shape())
    }
}

/// One entry of the batch a thread; a single one is computed here, and what it is made of on all threads.
fn for_every_entry(output: &mut [f32], batch: usize, compute: impl Fn(usize, &mut [f32]) + Sync) {
    if batch == 1 {
        return compute(0, output);
    }
    let length = output.len() / batch;
    by_pieces(output, length, compute);
}

/// Sums of every channel's gradient.
fn bias_gradient(gradient: &Array, bias: &Array) -> Array {
    let mut sums = vec![0.0; bias.values().len()];
    let pixels = gradient.shape()[2..].iter().product();
    for (place, plane) in gradient.values().chunks_exact(pixels).enumerate() {
        sums[place % bias.values().len()] += fast(|| sum(plane));
    }
    Array::new(sums, bias.shape())
}

impl Operation<2> for Convolution {
    type Kept = ();

    fn forward(&self, [input, weight]: [&Array; 2]) -> (Array, ()) {
        (self.convolve(input, weight, None), ())
    }

    fn backward(&self, pass: BackwardPass<'_, (), 2>) -> [Option<Array>; 2] {
        let [input, weight] = pass.inputs;
        [
            pass.wanted[0].then(|| self.input_gradient(input, weight, pass.gradient)),
            pass.wanted[1].then(|| self.weight_gradient(input, weight, pass.gradient)),
        ]
    }
}

impl Operation<3> for Convolution {
    type Kept = ();

    fn forward(&self, [input, weight, bias]: [&Array; 3]) -> (Array, ()) {
        (self.convolve(input, weight, Some(bias)), ())
    }

    fn backward(&self, pass: BackwardPass<'_, (), 3>) -> [Option<Array>; 3] {
        let [input, weight, bias] = pass.inputs;
        [
            pass.wanted[0].then(|| self.input_gradient(input, weight, pass.gradient)),
            pass.wanted[1].then(|| self.weight_gradient(input, weight, pass.gradient)),
            pass.wanted[2].then(|| bias_gradient(pass.gradient, bias)),
        ]
    }
}

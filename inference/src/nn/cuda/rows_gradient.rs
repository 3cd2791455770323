//! Gradients of normalisations and gates, each in one pass, and sums over rows.

use burn::tensor::{Shape, TensorMetadata};

use super::{
    OnCard,
    arguments::Arguments,
    gradients::Card,
    lane::{Failure, Lane},
    operation::{Computation, Numbers, compute},
    products::{Matrix, Multiplied, Sides},
    rows::{AT_ONCE, THREADS, launch_of},
};

const SOURCE: &str = concat!(include_str!("eight.cu"), include_str!("rows_gradient.cu"));

/// One of the kernels, and what it is told beside its tensors, the last of which is the gradient.
#[derive(Clone, Copy, Debug)]
pub(super) enum RowsGradient {
    /// Of input and scale; the second output is what the sums over tokens are the scale's gradient of.
    LayerNorm { epsilon: f32 },
    /// Of input and weight; the second output as above.
    RmsNorm { epsilon: f32 },
    /// Of gate and value.
    Gated { is_gelu: bool },
    /// A stream times a row of each entry.
    Scaled,
    /// A stream times a stream.
    Product,
}

impl RowsGradient {
    /// Begins the kernel, whose outputs are all of the first input's shape.
    pub fn of(self, inputs: Vec<OnCard>, outputs: usize) -> Vec<OnCard> {
        let shape = inputs[0].shape();
        compute(self, inputs, vec![shape; outputs])
    }
}

impl Computation for RowsGradient {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let ([input, others @ ..], [output, more @ ..]) = (inputs, outputs) else {
            unreachable!("invariant: there is an input and an output")
        };
        let second = more.first().map_or(0, |output| output.address);
        let width = input.shape[input.shape.len() - 1];
        let by_tokens = || [input.shape[1], input.shape[0], 1];
        let arguments = Arguments::default();
        match (self, others) {
            (Self::LayerNorm { epsilon }, [scale, gradient]) => {
                let arguments = arguments.stream(input).row_of_entry(scale).stream(gradient).address(output).at(second);
                let arguments = arguments.narrow(width).float(*epsilon);
                launch_of(SOURCE, lane, "layer_norm_gradient", by_tokens(), width, arguments)
            }
            (Self::RmsNorm { epsilon }, [weight, gradient]) => {
                let (rows, warps) = (input.shape[0], THREADS / 32);
                let arguments = arguments.address(input).wide(input.strides[0]).address(weight).address(gradient);
                let arguments = arguments.wide(gradient.strides[0]).address(output).at(second);
                let arguments = arguments.narrow(rows).narrow(width).float(*epsilon);
                let grid = [rows.div_ceil(warps), 1, 1];
                launch_of(SOURCE, lane, "rms_norm_gradient", grid, THREADS * AT_ONCE, arguments)
            }
            (Self::Gated { is_gelu }, [value, gradient]) => {
                let arguments = arguments.stream(input).stream(value).stream(gradient).address(output).at(second);
                let arguments = arguments.narrow(width).narrow(usize::from(*is_gelu));
                launch_of(SOURCE, lane, "gated_gradient", by_tokens(), width, arguments)
            }
            (Self::Scaled, [factor]) => {
                let arguments = arguments.stream(input).row_of_entry(factor).address(output).narrow(width);
                launch_of(SOURCE, lane, "scaled", by_tokens(), width, arguments)
            }
            (Self::Product, [other]) => {
                let arguments = arguments.stream(input).stream(other).address(output).narrow(width);
                launch_of(SOURCE, lane, "product", by_tokens(), width, arguments)
            }
            _ => unreachable!("invariant: every kernel is given the tensors that it takes"),
        }
    }
}

/// The sums over all rows that one row of `like` was used for: of each entry of a batch, or of all of them.
pub(super) fn sums_of_rows<C: Card>(products: OnCard, like: &OnCard) -> OnCard {
    let (shape, wanted) = (products.shape(), like.shape());
    let width = shape[shape.num_dims() - 1];
    let entries = wanted.num_elements() / width;
    let rows = shape.num_elements() / width / entries;
    let ones = C::float_ones(Shape::new([1, rows]), &products.device.clone(), products.dtype.into());
    let sums = compute(SumsOfRows { entries }, vec![products, ones], [Shape::new([entries, width])]).remove(0);
    C::float_reshape(sums, wanted)
}

/// Sums over rows, as a product with a row of ones, which is the second input.
#[derive(Debug)]
struct SumsOfRows {
    entries: usize,
}

impl Computation for SumsOfRows {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let ([products, ones], [sums]) = (inputs, outputs) else {
            unreachable!("invariant: there are two inputs and one output")
        };
        let (rows, width) = (ones.shape[1], sums.shape[1]);
        for entry in 0..self.entries {
            let at = |numbers: &Numbers, rows: usize| Matrix {
                address: numbers.address + (entry * rows * width * numbers.precision.size()) as u64,
                stride: width,
            };
            let left = Matrix { address: ones.address, stride: rows };
            let multiplied = Multiplied {
                size: [1, width, rows],
                precision: products.precision,
                scale: 1.0,
                onto: None,
                sides: Sides::AsTheyAre,
                batch: None,
            };
            multiplied.begin(lane, (left, at(products, rows), at(sums, 1)), None)?;
        }
        Ok(())
    }

    fn wants_whole_inputs(&self) -> bool {
        true
    }
}

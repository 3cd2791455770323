//! Linear layers with gradients.

use burn::tensor::{DType, Shape, Tensor, TensorMetadata, backend::Backend};

use super::{
    super::{
        lane,
        operation::compute,
        products::{MULTIPLE, Onto, Part, Place, Product, Products, Sides, one_onto_the_other},
    },
    BackwardPass, Card, OnCard, Operation, is_tracked, plain, run,
};
use crate::nn::{linear::Projected, norm::in_precision_of};

/// An output of a linear layer: of pieces of the input, the weight, perhaps a bias, and perhaps the low side and the high matrix of a
/// pair, in this order.
#[derive(Clone, Debug)]
struct Projection {
    pieces: usize,
    has_bias: bool,
    /// The pair's.
    scale: Option<f32>,
}

/// `[rows, out]`, computed in the precision of the pieces.
pub fn project<B: Backend>(from: &Projected<B>) -> Option<Tensor<B, 2>> {
    if !is_tracked::<B>() {
        return None;
    }
    let first = from.pieces.first()?;
    let rank = from.pair.as_ref().map(|pair| pair.low.dims()[1]);
    let widths = from.pieces.iter().map(|piece| piece.dims()[1]).chain([from.weight.dims()[0]]).chain(rank);
    let is_known = matches!(first.dtype(), DType::BF16 | DType::F32);
    if !is_known || !widths.into_iter().all(|width| width.is_multiple_of(MULTIPLE)) {
        return None;
    }
    if !lane::is_there(plain(first)?.device.index) {
        return None;
    }
    let matrix = |tensor: &Tensor<B, 2>| in_precision_of(tensor.clone(), first).into_primitive().tensor();
    let mut inputs: Vec<B::FloatTensorPrimitive> = from.pieces.iter().map(matrix).collect();
    inputs.push(matrix(&from.weight));
    inputs.extend(from.bias.iter().map(|bias| in_precision_of(bias.clone(), first).into_primitive().tensor()));
    inputs.extend(from.pair.iter().flat_map(|pair| [matrix(&pair.low), matrix(&pair.b)]));
    let operation = Projection {
        pieces: from.pieces.len(),
        has_bias: from.bias.is_some(),
        scale: from.pair.as_ref().map(|pair| pair.scale as f32),
    };
    fn of<B: Backend, const N: usize>(
        operation: Projection,
        inputs: Vec<B::FloatTensorPrimitive>,
    ) -> Option<Tensor<B, 2>> {
        run::<B, _, 2, N>(operation, inputs.try_into().ok()?)
    }
    match inputs.len() {
        2 => of::<B, 2>(operation, inputs),
        3 => of::<B, 3>(operation, inputs),
        4 => of::<B, 4>(operation, inputs),
        5 => of::<B, 5>(operation, inputs),
        6 => of::<B, 6>(operation, inputs),
        _ => None,
    }
}

impl<const N: usize> Operation<N> for Projection {
    fn forward(&self, inputs: [OnCard; N]) -> (OnCard, Vec<OnCard>) {
        let (rows, outputs) = (inputs[0].shape()[0], inputs[self.pieces].shape()[0]);
        let product = |left: usize, right: Part, sum: usize| Product {
            left: Part::whole(Place::Input(left)),
            right,
            sides: Sides::RightTransposed,
            to: Part::whole(Place::Output(0)),
            size: [rows, outputs, sum],
            scale: 1.0,
            bias: None,
            factors: None,
            onto: Onto::Nothing,
        };
        let of_pair = self.scale.map(|scale| {
            let low = self.low();
            let high = Part::whole(Place::Input(low + 1));
            Product { scale, ..product(low, high, inputs[low].shape()[1]) }
        });
        let of_pieces = self.columns(&inputs).into_iter().map(|(piece, column, width)| {
            let right = Part { place: Place::Input(self.pieces), column };
            let bias = (self.has_bias && piece == 0).then_some(self.pieces + 1);
            Product { bias, ..product(piece, right, width) }
        });
        let products = one_onto_the_other(of_pair.into_iter().chain(of_pieces).collect(), Onto::Nothing);
        let output = compute(Products(products), inputs.into(), [Shape::new([rows, outputs])]);
        (only(output), Vec::new())
    }

    fn backward<C: Card>(&self, pass: BackwardPass<N>) -> [Option<OnCard>; N] {
        let BackwardPass { inputs, gradient, wanted, .. } = pass;
        let (weight, low) = (self.pieces, self.low());
        let columns = self.columns(&inputs);
        let of_input = |input: usize| {
            if input < weight {
                let (_, column, width) = columns[input];
                of_side(&gradient, &inputs[weight], (column, width), 1.0)
            } else if input == weight {
                of_matrix(&gradient, &inputs[..weight], 1.0)
            } else if input < low {
                C::float_reshape(C::float_sum_dim(gradient.clone(), 0), inputs[input].shape())
            } else if input == low {
                let rank = inputs[low].shape()[1];
                of_side(&gradient, &inputs[low + 1], (0, rank), self.scale.unwrap_or(1.0))
            } else {
                of_matrix(&gradient, &inputs[low..=low], self.scale.unwrap_or(1.0))
            }
        };
        std::array::from_fn(|input| wanted[input].then(|| of_input(input)))
    }
}

impl Projection {
    /// Where the pair's low side lies among the inputs.
    fn low(&self) -> usize {
        self.pieces + 1 + usize::from(self.has_bias)
    }

    /// Each piece with its first column among the weight's, and its width.
    fn columns(&self, inputs: &[OnCard]) -> Vec<(usize, usize, usize)> {
        let mut next = 0;
        let of = |(piece, input): (usize, &OnCard)| {
            let (column, width) = (next, input.shape()[1]);
            next += width;
            (piece, column, width)
        };
        inputs[..self.pieces].iter().enumerate().map(of).collect()
    }
}

/// The gradient of what was multiplied by some columns of a matrix, transposed: `scale · gradient · columns`.
fn of_side(gradient: &OnCard, matrix: &OnCard, (column, width): (usize, usize), scale: f32) -> OnCard {
    let (rows, outputs) = (gradient.shape()[0], gradient.shape()[1]);
    let product = Product {
        left: Part::whole(Place::Input(0)),
        right: Part { place: Place::Input(1), column },
        sides: Sides::AsTheyAre,
        to: Part::whole(Place::Output(0)),
        size: [rows, width, outputs],
        scale,
        bias: None,
        factors: None,
        onto: Onto::Nothing,
    };
    let inputs = vec![gradient.clone(), matrix.clone()];
    only(compute(Products(vec![product]), inputs, [Shape::new([rows, width])]))
}

/// The gradient of the matrix that pieces were multiplied by, transposed: `scale · gradientᵀ · piece`, side by side.
fn of_matrix(gradient: &OnCard, pieces: &[OnCard], scale: f32) -> OnCard {
    let (rows, outputs) = (gradient.shape()[0], gradient.shape()[1]);
    let (mut products, mut column) = (Vec::new(), 0);
    for (number, piece) in pieces.iter().enumerate() {
        let width = piece.shape()[1];
        products.push(Product {
            left: Part::whole(Place::Input(0)),
            right: Part::whole(Place::Input(number + 1)),
            sides: Sides::LeftTransposed,
            to: Part { place: Place::Output(0), column },
            size: [outputs, width, rows],
            scale,
            bias: None,
            factors: None,
            onto: Onto::Nothing,
        });
        column += width;
    }
    let inputs = [std::slice::from_ref(gradient), pieces].concat();
    only(compute(Products(products), inputs, [Shape::new([outputs, column])]))
}

fn only(outputs: Vec<OnCard>) -> OnCard {
    outputs.into_iter().next().expect("invariant: as many as are asked for")
}

//! Linear layers and their low-rank pairs as products of matrices.

use burn::tensor::{Shape, Tensor, backend::Backend};

use super::{
    Fp8Weight, OnCard, columns, from_card, lane, on_card_alike, on_card_in,
    operation::compute,
    products::{MULTIPLE, Onto, Part, Place, Product, Products, Sides, one_onto_the_other},
};
use crate::nn::linear::Linear;

/// A linear layer of an input in pieces `[rows, width]`, whose widths make up its `in`, with outputs `[rows, width]`, whose widths
/// make up its `out`: `cut(pieces · Wᵀ + b + Σ scale · (pieces · Aᵀ) · Bᵀ)`. The outputs lie beside each other.
pub fn project<B: Backend>(layer: &Linear<B>, pieces: &[Tensor<B, 2>], widths: &[usize]) -> Option<Vec<Tensor<B, 2>>> {
    if !widths.iter().all(|width| width.is_multiple_of(MULTIPLE)) {
        return None;
    }
    cut(&run(&[layer], pieces, None)?, widths)
}

/// Linear layers of one input, whose outputs `[rows, out]` lie beside each other. Where their weights do, too, and have no biases, it is
/// one product.
pub fn project_beside<B: Backend>(layers: &[&Linear<B>], input: &Tensor<B, 2>) -> Option<Vec<Tensor<B, 2>>> {
    let widths: Vec<usize> = layers.iter().map(|layer| layer.features().1).collect();
    cut(&run(layers, std::slice::from_ref(input), None)?, &widths)
}

/// A stream plus what a linear layer makes of an input.
pub fn project_onto<B: Backend>(
    layer: &Linear<B>,
    input: &Tensor<B, 2>,
    stream: &Tensor<B, 2>,
) -> Option<Tensor<B, 2>> {
    from_card(run(&[layer], std::slice::from_ref(input), Some(stream))?)
}

/// The columns of a matrix as matrices of so many columns each.
fn cut<B: Backend>(matrix: &OnCard, widths: &[usize]) -> Option<Vec<Tensor<B, 2>>> {
    let mut first = 0;
    let part = |width: &usize| {
        first += width;
        from_card(columns(matrix, first - width, *width))
    };
    widths.iter().map(part).collect()
}

fn run<B: Backend>(layers: &[&Linear<B>], pieces: &[Tensor<B, 2>], stream: Option<&Tensor<B, 2>>) -> Option<OnCard> {
    let mut inputs = on_card_alike(pieces)?;
    let first = inputs.first()?;
    let (card, precision) = (first.device.index, first.dtype);
    let add = |inputs: &mut Vec<OnCard>, tensor: OnCard| {
        inputs.push(tensor);
        inputs.len() - 1
    };
    let mut parts = Vec::with_capacity(layers.len());
    for layer in layers {
        let (weight, factors) = match &layer.fp8 {
            Some(Fp8Weight { numbers, factors }) => {
                (add(&mut inputs, numbers.clone()), Some(add(&mut inputs, factors.clone())))
            }
            None => (add(&mut inputs, on_card_in(&layer.weight.val(), precision)?), None),
        };
        let bias = match &layer.bias {
            Some(bias) => Some(add(&mut inputs, on_card_in(&bias.val(), precision)?)),
            None => None,
        };
        let mut pairs = Vec::with_capacity(layer.adapters.len());
        for pair in &layer.adapters {
            let (rank, scale) = (pair.a.dims()[0], pair.scale as f32);
            let a = add(&mut inputs, on_card_in(&pair.a.val(), precision)?);
            let b = add(&mut inputs, on_card_in(&pair.b.val(), precision)?);
            pairs.push(Pair { a, b, rank, scale });
        }
        parts.push(Layer { width: layer.features().1, weight, factors, bias, pairs });
    }
    let onto = match stream {
        Some(stream) => Some(add(&mut inputs, on_card_in(stream, precision)?)),
        None => None,
    };
    let rows = pieces.first()?.dims()[0];
    let layout = Layout { rows, sums: pieces.iter().map(|piece| piece.dims()[1]).collect(), layers: parts, onto };
    if !layout.numbers().all(|number| number.is_multiple_of(MULTIPLE)) || !lane::is_there(card) {
        return None;
    }
    let outputs: Vec<Shape> = layout.outputs().map(|width| Shape::new([rows, width])).collect();
    compute(Products(layout.products()), inputs, outputs).into_iter().next()
}

/// The sizes of layers, and where their tensors lie among the inputs. The first output is what the layers make of the input, beside
/// each other, and the others what each pair makes of it.
struct Layout {
    rows: usize,
    /// Widths of the pieces of the input.
    sums: Vec<usize>,
    layers: Vec<Layer>,
    /// What the output is added to.
    onto: Option<usize>,
}

struct Layer {
    width: usize,
    weight: usize,
    /// Of the weight's rows, where it is of eight bits.
    factors: Option<usize>,
    bias: Option<usize>,
    pairs: Vec<Pair>,
}

struct Pair {
    a: usize,
    b: usize,
    rank: usize,
    scale: f32,
}

impl Layout {
    fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.layers.iter().flat_map(|layer| &layer.pairs)
    }

    /// Widths of the outputs.
    fn outputs(&self) -> impl Iterator<Item = usize> {
        let beside = self.layers.iter().map(|layer| layer.width).sum();
        [beside].into_iter().chain(self.pairs().map(|pair| pair.rank))
    }

    /// Everything that has to be a multiple of [`MULTIPLE`].
    fn numbers(&self) -> impl Iterator<Item = usize> {
        let widths = self.layers.iter().map(|layer| layer.width);
        self.sums.iter().copied().chain(widths).chain(self.pairs().map(|pair| pair.rank))
    }

    /// The pairs' products come first, which are small numbers, and the weights' are added to them.
    fn products(&self) -> Vec<Product> {
        let mut products = Vec::new();
        for (number, pair) in self.pairs().enumerate() {
            let to = Part::whole(Place::Output(1 + number));
            products.extend(one_onto_the_other(self.of_pieces(pair.a, (to, pair.rank)), Onto::Nothing));
        }
        let (mut of_pairs, mut of_weights) = (Vec::new(), Vec::new());
        let (mut column, mut low) = (0, 1);
        for layer in &self.layers {
            let to = Part { place: Place::Output(0), column };
            let of_layer = layer.pairs.iter().enumerate().map(|(number, pair)| Product {
                left: Part::whole(Place::Output(low + number)),
                right: Part::whole(Place::Input(pair.b)),
                sides: Sides::RightTransposed,
                to,
                size: [self.rows, layer.width, pair.rank],
                scale: pair.scale,
                bias: None,
                factors: None,
                onto: Onto::Nothing,
            });
            let mut of_layer: Vec<Product> = of_layer.collect();
            let mut of_weight = self.of_pieces(layer.weight, (to, layer.width));
            of_weight[0].bias = layer.bias;
            of_weight.iter_mut().for_each(|product| product.factors = layer.factors);
            of_layer.append(&mut of_weight);
            let stream = |stream| Onto::Other(Part { place: Place::Input(stream), column });
            let mut of_layer = one_onto_the_other(of_layer, self.onto.map_or(Onto::Nothing, stream));
            of_weights.extend(of_layer.split_off(layer.pairs.len()));
            of_pairs.append(&mut of_layer);
            column += layer.width;
            low += layer.pairs.len();
        }
        products.append(&mut of_pairs);
        products.append(&mut of_weights);
        products
    }

    /// All pieces times a matrix.
    fn of_pieces(&self, matrix: usize, (to, width): (Part, usize)) -> Vec<Product> {
        let mut column = 0;
        let of_piece = |(index, sum): (usize, usize)| {
            let right = Part { place: Place::Input(matrix), column };
            column += sum;
            Product {
                left: Part::whole(Place::Input(index)),
                right,
                sides: Sides::RightTransposed,
                to,
                size: [self.rows, width, sum],
                scale: 1.0,
                bias: None,
                factors: None,
                onto: Onto::Nothing,
            }
        };
        self.sums.iter().copied().enumerate().map(of_piece).collect()
    }
}

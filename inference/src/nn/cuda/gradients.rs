//! Gradients of what is computed on the card's lane, so that a training on a card has NVIDIA's own products and no scores in memory
//! as well.

use std::{fmt::Debug, marker::PhantomData};

use burn::{
    backend::{
        Autodiff, Cuda,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
    },
    tensor::{
        DType, Shape, Tensor, TensorMetadata, TensorPrimitive,
        backend::{Backend, BackendTypes},
    },
};
use half::bf16;

use super::{
    OnCard, attention as kernels, lane,
    operation::compute,
    products::{MULTIPLE, Part, Place, Product, Products, Sides},
    rows,
};
use crate::nn::{norm::in_precision_of, processor::as_kind};

/// A tensor of the card's that remembers what it was computed from.
type Tracked<C> = <Autodiff<C> as BackendTypes>::FloatTensorPrimitive;

/// burn's backend of cards, in one of the precisions that models are in.
trait Card: Backend<FloatTensorPrimitive = OnCard> {}

impl Card for Cuda<f32> {}
impl Card for Cuda<bf16> {}

/// An operation of `N` inputs with one output.
trait Operation<const N: usize>: Clone + Debug + Send + 'static {
    /// The output, and what the gradient needs beside it and the inputs.
    fn forward(&self, inputs: [OnCard; N]) -> (OnCard, Vec<OnCard>);

    /// Gradients of the inputs that are wanted.
    fn backward<C: Card>(&self, pass: BackwardPass<N>) -> [Option<OnCard>; N];
}

/// What a gradient is computed from.
struct BackwardPass<const N: usize> {
    inputs: [OnCard; N],
    output: OnCard,
    kept: Vec<OnCard>,
    /// Of the output.
    gradient: OnCard,
    wanted: [bool; N],
}

/// The gradient of an operation, as burn calls it.
#[derive(Debug)]
struct Gradient<O>(PhantomData<fn() -> O>);

/// What an operation and its gradient share.
#[derive(Clone, Debug)]
struct Memory<O, const N: usize> {
    operation: O,
    inputs: [OnCard; N],
    output: OnCard,
    kept: Vec<OnCard>,
}

impl<C: Card, O: Operation<N>, const N: usize> Backward<C, N> for Gradient<O> {
    type State = Memory<O, N>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<C>(&ops.node);
        let Memory { operation, inputs, output, kept } = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let results = operation.backward::<C>(BackwardPass { inputs, output, kept, gradient, wanted });
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let (Some(parent), Some(result)) = (parent, result) {
                gradients.register::<C>(parent.id, result);
            }
        }
    }
}

/// Computes the operation and remembers it where an input's gradient will be asked for.
fn remember<C: Card, O: Operation<N>, const N: usize>(operation: O, inputs: [Tracked<C>; N]) -> Tracked<C> {
    let plain = inputs.each_ref().map(|input| input.primitive.clone());
    let (output, kept) = operation.forward(plain.clone());
    let nodes = inputs.each_ref().map(|input| input.node.clone());
    let gradient = Gradient::<O>(PhantomData);
    match Backward::<C, N>::prepare::<NoCheckpointing>(gradient, nodes).compute_bound().stateful() {
        OpsKind::Tracked(tracked) => {
            let memory = Memory { operation, inputs: plain, output: output.clone(), kept };
            tracked.finish(memory, output)
        }
        OpsKind::UnTracked(untracked) => untracked.finish(output),
    }
}

/// Whether this is a card's backend with gradients.
fn is_tracked<B: Backend>() -> bool {
    use std::any::TypeId;
    let kind = TypeId::of::<B::FloatTensorPrimitive>();
    kind == TypeId::of::<Tracked<Cuda<f32>>>() || kind == TypeId::of::<Tracked<Cuda<bf16>>>()
}

/// The tensor without what it remembers.
fn plain<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> Option<OnCard> {
    let primitive = tensor.clone().into_primitive().tensor();
    match as_kind::<_, Tracked<Cuda<f32>>>(primitive) {
        Ok(tracked) => Some(tracked.primitive),
        Err(primitive) => Some(as_kind::<_, Tracked<Cuda<bf16>>>(primitive).ok()?.primitive),
    }
}

/// Computes the operation on a card's backend with gradients.
fn run<B: Backend, O: Operation<N>, const D: usize, const N: usize>(
    operation: O,
    inputs: [B::FloatTensorPrimitive; N],
) -> Option<Tensor<B, D>> {
    let output = match as_kind::<_, [Tracked<Cuda<f32>>; N]>(inputs) {
        Ok(tracked) => as_kind(remember::<Cuda<f32>, O, N>(operation, tracked)).ok()?,
        Err(inputs) => {
            let tracked = as_kind::<_, [Tracked<Cuda<bf16>>; N]>(inputs).ok()?;
            as_kind(remember::<Cuda<bf16>, O, N>(operation, tracked)).ok()?
        }
    };
    Some(Tensor::from_primitive(TensorPrimitive::Float(output)))
}

/// Attention of bf16 numbers, with a gradient that computes the scores once more.
#[derive(Clone, Debug)]
struct Attention {
    heads: usize,
}

impl Operation<3> for Attention {
    fn forward(&self, inputs: [OnCard; 3]) -> (OnCard, Vec<OnCard>) {
        let [output, sums] = kernels::forward(inputs, self.heads);
        (output, vec![sums])
    }

    fn backward<C: Card>(&self, pass: BackwardPass<3>) -> [Option<OnCard>; 3] {
        let ([query, key, value], [sums]) = (pass.inputs, pass.kept.try_into().expect("invariant: the sums are kept"));
        kernels::gradients([query, key, value, pass.output, sums, pass.gradient], self.heads).map(Some)
    }
}

/// `[batch, queries, heads · width]` attends to `[batch, keys, heads · width]`, where gradients are asked for → the queries' shape.
pub fn attention<B: Backend>(
    query: &Tensor<B, 3>,
    key: &Tensor<B, 3>,
    value: &Tensor<B, 3>,
    heads: usize,
) -> Option<Tensor<B, 3>> {
    if !is_tracked::<B>() || [query, key, value].iter().any(|input| input.dtype() != DType::BF16) {
        return None;
    }
    if !kernels::has_gradient(&plain(query)?, heads) {
        return None;
    }
    let inputs = [query, key, value].map(|input| input.clone().into_primitive().tensor());
    run::<B, _, 3, 3>(Attention { heads }, inputs)
}

/// A rotation of pairs of bf16 numbers, which its gradient turns back.
#[derive(Clone, Debug)]
struct Turn {
    cosines: OnCard,
    sines: OnCard,
    halves: bool,
}

impl Operation<1> for Turn {
    fn forward(&self, [input]: [OnCard; 1]) -> (OnCard, Vec<OnCard>) {
        (rows::turned(input, self.cosines.clone(), self.sines.clone(), self.halves), Vec::new())
    }

    fn backward<C: Card>(&self, pass: BackwardPass<1>) -> [Option<OnCard>; 1] {
        let back = C::float_neg(self.sines.clone());
        [Some(rows::turned(pass.gradient, self.cosines.clone(), back, self.halves))]
    }
}

/// `[batch, tokens, heads · width]`, turned by cosines and sines `[1, tokens, 1, width]` of f32, where gradients are asked for.
pub fn turn<B: Backend>(
    input: &Tensor<B, 3>,
    cosines: &Tensor<B, 4>,
    sines: &Tensor<B, 4>,
    halves: bool,
) -> Option<Tensor<B, 3>> {
    if !is_tracked::<B>() || input.dtype() != DType::BF16 || !(cosines.dims()[3] / 2).is_multiple_of(MULTIPLE) {
        return None;
    }
    if !lane::is_there(plain(input)?.device.index) {
        return None;
    }
    let operation = Turn { cosines: plain(cosines)?, sines: plain(sines)?, halves };
    run::<B, _, 3, 1>(operation, [input.clone().into_primitive().tensor()])
}

/// An output of a linear layer: of pieces of the input, the weight, perhaps a bias, and perhaps the low side and the high matrix of a
/// pair, in this order.
#[derive(Clone, Debug)]
struct Projection {
    pieces: usize,
    has_bias: bool,
    /// The pair's.
    scale: Option<f32>,
}

/// What is wanted of an output of a linear layer where gradients are asked for.
pub struct Projected<'a, B: Backend> {
    /// `[rows, width]`, whose widths make up the weight's `in`.
    pub pieces: &'a [Tensor<B, 2>],
    /// `[out, in]`.
    pub weight: &'a Tensor<B, 2>,
    /// `[out]`.
    pub bias: Option<&'a Tensor<B, 1>>,
    /// `[rows, rank]`, `[out, rank]`, and what their product is multiplied by.
    pub pair: Option<(&'a Tensor<B, 2>, &'a Tensor<B, 2>, f64)>,
}

/// `[rows, out]`, computed in the precision of the pieces.
pub fn project<B: Backend>(from: &Projected<'_, B>) -> Option<Tensor<B, 2>> {
    if !is_tracked::<B>() {
        return None;
    }
    let first = from.pieces.first()?;
    let rank = from.pair.map(|(low, ..)| low.dims()[1]);
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
    inputs.push(matrix(from.weight));
    inputs.extend(from.bias.map(|bias| in_precision_of(bias.clone(), first).into_primitive().tensor()));
    inputs.extend(from.pair.into_iter().flat_map(|(low, high, _)| [matrix(low), matrix(high)]));
    let operation = Projection {
        pieces: from.pieces.len(),
        has_bias: from.bias.is_some(),
        scale: from.pair.map(|(.., scale)| scale as f32),
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
            is_added: true,
        };
        let mut products = Vec::new();
        for (piece, column, width) in self.columns(&inputs) {
            let right = Part { place: Place::Input(self.pieces), row: 0, column };
            let bias = (self.has_bias && piece == 0).then_some((self.pieces + 1, 0));
            products.push(Product { bias, is_added: piece > 0, ..product(piece, right, width) });
        }
        if let Some(scale) = self.scale {
            let low = self.low();
            let high = Part::whole(Place::Input(low + 1));
            products.push(Product { scale, ..product(low, high, inputs[low].shape()[1]) });
        }
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
        right: Part { place: Place::Input(1), row: 0, column },
        sides: Sides::AsTheyAre,
        to: Part::whole(Place::Output(0)),
        size: [rows, width, outputs],
        scale,
        bias: None,
        is_added: false,
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
            to: Part { place: Place::Output(0), row: 0, column },
            size: [outputs, width, rows],
            scale,
            bias: None,
            is_added: false,
        });
        column += width;
    }
    let inputs = [std::slice::from_ref(gradient), pieces].concat();
    only(compute(Products(products), inputs, [Shape::new([outputs, column])]))
}

fn only(outputs: Vec<OnCard>) -> OnCard {
    outputs.into_iter().next().expect("invariant: as many as are asked for")
}

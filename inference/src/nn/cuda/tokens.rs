//! Streams of tokens that are moved and not computed with.

use burn::tensor::{Shape, Tensor, TensorMetadata, backend::Backend};

use super::{
    OnCard,
    arguments::Arguments,
    from_card,
    lane::{Failure, Lane},
    on_card,
    operation::{Computation, Numbers, compute},
    rows::{is_known, launch_of},
    some_rows,
};

const SOURCE: &str = concat!(include_str!("eight.cu"), include_str!("tokens.cu"));

/// What is made of streams `[batch, tokens, width]`.
#[derive(Clone, Copy, Debug)]
enum Tokens {
    /// The tokens of the second after those of the first.
    Joined,
    /// Those from one on.
    Some { first: usize },
    /// Each head of so many numbers as often as it fits.
    RepeatedHeads { head: usize, times: usize },
}

/// The tokens of two streams, one after the other.
pub fn joined<B: Backend>(first: &Tensor<B, 3>, second: &Tensor<B, 3>) -> Option<Tensor<B, 3>> {
    let inputs = vec![on_card(first)?, on_card(second)?];
    let ([batch, tokens, width], [other, more, wide]) = (first.dims(), second.dims());
    let is_fit = (batch, width) == (other, wide) && is_known(inputs[0].device.index, &[width]);
    if !is_fit {
        return None;
    }
    from_card(compute(Tokens::Joined, inputs, [Shape::new([batch, tokens + more, width])]).remove(0))
}

/// So many tokens of a stream, from one on: where they lie, if they lie together.
pub fn some_tokens<B: Backend>(stream: &Tensor<B, 3>, first: usize, count: usize) -> Option<Tensor<B, 3>> {
    let input = on_card(stream)?;
    let [batch, tokens, width] = stream.dims();
    if !is_known(input.device.index, &[width]) {
        return None;
    }
    from_card(if batch == 1 && lies_whole(&input) {
        let rows = OnCard::new_contiguous(
            input.client.clone(),
            input.device.clone(),
            Shape::new([tokens, 1, width]),
            input.handle.clone(),
            input.dtype,
        );
        let part = some_rows(&rows, first, count);
        OnCard::new_contiguous(part.client, part.device, Shape::new([1, count, width]), part.handle, part.dtype)
    } else {
        compute(Tokens::Some { first }, vec![input], [Shape::new([batch, count, width])]).remove(0)
    })
}

/// Each head of a stream of so many heads, several times: `[batch, tokens, heads · width]` → `[batch, tokens, heads · times · width]`.
pub fn repeated_heads<B: Backend>(stream: &Tensor<B, 3>, heads: usize, times: usize) -> Option<Tensor<B, 3>> {
    let input = on_card(stream)?;
    let [batch, tokens, features] = stream.dims();
    let head = features / heads;
    if !is_known(input.device.index, &[head]) {
        return None;
    }
    let shape = Shape::new([batch, tokens, features * times]);
    from_card(compute(Tokens::RepeatedHeads { head, times }, vec![input], [shape]).remove(0))
}

fn lies_whole(stream: &OnCard) -> bool {
    let [_, _, width] = stream.shape().dims();
    stream.meta.strides()[1..] == [width, 1]
}

impl Computation for Tokens {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let ([input, others @ ..], [output]) = (inputs, outputs) else {
            unreachable!("invariant: there is an input and one output")
        };
        let (grid, width) = ([output.shape[1], output.shape[0], 1], output.shape[2]);
        let at = |numbers: &Numbers, token: usize| {
            numbers.address + (token * numbers.strides[1] * numbers.precision.size()) as u64
        };
        match (self, others) {
            (Self::Joined, [other]) => {
                copy(lane, input, (at(output, 0), output))?;
                copy(lane, other, (at(output, input.shape[1]), output))
            }
            (Self::Some { first }, []) => {
                let part = Numbers { address: at(input, *first), shape: output.shape.clone(), ..input.clone() };
                copy(lane, &part, (output.address, output))
            }
            (Self::RepeatedHeads { head, times }, []) => {
                let arguments = Arguments::default().stream(input).address(output).narrow(width);
                launch_of(SOURCE, lane, "repeated_heads", grid, width, arguments.narrow(*head).narrow(*times))
            }
            _ => unreachable!("invariant: every kernel is given the tensors that it takes"),
        }
    }
}

/// Copies all of a stream to an address in another one.
fn copy(lane: &mut Lane, from: &Numbers, (to, of): (u64, &Numbers)) -> Result<(), Failure> {
    let arguments = Arguments::default().stream(from).at(to).wide(of.strides[0]).wide(of.strides[1]);
    let (grid, width) = ([from.shape[1], from.shape[0], 1], from.shape[2]);
    launch_of(SOURCE, lane, "copied", grid, width, arguments.narrow(width))
}

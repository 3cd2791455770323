//! SDXL's UNet as a chain: each residual block with its attention is a link.

use burn::tensor::{Tensor, activation::silu, backend::Backend};

use super::{
    text_context::TextContext,
    unet::{Conditions, UNet},
};
use crate::nn::chain::{Chain, Passed};

/// A link of the UNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// A residual block on the way down: level and layer.
    Down(usize, usize),
    /// Halves the size after a level.
    Halve(usize),
    /// The smallest level.
    Middle,
    /// A residual block on the way up.
    Up(usize, usize),
    /// Doubles the size after a level.
    Double(usize),
}

/// What every link sees.
pub struct ChainConstants<B: Backend> {
    /// Time, pooled text and sizes, activated: `[batch, time width]`.
    time: Tensor<B, 2>,
    /// The text.
    text: TextContext<B>,
}

impl<B: Backend> UNet<B> {
    /// What every link sees of the conditions. Nothing is learnt through it.
    pub fn chain_constants(&self, conditions: &Conditions<B>) -> ChainConstants<B> {
        ChainConstants { time: silu(self.embed(conditions)), text: conditions.text.clone() }
    }

    /// What the first link is passed: the stream, and what the way down leaves for the way up.
    pub fn before_chain(&self, latents: Tensor<B, 4>) -> Vec<Passed<B>> {
        let stream = self.conv_in.forward(latents);
        vec![stream.clone().into(), stream.into()]
    }

    /// The prediction, from what the last link passes on.
    pub fn after_chain(&self, passed: &[Passed<B>]) -> Tensor<B, 4> {
        let stream = passed.first().map(Passed::tensor).expect("invariant: the stream goes first");
        self.prediction(self.conv_norm_out.forward_silu(stream))
    }

    fn all_links(&self) -> Vec<Link> {
        let mut links = Vec::new();
        for (level, block) in self.down_blocks.iter().enumerate() {
            links.extend((0..block.resnets.len()).map(|layer| Link::Down(level, layer)));
            links.extend(block.downsamplers.iter().map(|_| Link::Halve(level)));
        }
        links.push(Link::Middle);
        for (level, block) in self.up_blocks.iter().enumerate() {
            links.extend((0..block.resnets.len()).map(|layer| Link::Up(level, layer)));
            links.extend(block.upsamplers.iter().map(|_| Link::Double(level)));
        }
        links
    }
}

impl<B: Backend> Chain<B> for UNet<B> {
    type Constants = ChainConstants<B>;

    fn links(&self) -> usize {
        self.all_links().len()
    }

    fn link(&self, link: usize, mut passed: Vec<Passed<B>>, constants: &ChainConstants<B>) -> Vec<Passed<B>> {
        let ChainConstants { time, text } = constants;
        let stream: Tensor<B, 4> = passed.remove(0).tensor();
        let mut skips = passed;
        let stream = match self.all_links()[link] {
            Link::Down(level, layer) => {
                let stream = self.down_blocks[level].layer(layer, stream, time, text);
                skips.push(stream.clone().into());
                stream
            }
            Link::Halve(level) => {
                let halved = self.down_blocks[level].downsamplers.iter().fold(stream, |s, down| down.conv.forward(s));
                skips.push(halved.clone().into());
                halved
            }
            Link::Middle => self.mid_block.forward(stream, time, text),
            Link::Up(level, layer) => {
                let skip = skips.pop().map(|skip| skip.tensor());
                self.up_blocks[level].layer(layer, stream, skip, time, text)
            }
            Link::Double(level) => {
                let next = skips.last().map(Passed::tensor);
                self.up_blocks[level].widen(stream, next.as_ref())
            }
        };
        let mut passed = vec![stream.into()];
        passed.append(&mut skips);
        passed
    }
}

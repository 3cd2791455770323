//! The FLUX.2 transformer as a chain of its blocks.

use burn::tensor::{Tensor, backend::Backend};

use super::{modulation::Modulated, transformer::Flux2Transformer};
use crate::nn::{
    chain::{Chain, Passed},
    rope::Rotation,
    sequence::{joined, part},
};

/// What goes from block to block: picture and text in front of the double blocks, both as one stream behind them; and the
/// modulations and the embedded time, which come through unchanged.
struct State<B: Backend> {
    streams: Vec<Tensor<B, 3>>,
    picture_modulation: Vec<Modulated<B>>,
    text_modulation: Vec<Modulated<B>>,
    single_modulation: Vec<Modulated<B>>,
    embedded: Tensor<B, 2>,
}

/// Triples of the modulation of a stream of the double blocks.
const DOUBLE: usize = 2;

impl<B: Backend> State<B> {
    fn write(self) -> Vec<Passed<B>> {
        let Self { streams, picture_modulation, text_modulation, single_modulation, embedded } = self;
        let triples = [picture_modulation, text_modulation, single_modulation].into_iter().flatten();
        let parts = triples.flat_map(Modulated::into_parts);
        let mut passed = vec![Passed::from(embedded)];
        passed.extend(parts.map(Passed::from));
        passed.extend(streams.into_iter().map(Passed::from));
        passed
    }

    fn read(passed: &[Passed<B>]) -> Self {
        let mut rest = passed.iter();
        let embedded = rest.next().map(Passed::tensor).expect("invariant: the embedded time goes first");
        let mut triples = |count: usize| -> Vec<Modulated<B>> {
            let mut part = || rest.next().map(Passed::tensor).expect("invariant: modulations go second");
            (0..count).map(|_| Modulated::from_parts([part(), part(), part()])).collect()
        };
        let (picture_modulation, text_modulation, single_modulation) = (triples(DOUBLE), triples(DOUBLE), triples(1));
        let streams = rest.map(Passed::tensor).collect();
        Self { streams, picture_modulation, text_modulation, single_modulation, embedded }
    }
}

/// What a chain of blocks needs beside what goes through it.
pub struct ChainConstants<B: Backend> {
    /// Of the joint sequence.
    pub rotation: Rotation<B>,
    /// Tokens of the text, which come first.
    pub text_tokens: usize,
}

impl<B: Backend> Chain<B> for Flux2Transformer<B> {
    type Constants = ChainConstants<B>;

    fn links(&self) -> usize {
        self.transformer_blocks.len() + self.single_transformer_blocks.len()
    }

    fn link(&self, link: usize, passed: Vec<Passed<B>>, constants: &ChainConstants<B>) -> Vec<Passed<B>> {
        let mut state = State::read(&passed);
        if let Some(block) = self.transformer_blocks.get(link) {
            let [picture, text] = state.streams.try_into().expect("invariant: two streams in front of a double block");
            let (modulation, of_text) = (&state.picture_modulation, &state.text_modulation);
            let (picture, text) = block.forward(picture, text, modulation, of_text, &constants.rotation);
            state.streams = vec![picture, text];
        } else {
            let block = &self.single_transformer_blocks[link - self.transformer_blocks.len()];
            let stream = joint(state.streams);
            state.streams = vec![block.forward(stream, &state.single_modulation[0], &constants.rotation)];
        }
        state.write()
    }
}

/// Text, then picture, as one stream.
fn joint<B: Backend>(mut streams: Vec<Tensor<B, 3>>) -> Tensor<B, 3> {
    streams.reverse();
    let first = streams.remove(0);
    streams.into_iter().fold(first, joined)
}

impl<B: Backend> Flux2Transformer<B> {
    /// What the first block is passed: see [`Self::forward`].
    pub fn before_chain(
        &self,
        latents: Tensor<B, 3>,
        context: Tensor<B, 3>,
        time: Tensor<B, 1>,
        guidance: Option<Tensor<B, 1>>,
    ) -> Vec<Passed<B>> {
        let embedded = self.time_guidance_embed.forward(time, guidance);
        let state = State {
            streams: vec![self.x_embedder.forward(latents), self.context_embedder.forward(context)],
            picture_modulation: self.double_stream_modulation_img.forward(embedded.clone()),
            text_modulation: self.double_stream_modulation_txt.forward(embedded.clone()),
            single_modulation: self.single_stream_modulation.forward(embedded.clone()),
            embedded,
        };
        state.write()
    }

    /// The velocity, from what the last block passes on.
    pub fn after_chain(&self, passed: &[Passed<B>], text_tokens: usize) -> Tensor<B, 3> {
        let state = State::read(passed);
        let stream = joint(state.streams);
        let picture_tokens = stream.dims()[1] - text_tokens;
        let picture = part(stream, text_tokens, picture_tokens);
        self.proj_out.forward(self.norm_out.forward(picture, state.embedded))
    }
}

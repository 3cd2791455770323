//! The transformer: `diffusers/models/transformers/transformer_flux2.py`, `black-forest-labs/flux2/src/flux2/model.py`.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use super::{
    config::Flux2TransformerConfig,
    double_stream::DoubleStreamBlock,
    final_layer::FinalNorm,
    modulation::{Modulated, Modulation},
    single_stream::SingleStreamBlock,
};
use crate::nn::{
    linear::{Blocks, Linear},
    recorded::Given,
    rope::Rotation,
    sequence::{joined, part},
    timestep_embedding::{TimestepEmbedding, sinusoidal},
};

/// Times and guidance are embedded a thousand times as large as the schedule has them.
const TIME_SCALE: f64 = 1000.0;

/// Embeds time and, where the model was distilled for it, guidance.
#[derive(Module, Debug)]
pub struct TimeGuidanceEmbedding<B: Backend> {
    /// Embeds the time.
    pub timestep_embedder: TimestepEmbedding<B>,
    /// Embeds the guidance scale.
    pub guidance_embedder: Option<TimestepEmbedding<B>>,
    /// Channels of the sinusoids.
    pub channels: usize,
}

impl<B: Backend> TimeGuidanceEmbedding<B> {
    /// `[batch]` times (0 to 1) and guidance scales → `[batch, hidden]`.
    pub(super) fn forward(&self, time: Tensor<B, 1>, guidance: Option<Tensor<B, 1>>) -> Tensor<B, 2> {
        let sinusoids = |value: Tensor<B, 1>| sinusoidal(value.mul_scalar(TIME_SCALE), self.channels);
        let embedded = self.timestep_embedder.forward(sinusoids(time));
        match (&self.guidance_embedder, guidance) {
            (Some(embedder), Some(guidance)) => embedded + embedder.forward(sinusoids(guidance)),
            _ => embedded,
        }
    }
}

/// What all blocks are modulated by.
#[derive(Clone, Debug)]
pub struct Modulations<B: Backend> {
    /// The picture stream of double blocks.
    picture: Vec<Modulated<B>>,
    /// The text stream of double blocks.
    text: Vec<Modulated<B>>,
    /// Single blocks.
    single: Vec<Modulated<B>>,
    /// Scale and shift of the last normalisation.
    last: [Tensor<B, 3>; 2],
}

impl<B: Backend> Modulations<B> {
    /// What a network that reads them is given.
    pub fn given(&self) -> impl Iterator<Item = Given> {
        let blocks = self.picture.iter().chain(&self.text).chain(&self.single);
        blocks.flat_map(Modulated::given).chain(self.last.iter().map(Given::from))
    }
}

/// The FLUX.2 transformer.
#[derive(Module, Debug)]
pub struct Flux2Transformer<B: Backend> {
    /// Embeds time and guidance.
    pub time_guidance_embed: TimeGuidanceEmbedding<B>,
    /// Modulates the picture stream of all double blocks.
    pub double_stream_modulation_img: Modulation<B>,
    /// Modulates the text stream of all double blocks.
    pub double_stream_modulation_txt: Modulation<B>,
    /// Modulates all single blocks.
    pub single_stream_modulation: Modulation<B>,
    /// `[in channels] → [hidden]`.
    pub x_embedder: Linear<B>,
    /// `[context] → [hidden]`.
    pub context_embedder: Linear<B>,
    /// Blocks with two streams.
    pub transformer_blocks: Vec<DoubleStreamBlock<B>>,
    /// Blocks with one stream.
    pub single_transformer_blocks: Vec<SingleStreamBlock<B>>,
    /// Last normalisation.
    pub norm_out: FinalNorm<B>,
    /// `[hidden] → [out channels]`.
    pub proj_out: Linear<B>,
    /// Heads.
    pub heads: usize,
    /// Widths of the rotary embedding's axes.
    pub axes: [usize; 4],
    /// Base of its frequencies.
    pub theta: f64,
}

impl<B: Backend> Flux2Transformer<B> {
    /// A transformer with drawn weights. Modulations and the output begin at zero, so that training begins from the
    /// identity (Peebles and Xie, "DiT", 2022).
    pub fn new(config: &Flux2TransformerConfig, device: &B::Device) -> Self {
        let hidden = config.hidden();
        let embedder = || TimestepEmbedding::new(config.timestep_guidance_channels, hidden, false, device);
        let mut axes = [0; 4];
        axes.iter_mut().zip(&config.axes_dims_rope).for_each(|(axis, width)| *axis = *width);
        Self {
            time_guidance_embed: TimeGuidanceEmbedding {
                timestep_embedder: embedder(),
                guidance_embedder: config.guidance_embeds.then(embedder),
                channels: config.timestep_guidance_channels,
            },
            double_stream_modulation_img: Modulation::new(hidden, 2, device),
            double_stream_modulation_txt: Modulation::new(hidden, 2, device),
            single_stream_modulation: Modulation::new(hidden, 1, device),
            x_embedder: Linear::new(config.in_channels, hidden, false, device),
            context_embedder: Linear::new(config.joint_attention_dim, hidden, false, device),
            transformer_blocks: (0..config.num_layers).map(|_| DoubleStreamBlock::new(config, device)).collect(),
            single_transformer_blocks: (0..config.num_single_layers)
                .map(|_| SingleStreamBlock::new(config, device))
                .collect(),
            norm_out: FinalNorm::new(hidden, config.eps, device),
            proj_out: Linear::zeros(hidden, config.outputs(), false, device),
            heads: config.num_attention_heads,
            axes,
            theta: config.rope_theta,
        }
    }

    /// The rotation of a joint sequence: text positions, then picture positions. It depends on nothing else, so one
    /// serves all steps.
    pub fn rotation(&self, text: &[[i64; 4]], picture: &[[i64; 4]], device: &B::Device) -> Rotation<B> {
        let ids: Vec<[i64; 4]> = text.iter().chain(picture).copied().collect();
        Rotation::interleaved(&ids, &self.axes, self.theta, device)
    }

    /// Predicts the velocity.
    ///
    /// - `latents`: `[batch, picture tokens, in channels]`
    /// - `context`: `[batch, text tokens, context]`
    /// - `time`: `[batch]`, or `[1]` for all; 1 is noise and 0 the picture
    /// - `guidance`: `[batch]`, for models that embed it
    /// - result: `[batch, picture tokens, out channels]`
    pub fn forward(
        &self,
        latents: Tensor<B, 3>,
        context: Tensor<B, 3>,
        time: Tensor<B, 1>,
        guidance: Option<Tensor<B, 1>>,
        rotation: &Rotation<B>,
    ) -> Tensor<B, 3> {
        self.predict(latents, context, &self.modulations(time, guidance), rotation)
    }

    /// What all blocks are modulated by at a time, and with a guidance: see [`Self::forward`].
    pub fn modulations(&self, time: Tensor<B, 1>, guidance: Option<Tensor<B, 1>>) -> Modulations<B> {
        let embedded = self.time_guidance_embed.forward(time, guidance);
        Modulations {
            picture: self.double_stream_modulation_img.forward(embedded.clone()),
            text: self.double_stream_modulation_txt.forward(embedded.clone()),
            single: self.single_stream_modulation.forward(embedded.clone()),
            last: self.norm_out.scale_and_shift(embedded),
        }
    }

    /// Predicts the velocity with all that depends on time alone: see [`Self::forward`].
    pub fn predict(
        &self,
        latents: Tensor<B, 3>,
        context: Tensor<B, 3>,
        modulations: &Modulations<B>,
        rotation: &Rotation<B>,
    ) -> Tensor<B, 3> {
        let (text_tokens, picture_tokens) = (context.dims()[1], latents.dims()[1]);
        let mut picture = self.x_embedder.forward(latents);
        let mut text = self.context_embedder.forward(context);
        for block in &self.transformer_blocks {
            (picture, text) = block.forward(picture, text, &modulations.picture, &modulations.text, rotation);
        }
        let mut stream = joined(text, picture);
        for block in &self.single_transformer_blocks {
            stream = block.forward(stream, &modulations.single[0], rotation);
        }
        let picture = part(stream, text_tokens, picture_tokens);
        self.proj_out.forward(self.norm_out.normalise(picture, modulations.last.clone()))
    }
}

impl<B: Backend> Blocks<B> for Flux2Transformer<B> {
    fn layers_by_input(&mut self) -> Vec<Vec<&mut Linear<B>>> {
        let double = self.transformer_blocks.iter_mut().flat_map(DoubleStreamBlock::layers_by_input);
        double.chain(self.single_transformer_blocks.iter_mut().flat_map(SingleStreamBlock::layers_by_input)).collect()
    }
}

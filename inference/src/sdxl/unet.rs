//! The network: `diffusers/models/unets/unet_2d_condition.py` as SDXL configures it.

use burn::{
    module::Module,
    tensor::{
        Tensor,
        activation::silu,
        backend::{AutodiffBackend, Backend},
    },
};

use super::{
    blocks::{DownBlock, MidBlock, UpBlock},
    config::UNetConfig,
    spatial_transformer::SpatialTransformer,
    text_context::TextContext,
};
use crate::nn::{
    convolution::{Conv2d, GroupNorm},
    linear::{Blocks, Linear},
    norm::in_precision_of,
    timestep_embedding::{TimestepEmbedding, sinusoidal},
};

/// The UNet of SDXL.
#[derive(Module, Debug)]
pub struct UNet<B: Backend> {
    /// Latents → first width.
    pub conv_in: Conv2d<B>,
    /// Embeds the time.
    pub time_embedding: TimestepEmbedding<B>,
    /// Embeds the pooled text and the sizes.
    pub add_embedding: TimestepEmbedding<B>,
    /// The way down.
    pub down_blocks: Vec<DownBlock<B>>,
    /// The smallest level.
    pub mid_block: MidBlock<B>,
    /// The way up.
    pub up_blocks: Vec<UpBlock<B>>,
    /// Last normalisation.
    pub conv_norm_out: GroupNorm<B>,
    /// First width → prediction.
    pub conv_out: Conv2d<B>,
    /// Channels of the sinusoids of the time.
    pub time_channels: usize,
    /// Channels of the sinusoids of each size.
    pub size_channels: usize,
}

/// What the UNet sees beside latents.
#[derive(Clone, Debug)]
pub struct Conditions<B: Backend> {
    /// Times, `[batch]`, as numbers of the training's schedule.
    pub times: Tensor<B, 1>,
    /// The text.
    pub text: TextContext<B>,
    /// The text as a whole, `[batch, projection]`.
    pub pooled: Tensor<B, 2>,
    /// Sizes in pixels, `[batch, 6]`: see [`super::conditioning::sizes`].
    pub sizes: Tensor<B, 2>,
}

impl<B: AutodiffBackend> Conditions<B> {
    /// The same where there are no gradients.
    pub fn without_gradients(&self) -> Conditions<B::InnerBackend> {
        Conditions {
            times: self.times.clone().inner(),
            text: self.text.without_gradients(),
            pooled: self.pooled.clone().inner(),
            sizes: self.sizes.clone().inner(),
        }
    }
}

impl<B: Backend> UNet<B> {
    /// A UNet with drawn weights.
    pub fn new(config: &UNetConfig, device: &B::Device) -> Self {
        let widths = &config.block_out_channels;
        let (first, last) = (widths[0], config.levels() - 1);
        let time = config.time_width();
        // The widths that the way down leaves for the way up, in the order in which it leaves them.
        let mut skips = vec![first];
        let mut inputs = first;
        let mut down_blocks = Vec::with_capacity(widths.len());
        for (level, width) in widths.iter().copied().enumerate() {
            down_blocks.push(DownBlock::new(inputs, level, config, device));
            skips.extend(vec![width; config.layers_per_block + usize::from(level < last)]);
            inputs = width;
        }
        let mut up_blocks = Vec::with_capacity(widths.len());
        for (level, width) in widths.iter().copied().enumerate().rev() {
            up_blocks.push(UpBlock::new(inputs, level, &mut skips, config, device));
            inputs = width;
        }
        Self {
            conv_in: Conv2d::new(config.in_channels, first, 3, device),
            time_embedding: TimestepEmbedding::new(first, time, true, device),
            add_embedding: TimestepEmbedding::new(config.projection_class_embeddings_input_dim, time, true, device),
            down_blocks,
            mid_block: MidBlock::new(config, device),
            up_blocks,
            conv_norm_out: GroupNorm::new(config.norm_num_groups, first, config.norm_eps, device),
            conv_out: Conv2d::new(first, config.out_channels, 3, device),
            time_channels: first,
            size_channels: config.addition_time_embed_dim,
        }
    }

    /// Latents `[batch, channels, height, width]` → the prediction of the same shape.
    pub fn forward(&self, latents: Tensor<B, 4>, conditions: Conditions<B>) -> Tensor<B, 4> {
        let time = silu(self.embed(&conditions));
        self.predict(latents, &time, &conditions.text)
    }

    /// The same at a time that is [embedded](Self::embed) and past its SiLU.
    pub(super) fn predict(&self, latents: Tensor<B, 4>, time: &Tensor<B, 2>, text: &TextContext<B>) -> Tensor<B, 4> {
        self.prediction(self.stream(latents, time, text))
    }

    /// Latents at a time, which is [embedded](Self::embed) and past its SiLU, → what the prediction is made of,
    /// `[batch, first width, height, width]`.
    pub(crate) fn stream(&self, latents: Tensor<B, 4>, time: &Tensor<B, 2>, text: &TextContext<B>) -> Tensor<B, 4> {
        let mut stream = self.conv_in.forward(latents);
        let mut skips = vec![stream.clone()];
        for block in &self.down_blocks {
            stream = block.forward(stream, time, text, &mut skips);
        }
        stream = self.mid_block.forward(stream, time, text);
        for block in &self.up_blocks {
            stream = block.forward(stream, time, text, &mut skips);
        }
        self.conv_norm_out.forward_silu(stream)
    }

    /// The prediction that is made of [`Self::stream`].
    pub(super) fn prediction(&self, stream: Tensor<B, 4>) -> Tensor<B, 4> {
        self.conv_out.forward(stream)
    }

    /// Makes keys and values of a text that is looked at again and again, for all layers in their order.
    pub(crate) fn look_at(&self, text: &TextContext<B>) {
        self.attentions().for_each(|attention| attention.look_at(text));
    }

    fn attentions(&self) -> impl Iterator<Item = &SpatialTransformer<B>> {
        let (down, up) = (self.down_blocks.iter(), self.up_blocks.iter());
        let down = down.flat_map(|block| &block.attentions).chain(&self.mid_block.attentions);
        down.chain(up.flat_map(|block| &block.attentions))
    }

    /// Time, pooled text and sizes as one vector a picture, `[batch, time width]`.
    pub(super) fn embed(&self, conditions: &Conditions<B>) -> Tensor<B, 2> {
        self.embed_times(conditions.times.clone())
            + self.embed_picture(conditions.pooled.clone(), conditions.sizes.clone())
    }

    /// The part of [`Self::embed`] that times have in it, `[times]` → `[times, time width]`.
    pub(super) fn embed_times(&self, times: Tensor<B, 1>) -> Tensor<B, 2> {
        self.time_embedding.forward(sinusoidal(times, self.time_channels))
    }

    /// The part of [`Self::embed`] that pooled text and sizes have in it, which is the same at all times: see [`Conditions`].
    pub(super) fn embed_picture(&self, pooled: Tensor<B, 2>, sizes: Tensor<B, 2>) -> Tensor<B, 2> {
        let [batch, count] = sizes.dims();
        let numbers = sinusoidal(sizes.reshape([batch * count]), self.size_channels);
        let numbers = in_precision_of(numbers.reshape([batch, count * self.size_channels]), &pooled);
        self.add_embedding.forward(Tensor::cat(vec![pooled, numbers], 1))
    }
}

impl<B: Backend> Blocks<B> for UNet<B> {
    fn layers_by_input(&mut self) -> Vec<Vec<&mut Linear<B>>> {
        let (down, up) = (self.down_blocks.iter_mut(), self.up_blocks.iter_mut());
        let attentions = down.flat_map(|block| &mut block.attentions).chain(&mut self.mid_block.attentions);
        let attentions = attentions.chain(up.flat_map(|block| &mut block.attentions));
        attentions.flat_map(SpatialTransformer::layers_by_input).collect()
    }
}

//! The levels of an SDXL UNet: `diffusers/models/unets/unet_2d_blocks.py` and `ResnetBlock2D` of
//! `diffusers/models/resnet.py`.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use super::{
    config::UNetConfig,
    spatial_transformer::{SpatialTransformer, TransformerSize},
    text_context::TextContext,
};
use crate::nn::{
    autoencoder::Resampler,
    convolution::{Conv2d, GroupNorm},
    linear::Linear,
    picture,
};

/// Two convolutions beside a shortcut, moved by the time.
#[derive(Module, Debug)]
pub struct TimedResidualBlock<B: Backend> {
    /// Before the first convolution.
    pub norm1: GroupNorm<B>,
    /// First convolution.
    pub conv1: Conv2d<B>,
    /// Time → a number for every channel.
    pub time_emb_proj: Linear<B>,
    /// Before the second convolution.
    pub norm2: GroupNorm<B>,
    /// Second convolution.
    pub conv2: Conv2d<B>,
    /// Where the width changes.
    pub conv_shortcut: Option<Conv2d<B>>,
}

impl<B: Backend> TimedResidualBlock<B> {
    /// A block with drawn weights.
    pub fn new(inputs: usize, outputs: usize, config: &UNetConfig, device: &B::Device) -> Self {
        let norm = |channels| GroupNorm::new(config.norm_num_groups, channels, config.norm_eps, device);
        Self {
            norm1: norm(inputs),
            conv1: Conv2d::new(inputs, outputs, 3, device),
            time_emb_proj: Linear::new(config.time_width(), outputs, true, device),
            norm2: norm(outputs),
            conv2: Conv2d::new(outputs, outputs, 3, device),
            conv_shortcut: (inputs != outputs).then(|| Conv2d::new(inputs, outputs, 1, device)),
        }
    }

    /// `[batch, in, height, width]` at times `[batch, time width]`, past their SiLU → `[batch, out, height, width]`.
    pub fn forward(&self, input: Tensor<B, 4>, time: &Tensor<B, 2>) -> Tensor<B, 4> {
        let inner = self.conv1.forward(self.norm1.forward_silu(input.clone()));
        let inner = picture::shifted(inner, self.time_emb_proj.forward(time.clone()));
        let inner = self.conv2.forward(self.norm2.forward_silu(inner));
        let shortcut = match &self.conv_shortcut {
            Some(conv) => conv.forward(input),
            None => input,
        };
        picture::sum(shortcut, inner)
    }
}

/// Residual blocks, each with attention or none, then half the size.
#[derive(Module, Debug)]
pub struct DownBlock<B: Backend> {
    /// Residual blocks.
    pub resnets: Vec<TimedResidualBlock<B>>,
    /// Attention after each of them, or none at all.
    pub attentions: Vec<SpatialTransformer<B>>,
    /// Halves the size; the last level has none.
    pub downsamplers: Vec<Resampler<B>>,
}

impl<B: Backend> DownBlock<B> {
    /// A level with drawn weights that takes `inputs` channels.
    pub fn new(inputs: usize, level: usize, config: &UNetConfig, device: &B::Device) -> Self {
        let width = config.block_out_channels[level];
        let layers = config.layers_per_block;
        let resnet = |layer| TimedResidualBlock::new(if layer == 0 { inputs } else { width }, width, config, device);
        let attentions = if config.attends_down(level) { layers } else { 0 };
        let halves = usize::from(level + 1 < config.levels());
        Self {
            resnets: (0..layers).map(resnet).collect(),
            attentions: (0..attentions).map(|_| attention(level, config, device)).collect(),
            downsamplers: (0..halves).map(|_| Resampler { conv: Conv2d::halving_evenly(width, device) }).collect(),
        }
    }

    /// One residual block, and its attention if there is one.
    pub fn layer(
        &self,
        layer: usize,
        stream: Tensor<B, 4>,
        time: &Tensor<B, 2>,
        text: &TextContext<B>,
    ) -> Tensor<B, 4> {
        let stream = self.resnets[layer].forward(stream, time);
        match self.attentions.get(layer) {
            Some(attention) => attention.forward(stream, text),
            None => stream,
        }
    }

    /// Runs the level and puts what the way up needs onto `skips`.
    pub fn forward(
        &self,
        mut stream: Tensor<B, 4>,
        time: &Tensor<B, 2>,
        text: &TextContext<B>,
        skips: &mut Vec<Tensor<B, 4>>,
    ) -> Tensor<B, 4> {
        for layer in 0..self.resnets.len() {
            stream = self.layer(layer, stream, time, text);
            skips.push(stream.clone());
        }
        for down in &self.downsamplers {
            stream = down.conv.forward(stream);
            skips.push(stream.clone());
        }
        stream
    }
}

/// The smallest level: a residual block, attention, a residual block.
#[derive(Module, Debug)]
pub struct MidBlock<B: Backend> {
    /// Attention; a list of one.
    pub attentions: Vec<SpatialTransformer<B>>,
    /// Residual blocks; a list of two.
    pub resnets: Vec<TimedResidualBlock<B>>,
}

impl<B: Backend> MidBlock<B> {
    /// A middle with drawn weights.
    pub fn new(config: &UNetConfig, device: &B::Device) -> Self {
        let level = config.levels() - 1;
        let width = config.block_out_channels[level];
        Self {
            attentions: vec![attention(level, config, device)],
            resnets: (0..2).map(|_| TimedResidualBlock::new(width, width, config, device)).collect(),
        }
    }

    /// Runs it.
    pub fn forward(&self, stream: Tensor<B, 4>, time: &Tensor<B, 2>, text: &TextContext<B>) -> Tensor<B, 4> {
        let stream = self.resnets[0].forward(stream, time);
        let stream = self.attentions.iter().fold(stream, |stream, attention| attention.forward(stream, text));
        self.resnets[1].forward(stream, time)
    }
}

/// Residual blocks that also see what the way down left, each with attention or none, then twice the size.
#[derive(Module, Debug)]
pub struct UpBlock<B: Backend> {
    /// Residual blocks.
    pub resnets: Vec<TimedResidualBlock<B>>,
    /// Attention after each of them, or none at all.
    pub attentions: Vec<SpatialTransformer<B>>,
    /// Doubles the size; the largest level has none.
    pub upsamplers: Vec<Resampler<B>>,
}

impl<B: Backend> UpBlock<B> {
    /// A level with drawn weights that takes `inputs` channels, and takes from `skips` the widths that the way down left.
    pub fn new(
        mut inputs: usize,
        level: usize,
        skips: &mut Vec<usize>,
        config: &UNetConfig,
        device: &B::Device,
    ) -> Self {
        let width = config.block_out_channels[level];
        let layers = config.layers_per_block + 1;
        let mut resnets = Vec::with_capacity(layers);
        for _ in 0..layers {
            let skip = skips.pop().unwrap_or_default();
            resnets.push(TimedResidualBlock::new(inputs + skip, width, config, device));
            inputs = width;
        }
        let attentions = if config.attends_up(level) { layers } else { 0 };
        let doubles = usize::from(level > 0);
        Self {
            resnets,
            attentions: (0..attentions).map(|_| attention(level, config, device)).collect(),
            upsamplers: (0..doubles).map(|_| Resampler { conv: Conv2d::new(width, width, 3, device) }).collect(),
        }
    }

    /// Runs the level with what the way down left.
    pub fn forward(
        &self,
        mut stream: Tensor<B, 4>,
        time: &Tensor<B, 2>,
        text: &TextContext<B>,
        skips: &mut Vec<Tensor<B, 4>>,
    ) -> Tensor<B, 4> {
        for layer in 0..self.resnets.len() {
            stream = self.layer(layer, stream, skips.pop(), time, text);
        }
        self.widen(stream, skips.last())
    }

    /// One residual block, which also sees what the way down left, and its attention if there is one.
    pub fn layer(
        &self,
        layer: usize,
        stream: Tensor<B, 4>,
        skip: Option<Tensor<B, 4>>,
        time: &Tensor<B, 2>,
        text: &TextContext<B>,
    ) -> Tensor<B, 4> {
        let beside = match skip {
            Some(skip) => picture::beside(stream, skip),
            None => stream,
        };
        let stream = self.resnets[layer].forward(beside, time);
        match self.attentions.get(layer) {
            Some(attention) => attention.forward(stream, text),
            None => stream,
        }
    }

    /// Doubles the size, to that of what the way down left next, where the level does.
    pub fn widen(&self, mut stream: Tensor<B, 4>, next: Option<&Tensor<B, 4>>) -> Tensor<B, 4> {
        for up in &self.upsamplers {
            let [_, _, height, width] = stream.dims();
            // An odd size was rounded up when it was halved, so the way back is to the size that the way down left.
            let size = next.map_or([2 * height, 2 * width], |skip| [skip.dims()[2], skip.dims()[3]]);
            stream = up.conv.forward(picture::resized(stream, size));
        }
        stream
    }
}

/// The attention of a level.
fn attention<B: Backend>(level: usize, config: &UNetConfig, device: &B::Device) -> SpatialTransformer<B> {
    let size = TransformerSize {
        width: config.block_out_channels[level],
        context: config.cross_attention_dim,
        heads: config.attention_head_dim.of(level),
        depth: config.transformer_layers_per_block.of(level),
        groups: config.norm_num_groups,
    };
    SpatialTransformer::new(size, device)
}

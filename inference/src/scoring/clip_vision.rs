//! CLIP's picture encoder, a vision transformer (Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021):
//! `transformers/models/clip/modeling_clip.py`, `CLIPVisionModelWithProjection`.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Tensor, backend::Backend},
};

use super::clip_config::ClipVisionConfig;
use crate::{
    nn::{convolution::Conv2d, linear::Linear, norm::LayerNorm},
    text::clip::{Encoder, EncoderLayer, Table},
};

/// What patches and their places begin as.
#[derive(Module, Debug)]
pub struct PatchEmbeddings<B: Backend> {
    /// `[hidden]`: stands before the patches; its place holds what the picture shows as a whole.
    pub class_embedding: Param<Tensor<B, 1>>,
    /// Patches → `hidden` channels.
    pub patch_embedding: Conv2d<B>,
    /// By place, the class first.
    pub position_embedding: Table<B>,
}

/// The transformer, under the published name `vision_model`.
#[derive(Module, Debug)]
pub struct VisionTransformer<B: Backend> {
    /// Where the stream begins.
    pub embeddings: PatchEmbeddings<B>,
    /// Before the first layer; the published name has no second e.
    pub pre_layrnorm: LayerNorm<B>,
    /// Layers.
    pub encoder: Encoder<B>,
    /// Of the class's place after the last layer.
    pub post_layernorm: LayerNorm<B>,
}

/// The picture encoder with its projection.
#[derive(Module, Debug)]
pub struct ClipVisionEncoder<B: Backend> {
    /// The transformer.
    pub vision_model: VisionTransformer<B>,
    /// To the space that texts and pictures share.
    pub visual_projection: Linear<B>,
}

impl<B: Backend> ClipVisionEncoder<B> {
    /// An encoder with drawn weights.
    pub fn new(config: &ClipVisionConfig, device: &B::Device) -> Self {
        let (width, patch) = (config.hidden_size, config.patch_size);
        let places = (config.image_size / patch).pow(2) + 1;
        let draw = Initializer::Normal { mean: 0.0, std: 0.02 };
        let norm = || LayerNorm::new(width, config.layer_norm_eps, device);
        Self {
            vision_model: VisionTransformer {
                embeddings: PatchEmbeddings {
                    class_embedding: draw.init([width], device),
                    patch_embedding: Conv2d::of_patches(config.num_channels, width, patch, device),
                    position_embedding: Table { weight: draw.init([places, width], device) },
                },
                pre_layrnorm: norm(),
                encoder: Encoder {
                    layers: (0..config.num_hidden_layers).map(|_| EncoderLayer::new(config.layer(), device)).collect(),
                },
                post_layernorm: norm(),
            },
            visual_projection: Linear::new(width, config.projection_dim, false, device),
        }
    }

    /// Normalised pictures `[batch, 3, edge, edge]` → `[batch, projection]`.
    pub fn forward(&self, pictures: Tensor<B, 4>) -> Tensor<B, 2> {
        let VisionTransformer { embeddings, pre_layrnorm, encoder, post_layernorm } = &self.vision_model;
        let patches = embeddings.patch_embedding.forward(pictures);
        let [batch, width, rows, columns] = patches.dims();
        let patches = patches.reshape([batch, width, rows * columns]).swap_dims(1, 2);
        let class = embeddings.class_embedding.val().reshape([1, 1, width]).repeat_dim(0, batch);
        let places = embeddings.position_embedding.weight.val().unsqueeze();
        let mut stream = pre_layrnorm.forward(Tensor::cat(vec![class, patches], 1) + places);
        for layer in &encoder.layers {
            stream = layer.forward(stream, None);
        }
        let class = stream.narrow(1, 0, 1).reshape([batch, width]);
        self.visual_projection.forward(post_layernorm.forward(class))
    }
}

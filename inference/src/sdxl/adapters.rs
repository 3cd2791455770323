//! Where LoRAs reach an SDXL pipeline: the linear layers of its UNet and of both text encoders, and the UNet's convolutions,
//! under the paths that diffusers and transformers give them.

use std::collections::BTreeMap;

use burn::tensor::backend::Backend;

use super::{blocks::TimedResidualBlock, pipeline::SdxlPipeline, spatial_transformer::SpatialTransformer, unet::UNet};
use crate::{
    error::{Error, Result},
    lora::{
        adapted::Laid,
        inject::{self, Adaptable, Prepared},
    },
    nn::{convolution::Conv2d, linear::Linear, recorded::Recorded, timestep_embedding::TimestepEmbedding},
    render::LoraUse,
    text::clip::ClipTextEncoder,
    weights::on_demand::OnDemand,
};

/// What a LoRA adapts: the UNet, the first text encoder and the second.
pub type Adaptables<B> = (Recorded<UNet<B>>, TextEncoder<B>, TextEncoder<B>);

/// A text encoder of a pipeline.
type TextEncoder<B> = OnDemand<Recorded<ClipTextEncoder<B>>>;

/// The parts of a pipeline that a LoRA adapts, the longer name first where one begins like another.
const PARTS: [&str; 3] = ["unet", "text_encoder_2", "text_encoder"];

type Layers<'a, B> = BTreeMap<String, &'a mut Linear<B>>;

type Convolutions<'a, B> = BTreeMap<String, &'a mut Conv2d<B>>;

impl<B: Backend> Adaptable<B> for UNet<B> {
    fn linear_layers(&mut self) -> BTreeMap<String, &mut Linear<B>> {
        let mut layers = BTreeMap::new();
        put_embedding("time_embedding", &mut self.time_embedding, &mut layers);
        put_embedding("add_embedding", &mut self.add_embedding, &mut layers);
        for (level, block) in self.down_blocks.iter_mut().enumerate() {
            put_level(&format!("down_blocks.{level}"), &mut block.resnets, &mut block.attentions, &mut layers);
        }
        put_level("mid_block", &mut self.mid_block.resnets, &mut self.mid_block.attentions, &mut layers);
        for (level, block) in self.up_blocks.iter_mut().enumerate() {
            put_level(&format!("up_blocks.{level}"), &mut block.resnets, &mut block.attentions, &mut layers);
        }
        layers
    }

    fn convolutions(&mut self) -> BTreeMap<String, &mut Conv2d<B>> {
        let mut layers = Convolutions::new();
        layers.insert("conv_in".to_owned(), &mut self.conv_in);
        layers.insert("conv_out".to_owned(), &mut self.conv_out);
        for (level, block) in self.down_blocks.iter_mut().enumerate() {
            put_convolutions(&format!("down_blocks.{level}"), &mut block.resnets, &mut layers);
            for (index, down) in block.downsamplers.iter_mut().enumerate() {
                layers.insert(format!("down_blocks.{level}.downsamplers.{index}.conv"), &mut down.conv);
            }
        }
        put_convolutions("mid_block", &mut self.mid_block.resnets, &mut layers);
        for (level, block) in self.up_blocks.iter_mut().enumerate() {
            put_convolutions(&format!("up_blocks.{level}"), &mut block.resnets, &mut layers);
            for (index, up) in block.upsamplers.iter_mut().enumerate() {
                layers.insert(format!("up_blocks.{level}.upsamplers.{index}.conv"), &mut up.conv);
            }
        }
        layers
    }
}

fn put_convolutions<'a, B: Backend>(
    path: &str,
    resnets: &'a mut [TimedResidualBlock<B>],
    layers: &mut Convolutions<'a, B>,
) {
    for (index, resnet) in resnets.iter_mut().enumerate() {
        let path = format!("{path}.resnets.{index}");
        layers.insert(format!("{path}.conv1"), &mut resnet.conv1);
        layers.insert(format!("{path}.conv2"), &mut resnet.conv2);
        if let Some(shortcut) = &mut resnet.conv_shortcut {
            layers.insert(format!("{path}.conv_shortcut"), shortcut);
        }
    }
}

fn put_embedding<'a, B: Backend>(path: &str, embedding: &'a mut TimestepEmbedding<B>, layers: &mut Layers<'a, B>) {
    layers.insert(format!("{path}.linear_1"), &mut embedding.linear_1);
    layers.insert(format!("{path}.linear_2"), &mut embedding.linear_2);
}

fn put_level<'a, B: Backend>(
    path: &str,
    resnets: &'a mut [TimedResidualBlock<B>],
    attentions: &'a mut [SpatialTransformer<B>],
    layers: &mut Layers<'a, B>,
) {
    for (index, resnet) in resnets.iter_mut().enumerate() {
        layers.insert(format!("{path}.resnets.{index}.time_emb_proj"), &mut resnet.time_emb_proj);
    }
    for (index, attention) in attentions.iter_mut().enumerate() {
        put_transformer(&format!("{path}.attentions.{index}"), attention, layers);
    }
}

fn put_transformer<'a, B: Backend>(path: &str, transformer: &'a mut SpatialTransformer<B>, layers: &mut Layers<'a, B>) {
    layers.insert(format!("{path}.proj_in"), &mut transformer.proj_in);
    layers.insert(format!("{path}.proj_out"), &mut transformer.proj_out);
    for (index, block) in transformer.transformer_blocks.iter_mut().enumerate() {
        let path = format!("{path}.transformer_blocks.{index}");
        for (name, attn) in [("attn1", &mut block.attn1), ("attn2", &mut block.attn2)] {
            layers.insert(format!("{path}.{name}.to_q"), &mut attn.to_q);
            layers.insert(format!("{path}.{name}.to_k"), &mut attn.to_k);
            layers.insert(format!("{path}.{name}.to_v"), &mut attn.to_v);
            for (place, layer) in attn.to_out.iter_mut().enumerate() {
                layers.insert(format!("{path}.{name}.to_out.{place}"), layer);
            }
        }
        layers.insert(format!("{path}.ff.net.0.proj"), &mut block.ff.proj);
        layers.insert(format!("{path}.ff.net.2"), &mut block.ff.out);
    }
}

impl<B: Backend> Adaptable<B> for ClipTextEncoder<B> {
    fn linear_layers(&mut self) -> BTreeMap<String, &mut Linear<B>> {
        let mut layers = BTreeMap::new();
        if let Some(projection) = &mut self.text_projection {
            layers.insert("text_projection".to_owned(), projection);
        }
        for (index, layer) in self.encoder.layers.iter_mut().enumerate() {
            let path = |name: &str| format!("text_model.encoder.layers.{index}.{name}");
            let attn = &mut layer.self_attn;
            layers.insert(path("self_attn.q_proj"), &mut attn.q_proj);
            layers.insert(path("self_attn.k_proj"), &mut attn.k_proj);
            layers.insert(path("self_attn.v_proj"), &mut attn.v_proj);
            layers.insert(path("self_attn.out_proj"), &mut attn.out_proj);
            layers.insert(path("mlp.fc1"), &mut layer.mlp.fc1);
            layers.insert(path("mlp.fc2"), &mut layer.mlp.fc2);
        }
        layers
    }
}

impl<B: Backend> SdxlPipeline<B> {
    /// This pipeline with LoRAs beside the weights, which both share, or merged into a copy of them.
    ///
    /// # Errors
    /// [`Error::Lora`] when a file is damaged, of a kind that is not supported, or was made for another model.
    pub fn with_loras(&self, loras: &[LoraUse], merges: bool) -> Result<Self> {
        if loras.is_empty() {
            return Ok(self.clone());
        }
        let take = |used: &LoraUse| Ok((self.shelf.take(&used.path, &self.device)?, used.strength));
        let loras = loras.iter().map(take).collect::<Result<Vec<_>>>()?;
        let attach = |loras: &[Laid<B>]| {
            let mut adapted = self.clone();
            for (lora, strength) in loras {
                adapted.attach(lora, *strength)?;
            }
            Ok(adapted)
        };
        if merges {
            let mut adapted = attach(&loras)?;
            inject::merge(&mut *adapted.unet);
            for encoder in [&mut adapted.text_encoder_2, &mut adapted.text_encoder] {
                encoder.change(|encoder| {
                    inject::merge(&mut **encoder);
                    Ok(())
                })?;
            }
            return Ok(adapted);
        }
        let (unet, text_encoder, text_encoder_2) = self.adapted.find_or_make(loras, |loras| {
            let Self { mut unet, text_encoder, text_encoder_2, .. } = attach(loras)?;
            inject::add_up(&mut *unet, &self.device);
            Ok((unet, text_encoder, text_encoder_2))
        })?;
        Ok(Self { unet, text_encoder, text_encoder_2, ..self.clone() })
    }

    /// Lays the pairs of a LoRA, under the names of the parts and their modules, beside the layers that they name.
    ///
    /// # Errors
    /// [`Error::Lora`] when a name is no layer of the pipeline that takes pairs, or a shape is not its layer's.
    pub fn attach(&mut self, lora: &Prepared<B>, strength: f64) -> Result<()> {
        let of_a_part =
            |name: &str| PARTS.iter().any(|part| name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.')));
        if let Some(name) = lora.names().find(|name| !of_a_part(name)) {
            return Err(Error::Lora(format!(
                "The LoRA adapts `{name}`, which an SDXL model does not have. It was made for another model."
            )));
        }
        let [unet, second, first] = PARTS.map(|part| lora.of_part(part));
        // A network that there are no pairs for stays as it is, with all that is known of it.
        if has_pairs(&unet) {
            unet.attach(&mut *self.unet, strength)?;
        }
        for (encoder, pairs) in [(&mut self.text_encoder_2, second), (&mut self.text_encoder, first)] {
            if has_pairs(&pairs) {
                encoder.change(|encoder| pairs.attach(&mut **encoder, strength))?;
            }
        }
        Ok(())
    }
}

/// Whether there are any.
fn has_pairs<B: Backend>(pairs: &Prepared<B>) -> bool {
    pairs.names().next().is_some()
}

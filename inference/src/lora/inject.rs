//! How low-rank pairs reach the linear layers of a model: beside the weights, never merged into them, several at once and
//! each with its own strength (Hu et al., "LoRA", 2021).

use std::collections::BTreeMap;

use burn::{
    module::{Param, ParamId},
    tensor::{DType, Tensor, TensorData, backend::Backend},
};

use super::adapter::LowRankPair;
use crate::{
    error::{Error, Result},
    flux2::transformer::Flux2Transformer,
    nn::linear::{Linear, LowRank},
};

/// A model whose linear layers take low-rank pairs.
pub trait Adaptable<B: Backend> {
    /// Every linear layer under the path that the published state dict gives it, without `.weight`.
    fn linear_layers(&mut self) -> BTreeMap<String, &mut Linear<B>>;
}

impl<B: Backend> Adaptable<B> for Flux2Transformer<B> {
    fn linear_layers(&mut self) -> BTreeMap<String, &mut Linear<B>> {
        let mut layers = BTreeMap::new();
        let mut put = |path: String, layer| {
            layers.insert(path, layer);
        };
        let embed = &mut self.time_guidance_embed;
        let embedders =
            [("timestep", Some(&mut embed.timestep_embedder)), ("guidance", embed.guidance_embedder.as_mut())];
        for (name, embedder) in embedders {
            if let Some(embedder) = embedder {
                put(format!("time_guidance_embed.{name}_embedder.linear_1"), &mut embedder.linear_1);
                put(format!("time_guidance_embed.{name}_embedder.linear_2"), &mut embedder.linear_2);
            }
        }
        put("double_stream_modulation_img.linear".to_owned(), &mut self.double_stream_modulation_img.linear);
        put("double_stream_modulation_txt.linear".to_owned(), &mut self.double_stream_modulation_txt.linear);
        put("single_stream_modulation.linear".to_owned(), &mut self.single_stream_modulation.linear);
        put("x_embedder".to_owned(), &mut self.x_embedder);
        put("context_embedder".to_owned(), &mut self.context_embedder);
        put("norm_out.linear".to_owned(), &mut self.norm_out.linear);
        put("proj_out".to_owned(), &mut self.proj_out);
        for (index, block) in self.transformer_blocks.iter_mut().enumerate() {
            let path = |name: &str| format!("transformer_blocks.{index}.{name}");
            let attn = &mut block.attn;
            put(path("attn.to_q"), &mut attn.to_q);
            put(path("attn.to_k"), &mut attn.to_k);
            put(path("attn.to_v"), &mut attn.to_v);
            put(path("attn.add_q_proj"), &mut attn.add_q_proj);
            put(path("attn.add_k_proj"), &mut attn.add_k_proj);
            put(path("attn.add_v_proj"), &mut attn.add_v_proj);
            for (place, layer) in attn.to_out.iter_mut().enumerate() {
                put(path(&format!("attn.to_out.{place}")), layer);
            }
            put(path("attn.to_add_out"), &mut attn.to_add_out);
            put(path("ff.linear_in"), &mut block.ff.linear_in);
            put(path("ff.linear_out"), &mut block.ff.linear_out);
            put(path("ff_context.linear_in"), &mut block.ff_context.linear_in);
            put(path("ff_context.linear_out"), &mut block.ff_context.linear_out);
        }
        for (index, block) in self.single_transformer_blocks.iter_mut().enumerate() {
            let path = |name: &str| format!("single_transformer_blocks.{index}.attn.{name}");
            put(path("to_qkv_mlp_proj"), &mut block.attn.to_qkv_mlp_proj);
            put(path("to_out"), &mut block.attn.to_out);
        }
        layers
    }
}

/// Puts pairs beside the layers that they name, after those that are there already. On an autodiff backend they are
/// trainable; whether the weights beside them are is the caller's to say (`no_grad`). `strength` multiplies each pair's own
/// scale and may be negative.
///
/// # Errors
/// [`Error::Lora`] when a name is no linear layer of the model, or a shape is not its layer's; then nothing is attached.
pub fn attach<B: Backend, M: Adaptable<B>>(
    model: &mut M,
    pairs: &BTreeMap<String, LowRankPair>,
    strength: f64,
    device: &B::Device,
) -> Result<()> {
    let mut layers = model.linear_layers();
    for (name, pair) in pairs {
        let Some(layer) = layers.get(name) else {
            return Err(Error::Lora(format!(
                "The LoRA adapts `{name}`, which this model does not have. It was made for another model."
            )));
        };
        let (inputs, outputs) = layer.features();
        if (pair.inputs, pair.outputs) != (inputs, outputs) {
            return Err(Error::Lora(format!(
                "The LoRA's `{name}` takes {} numbers to {}, and the model's {inputs} to {outputs}. It was made for another model.",
                pair.inputs, pair.outputs,
            )));
        }
        if pair.rank == 0 || pair.a.len() != pair.rank * inputs || pair.b.len() != pair.rank * outputs {
            return Err(Error::Lora(format!(
                "The LoRA's `{name}` says rank {}, and its matrices say another one.",
                pair.rank
            )));
        }
    }
    for (name, pair) in pairs {
        if let Some(layer) = layers.get_mut(name) {
            layer.adapters.push(low_rank(pair, strength, device));
        }
    }
    Ok(())
}

fn low_rank<B: Backend>(pair: &LowRankPair, strength: f64, device: &B::Device) -> LowRank<B> {
    let parameter = |values: &[f32], shape: [usize; 2]| {
        // In f32 whatever the model's precision: what is trained must be able to change by a little.
        let tensor = Tensor::from_data(TensorData::new(values.to_vec(), shape), (device, DType::F32));
        Param::initialized(ParamId::new(), tensor.require_grad())
    };
    LowRank {
        a: parameter(&pair.a, [pair.rank, pair.inputs]),
        b: parameter(&pair.b, [pair.outputs, pair.rank]),
        scale: f64::from(pair.scale) * strength,
    }
}

/// Takes all pairs away.
pub fn detach<B: Backend, M: Adaptable<B>>(model: &mut M) {
    model.linear_layers().into_values().for_each(|layer| layer.adapters.clear());
}

/// The last pair of every layer that has one, as plain numbers. Its scale holds the strength that it was attached with.
pub fn last_pairs<B: Backend, M: Adaptable<B>>(model: &mut M) -> BTreeMap<String, LowRankPair> {
    let values = |parameter: &Param<Tensor<B, 2>>| parameter.val().into_data().iter::<f32>().collect();
    let read = |(name, layer): (String, &mut Linear<B>)| {
        let (inputs, outputs) = layer.features();
        let last = layer.adapters.last()?;
        let (a, b) = (values(&last.a), values(&last.b));
        Some((name, LowRankPair { a, b, rank: last.a.dims()[0], inputs, outputs, scale: last.scale as f32 }))
    };
    model.linear_layers().into_iter().filter_map(read).collect()
}

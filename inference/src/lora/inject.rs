//! How low-rank pairs reach the layers of a model: beside the weights and not merged into them, unless somebody asks for it;
//! several at once and each with its own strength (Hu et al., "LoRA", 2021).

use std::collections::BTreeMap;

use burn::{
    module::{Param, ParamId},
    tensor::{DType, Element, Tensor, TensorData, backend::Backend},
};

use super::adapter::LowRankPair;
use crate::{
    device::is_processor,
    error::{Error, Result},
    flux2::transformer::Flux2Transformer,
    nn::{
        convolution::{Conv2d, LowRankConvolution},
        linear::{Linear, LowRank},
    },
};

/// A model whose layers take low-rank pairs.
pub trait Adaptable<B: Backend> {
    /// Every linear layer under the path that the published state dict gives it, without `.weight`.
    fn linear_layers(&mut self) -> BTreeMap<String, &mut Linear<B>>;

    /// Every convolution that takes pairs, under such a path.
    fn convolutions(&mut self) -> BTreeMap<String, &mut Conv2d<B>> {
        BTreeMap::new()
    }
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

/// The pairs of a LoRA on a device, ready to be laid beside the layers of any copy of a model: that copies no number.
#[derive(Clone, Debug)]
pub struct Prepared<B: Backend>(BTreeMap<String, PreparedPair<B>>);

/// A pair on a device.
#[derive(Clone, Debug)]
struct PreparedPair<B: Backend> {
    /// `[rank, inputs]`.
    a: Tensor<B, 2>,
    /// `[outputs, rank]`.
    b: Tensor<B, 2>,
    scale: f64,
}

impl<B: Backend> Prepared<B> {
    /// Brings pairs to a device, in the precision in which the backend keeps weights.
    ///
    /// # Errors
    /// [`Error::Lora`] when a pair's matrices are not of the rank that it states.
    pub fn new(pairs: BTreeMap<String, LowRankPair>, device: &B::Device) -> Result<Self> {
        Self::in_precision(pairs, <B::FloatElem as Element>::dtype(), device)
    }

    fn in_precision(pairs: BTreeMap<String, LowRankPair>, precision: DType, device: &B::Device) -> Result<Self> {
        let prepare = |(name, pair): (String, LowRankPair)| {
            let LowRankPair { a, b, rank, inputs, outputs, scale, .. } = pair;
            if rank == 0 || a.len() != rank * inputs || b.len() != rank * outputs {
                return Err(Error::Lora(format!(
                    "The LoRA's `{name}` says rank {rank}, and its matrices say another one."
                )));
            }
            let matrix = |values: Vec<f32>, shape: [usize; 2]| {
                Tensor::from_data(TensorData::new(values, shape), (device, precision))
            };
            let (a, b) = (matrix(a, [rank, inputs]), matrix(b, [outputs, rank]));
            Ok((name, PreparedPair { a, b, scale: f64::from(scale) }))
        };
        Ok(Self(pairs.into_iter().map(prepare).collect::<Result<_>>()?))
    }

    /// The pairs whose names begin with a part of a pipeline, under their names within it.
    pub fn of_part(&self, part: &str) -> Self {
        let within = |name: &str| Some(name.strip_prefix(part)?.strip_prefix('.')?.to_owned());
        Self(self.0.iter().filter_map(|(name, pair)| Some((within(name)?, pair.clone()))).collect())
    }

    /// The names of the layers that it adapts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Bytes that it fills.
    pub fn bytes(&self) -> usize {
        let of = |matrix: &Tensor<B, 2>| matrix.shape().num_elements() * matrix.dtype().size();
        self.0.values().map(|pair| of(&pair.a) + of(&pair.b)).sum()
    }

    /// Lays the pairs beside the layers that they name, after those that are there already. On an autodiff backend they are
    /// trainable; whether the weights beside them are is the caller's to say (`no_grad`). `strength` multiplies each pair's
    /// own scale and may be negative.
    ///
    /// # Errors
    /// [`Error::Lora`] when a name is no layer of the model that takes pairs, or a shape is not its layer's; then nothing is
    /// attached.
    pub fn attach<M: Adaptable<B>>(&self, model: &mut M, strength: f64) -> Result<()> {
        self.check(model)?;
        for (name, layer) in model.linear_layers() {
            let Some(PreparedPair { a, b, scale }) = self.0.get(&name) else { continue };
            layer.adapt(LowRank { a: learnt(a), b: learnt(b), scale: scale * strength });
        }
        for (name, layer) in model.convolutions() {
            let Some(PreparedPair { a, b, scale }) = self.0.get(&name) else { continue };
            let [rank, _] = a.dims();
            let [_, inputs, height, width] = layer.weight.dims();
            let down =
                Param::initialized(ParamId::new(), a.clone().reshape([rank, inputs, height, width]).require_grad());
            layer.adapters.push(LowRankConvolution { down, up: learnt(b), scale: scale * strength });
        }
        Ok(())
    }

    fn check<M: Adaptable<B>>(&self, model: &mut M) -> Result<()> {
        let linear = model.linear_layers().into_iter().map(|(name, layer)| (name, layer.features()));
        let mut sizes: BTreeMap<String, (usize, usize)> = linear.collect();
        sizes.extend(model.convolutions().into_iter().map(|(name, layer)| (name, layer.features())));
        for (name, PreparedPair { a, b, .. }) in &self.0 {
            let ([_, pair_inputs], [pair_outputs, _]) = (a.dims(), b.dims());
            let Some(&(inputs, outputs)) = sizes.get(name) else {
                return Err(Error::Lora(format!(
                    "The LoRA adapts `{name}`, which this model does not have. It was made for another model."
                )));
            };
            if (pair_inputs, pair_outputs) != (inputs, outputs) {
                return Err(Error::Lora(format!(
                    "The LoRA's `{name}` takes {pair_inputs} numbers to {pair_outputs}, and the model's {inputs} to {outputs}. It was made for another model.",
                )));
            }
        }
        Ok(())
    }
}

/// A matrix as a parameter of its own, which shares the numbers.
fn learnt<B: Backend>(matrix: &Tensor<B, 2>) -> Param<Tensor<B, 2>> {
    Param::initialized(ParamId::new(), matrix.clone().require_grad())
}

/// [Prepares](Prepared::new) pairs and [lays](Prepared::attach) them beside a model's layers, in f32 whatever the model's
/// precision: what is trained must be able to change by a little.
///
/// # Errors
/// As both of them.
pub fn attach<B: Backend, M: Adaptable<B>>(
    model: &mut M,
    pairs: &BTreeMap<String, LowRankPair>,
    strength: f64,
    device: &B::Device,
) -> Result<()> {
    Prepared::in_precision(pairs.clone(), DType::F32, device)?.attach(model, strength)
}

/// Adds the pairs to the weights that they lie beside, which become the model's own: a step costs nothing more for them,
/// and taking them away again takes the weights as they were.
pub fn merge<B: Backend, M: Adaptable<B>>(model: &mut M) {
    model.linear_layers().into_values().for_each(Linear::merge_adapters);
    model.convolutions().into_values().for_each(Conv2d::merge_adapters);
}

/// Share of a layer's operations that its pairs may take before it is worth while to [add them up](Linear::add_up).
const LITTLE_OVERHEAD: f64 = 0.02;

/// The most memory that matrices which were added up take, in bytes: with them weights lie in memory twice.
const MOST_ADDED_UP: usize = 256 << 20;

/// Has the layers of a small model compute with the sum of their weight and their pairs, on the processor: a step costs nothing more for
/// pairs then, which in narrow layers take a tenth of it. The weights stay as they are, so that pairs are exchanged as before.
pub fn add_up<B: Backend, M: Adaptable<B>>(model: &mut M, device: &B::Device) {
    if !is_processor::<B>(device) {
        return;
    }
    let layers = model.linear_layers().into_values().filter(|layer| layer.overhead() > LITTLE_OVERHEAD);
    let layers: Vec<&mut Linear<B>> = layers.collect();
    let numbers = layers.iter().map(|layer| layer.features()).map(|(inputs, outputs)| inputs * outputs).sum::<usize>();
    if numbers * size_of::<f32>() <= MOST_ADDED_UP {
        layers.into_iter().for_each(Linear::add_up);
    }
}

/// Takes all pairs away.
pub fn detach<B: Backend, M: Adaptable<B>>(model: &mut M) {
    model.linear_layers().into_values().for_each(Linear::detach);
    model.convolutions().into_values().for_each(|layer| layer.adapters.clear());
}

/// The last pair of every linear layer that has one, as plain numbers. Its scale holds the strength that it was attached with.
pub fn last_pairs<B: Backend, M: Adaptable<B>>(model: &mut M) -> BTreeMap<String, LowRankPair> {
    let values = |parameter: &Param<Tensor<B, 2>>| parameter.val().into_data().iter::<f32>().collect();
    let read = |(name, layer): (String, &mut Linear<B>)| {
        let (inputs, outputs) = layer.features();
        let last = layer.adapters.last()?;
        let (a, b) = (values(&last.a), values(&last.b));
        Some((
            name,
            LowRankPair { a, b, rank: last.a.dims()[0], inputs, outputs, kernel: None, scale: last.scale as f32 },
        ))
    };
    model.linear_layers().into_iter().filter_map(read).collect()
}

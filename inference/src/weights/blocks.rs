//! The weights of a denoiser's blocks in eight bits. From files they come to the device layer by layer, so that there is never more
//! than one in 16 bits, and those that the files have in eight bits, with a factor for all or for each row, stay what they are.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use burn::{
    module::{Param, ParamId},
    store::ModuleSnapshot,
    tensor::{Element, Tensor, backend::Backend},
};
use safetensors::Dtype;

use super::module_file::{self, Halves, TensorInFile};
use crate::{
    error::{Error, Result},
    lora::inject::Adaptable,
    nn::linear::{Blocks, Linear, fp8_as_stored},
};

/// Has the weights of a network's blocks in eight bits, as they are on the device already.
pub(super) fn keep_in_fp8<B: Backend>(network: &mut impl Blocks<B>) {
    network.layers_by_input().into_iter().for_each(Linear::keep_in_fp8);
}

/// Fills a network, the weights of its blocks in eight bits. For `rename` see [`module_file::load`].
///
/// # Errors
/// As [`module_file::load`].
pub(super) fn load_in_fp8<B: Backend, M: ModuleSnapshot<B> + Adaptable<B> + Blocks<B>>(
    mut network: M,
    files: &[PathBuf],
    rename: impl Fn(&str) -> Option<String>,
    device: &B::Device,
) -> Result<M> {
    let groups = names_by_input(&mut network, &rename);
    let names: HashSet<&str> = groups.iter().flatten().map(String::as_str).collect();
    let tensors = module_file::open(files, rename)?;
    let (of_blocks, others): (Vec<_>, Vec<_>) =
        tensors.into_iter().partition(|tensor| names.contains(tensor.name.as_str()));
    let of_blocks: HashMap<&str, &TensorInFile> =
        of_blocks.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let is_of_blocks = |name: &str| names.contains(name);
    let mut network = module_file::fill::<B, M>(network, others, &is_of_blocks, Halves::Widened, files)?;
    for (layers, names) in network.layers_by_input().into_iter().zip(&groups) {
        let stored = layers.iter().zip(names).map(|(layer, name)| {
            let stored = of_blocks.get(name.as_str()).copied();
            fitting(stored, layer.features()).map_err(|what| {
                Error::Weights(format!("The weights in {} do not fit: `{name}` {what}.", files[0].display()))
            })
        });
        let stored = stored.collect::<Result<Vec<_>>>()?;
        put_in_fp8(layers, &stored, device);
    }
    Ok(network)
}

/// The names that the module's weights of blocks have, by the layers' inputs.
fn names_by_input<B: Backend, M: Adaptable<B> + Blocks<B>>(
    network: &mut M,
    rename: impl Fn(&str) -> Option<String>,
) -> Vec<Vec<String>> {
    // Layers are asked for by the names that files have for them.
    let named = |(path, layer): (String, &mut Linear<B>)| Some((layer.weight.id, rename(&format!("{path}.weight"))?));
    let names: HashMap<ParamId, String> = network.linear_layers().into_iter().filter_map(named).collect();
    let name = |layer: &&mut Linear<B>| names.get(&layer.weight.id).cloned().expect("invariant: layers have names");
    network.layers_by_input().iter().map(|layers| layers.iter().map(name).collect()).collect()
}

/// A layer's stored weight, if it is there and of its shape; otherwise the rest of a sentence.
fn fitting(stored: Option<&TensorInFile>, (inputs, outputs): (usize, usize)) -> Result<&TensorInFile, String> {
    let stored = stored.ok_or("is missing")?;
    if stored.shape == [outputs, inputs] {
        return Ok(stored);
    }
    Err(format!("has the shape {:?}, and the configuration wants {:?}", stored.shape, [outputs, inputs]))
}

/// Puts stored weights of layers of one input in their places.
fn put_in_fp8<B: Backend>(mut layers: Vec<&mut Linear<B>>, stored: &[&TensorInFile], device: &B::Device) {
    let as_stored = stored.iter().map(|tensor| numbers_and_factors(tensor)).collect::<Option<Vec<_>>>();
    if let Some(weights) = as_stored.and_then(|stored| fp8_as_stored::<B>(&stored, device)) {
        return Linear::replace_by_fp8(layers, weights);
    }
    let native = <B::FloatElem as Element>::dtype();
    for (layer, tensor) in layers.iter_mut().zip(stored) {
        let weight = Tensor::from_data(tensor.data(native), (device, native));
        layer.weight = Param::initialized(layer.weight.id, weight);
    }
    Linear::keep_in_fp8(layers);
}

/// Numbers of eight bits and the factors of their rows, if a tensor is stored so.
fn numbers_and_factors(tensor: &TensorInFile) -> Option<(&[u8], Vec<f32>)> {
    let rows = tensor.shape[0];
    let factors = match &tensor.factor {
        Some(factor) => factor.of_rows(rows)?,
        None => vec![1.0; rows],
    };
    (tensor.dtype == Dtype::F8_E4M3).then_some((&tensor.bytes, factors))
}

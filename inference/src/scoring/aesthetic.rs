//! A head that says how much people like a picture, from CLIP's embedding of it: the linear layers of LAION's aesthetic
//! predictor (`christophschuhmann/improved-aesthetic-predictor`), which have no activation between them.

use std::path::Path;

use burn::tensor::{Tensor, backend::Backend};

use crate::{
    error::{Error, Result},
    weights::tensor_file::TensorFile,
};

/// The file beside CLIP's weights.
pub const FILE: &str = "aesthetic.safetensors";

/// Linear layers from an embedding to one number.
#[derive(Clone, Debug)]
pub struct AestheticHead<B: Backend> {
    layers: Vec<(Tensor<B, 2>, Tensor<B, 2>)>,
}

impl<B: Backend> AestheticHead<B> {
    /// Reads the head that lies beside CLIP's weights, if one does: `NAME.weight` and `NAME.bias` a layer, in the order of
    /// the numbers in their names.
    ///
    /// # Errors
    /// When the file is damaged, or its layers do not lead from an embedding of `width` to one number.
    pub fn read(folder: &Path, width: usize, device: &B::Device) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let file = TensorFile::read(&path)?;
        let mut names: Vec<(usize, String)> = file
            .names()
            .filter_map(|name| name.strip_suffix("weight"))
            .map(|name| (number(name), name.to_owned()))
            .collect();
        names.sort();
        let mut layers = Vec::with_capacity(names.len());
        let mut inputs = width;
        for (_, name) in names {
            let (weight, bias) = (format!("{name}weight"), format!("{name}bias"));
            let [outputs, taken] = file.data(&weight)?.shape[..] else {
                return Err(refused(&path, &format!("`{weight}` is no matrix")));
            };
            if taken != inputs || file.data(&bias)?.num_elements() != outputs {
                return Err(refused(&path, &format!("`{weight}` takes {taken} numbers where {inputs} come")));
            }
            let bias = file.tensor::<B, 1>(&bias, device)?.reshape([1, outputs]);
            layers.push((file.tensor::<B, 2>(&weight, device)?.transpose(), bias));
            inputs = outputs;
        }
        if layers.is_empty() || inputs != 1 {
            return Err(refused(&path, &format!("it ends in {inputs} numbers; a score is one")));
        }
        Ok(Some(Self { layers }))
    }

    /// Embeddings of length one, `[batch, width]` → `[batch, 1]`; LAION's head says 1 to 10.
    pub fn forward(&self, embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
        self.layers.iter().fold(embeddings, |state, (weight, bias)| state.matmul(weight.clone()) + bias.clone())
    }
}

/// The last number in a name; layers are counted.
fn number(name: &str) -> usize {
    name.split('.').filter_map(|part| part.parse().ok()).next_back().unwrap_or_default()
}

fn refused(file: &Path, why: &str) -> Error {
    Error::Weights(format!("`{}` is no aesthetic head for this CLIP: {why}.", file.display()))
}

//! LoRAs of drawn numbers for the starter model: small, each another one, and each changes pictures.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use atelier_domain::{
    ports::inspector::{InspectedLora, Inspector as _},
    seed::LoraMaker,
};
use atelier_inference::lora::{Adapter, Layout, LowRankPair, save};
use bytes::Bytes;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use crate::ModelInspector;

/// How strongly a drawn pair changes its layer, beside what the layer does.
const REACH: f32 = 0.15;

/// Makes LoRAs for a model of the FLUX.2 family.
pub struct SeededLoras {
    hidden: usize,
    context: usize,
    folder: tempfile::TempDir,
}

impl SeededLoras {
    /// For the model in a folder.
    ///
    /// # Errors
    /// When the folder holds no model, or there is no room for files that are gone again soon.
    pub fn new(model: &Path) -> anyhow::Result<Self> {
        let facts = atelier_inference::facts(model)?;
        Ok(Self {
            hidden: facts.hidden_width as usize,
            context: facts.context_width as usize,
            folder: tempfile::tempdir()?,
        })
    }
}

impl LoraMaker for SeededLoras {
    fn make(&self, number: u64) -> anyhow::Result<(Bytes, InspectedLora)> {
        let mut random = ChaCha20Rng::seed_from_u64(number);
        let mut pair = |inputs: usize, outputs: usize| {
            let mut draw = |count: usize, reach: f32| -> Vec<f32> {
                (0..count).map(|_| random.random_range(-reach..reach)).collect()
            };
            let reach = REACH * (outputs as f32).sqrt();
            LowRankPair {
                a: draw(inputs, 1.0 / (inputs as f32).sqrt()),
                b: draw(outputs, reach),
                rank: 1,
                inputs,
                outputs,
                kernel: None,
                scale: 1.0,
            }
        };
        let targets = BTreeMap::from([
            ("context_embedder".to_owned(), pair(self.context, self.hidden)),
            ("transformer_blocks.0.attn.to_out.0".to_owned(), pair(self.hidden, self.hidden)),
        ]);
        let adapter = Adapter::new(targets, BTreeMap::new());
        let file = self.folder.path().join(format!("{number}.safetensors"));
        save(&adapter, Layout::Bfl, &file)?;
        let facts = ModelInspector::default().lora(&file).map_err(|rejected| anyhow::anyhow!(rejected.0))?;
        let bytes = std::fs::read(&file).context("A file that was just written is gone.")?;
        std::fs::remove_file(&file)?;
        Ok((bytes.into(), facts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_lora_of_its_own_that_is_understood() {
        let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inference/starter");
        let maker = SeededLoras::new(&starter).expect("the starter model");
        let (one, facts) = maker.make(1).expect("a LoRA");
        assert_eq!((facts.matched_share, facts.rank, facts.family.as_str()), (1.0, 1, "flux2"));
        assert!(facts.problems.is_empty(), "{:?}", facts.problems);
        assert_eq!(maker.make(1).expect("the same").0, one);
        assert_ne!(maker.make(2).expect("another").0, one);
        assert!(one.len() < 8_000, "{} bytes", one.len());
    }
}

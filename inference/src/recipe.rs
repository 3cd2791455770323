//! How a picture was made: written into PNG files, and read back from ours and from those of other programs.

mod a1111;
mod comfyui;
mod invokeai;

use serde::{Deserialize, Serialize};

use crate::render::SizeConditioning;

/// The keyword of our own PNG text chunk: a [`Recipe`] as JSON.
pub const ATELIER_KEYWORD: &str = "atelier";

/// The keyword of the PNG text chunk that AUTOMATIC1111's web UI and most others read.
pub const PARAMETERS_KEYWORD: &str = "parameters";

/// Everything that is needed to make a picture again. What another program's recipe does not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// What the picture shows.
    pub prompt: String,
    /// What it shall not show; empty where there is nothing.
    pub negative_prompt: String,
    /// Name of the base model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Hash of the base model, in whatever form the program wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_hash: Option<String>,
    /// Name of the sampler or scheduler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<String>,
    /// Seed of the noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Denoising steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Guidance scale, also called CFG scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f64>,
    /// Pixels across.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// The LoRAs in use.
    pub loras: Vec<RecipeLora>,
    /// SHA-256 of the pictures that it was made from, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// The picture that it began as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<RecipeStart>,
    /// What SDXL was told of its size, where it was told another than that it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_conditioning: Option<SizeConditioning>,
}

/// The picture that another began as.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RecipeStart {
    /// SHA-256 of the picture.
    pub picture: String,
    /// SHA-256 of the mask, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// How much of it was drawn anew, up to 1.
    pub strength: f64,
    /// Pixels that were drawn around it: on the left, above, on the right and below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margins: Option<[u32; 4]>,
}

/// A LoRA in a recipe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RecipeLora {
    /// Its name, without the file's ending.
    pub name: String,
    /// Its hash: the first 10 digits of the file's SHA-256 (AutoV2), 12 of the one after the header (AutoV3), or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// How strongly it is applied; 1 is as trained.
    pub strength: f64,
}

/// The program whose recipe was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipeSource {
    /// Our own JSON.
    Atelier,
    /// The `parameters` text of AUTOMATIC1111's web UI and its relatives.
    A1111,
    /// The `prompt` or `workflow` graph of ComfyUI.
    ComfyUi,
    /// The `invokeai_metadata` JSON of InvokeAI.
    InvokeAi,
}

impl Recipe {
    /// The recipe as PNG text chunks (keyword, text): `parameters` in A1111's form and `atelier` as JSON.
    pub fn to_text_chunks(&self) -> Vec<(String, String)> {
        let json = serde_json::to_string(self).expect("invariant: a recipe of strings and numbers is JSON");
        vec![(PARAMETERS_KEYWORD.to_owned(), self.to_a1111()), (ATELIER_KEYWORD.to_owned(), json)]
    }

    /// Reads the recipe out of a picture's text chunks, of whichever program: ours first, then the one that says most.
    /// None when no chunk holds a recipe that can be understood.
    pub fn from_text_chunks(chunks: &[(String, String)]) -> Option<(RecipeSource, Self)> {
        let text = |keyword: &str| chunks.iter().find(|(found, _)| found == keyword).map(|(_, text)| text.as_str());
        let atelier = || serde_json::from_str(text(ATELIER_KEYWORD)?).ok();
        let invokeai = || invokeai::read(text("invokeai_metadata")?);
        let comfyui = || text("prompt").and_then(comfyui::read).or_else(|| comfyui::read_workflow(text("workflow")?));
        let a1111 = || a1111::read(text(PARAMETERS_KEYWORD)?);
        None.or_else(|| Some((RecipeSource::Atelier, atelier()?)))
            .or_else(|| Some((RecipeSource::InvokeAi, invokeai()?)))
            .or_else(|| Some((RecipeSource::A1111, a1111()?)))
            .or_else(|| Some((RecipeSource::ComfyUi, comfyui()?)))
    }
}

/// A LoRA's or model's name from its file name: without folders and without the ending.
fn name_of_file(file: &str) -> String {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let endings = [".safetensors", ".ckpt", ".pt", ".sft", ".gguf"];
    let stem = endings.iter().find_map(|ending| name.strip_suffix(ending));
    stem.unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Picture, read_png_text};
    use proptest::prelude::*;

    fn recipes() -> impl Strategy<Value = Recipe> {
        let lora = (
            "[a-zA-Z灯0-9/;._-]([ a-zA-Zß灯🌊0-9/;._()\"-]{0,12}[a-z0-9)])?",
            proptest::option::of("[0-9a-f]{10}"),
            -2i32..=2,
        )
            .prop_map(|(name, hash, halves)| RecipeLora { name, hash, strength: f64::from(halves) / 2.0 });
        let text = "[a-zA-Zäß灯🌊(),.:0-9]([ a-zA-Zäß灯🌊(),.:\"\\\\\n0-9]{0,50}[a-z.])?";
        let named = || proptest::option::of("[A-Za-z0-9\"灯](([A-Za-z0-9 ,:.\\\\\"]){0,12}[A-Za-z0-9\"])?");
        (
            (text, proptest::option::of(text), named(), proptest::option::of("[0-9a-f]{10}"), named()),
            (proptest::option::of(any::<u64>()), proptest::option::of(any::<u32>()), proptest::option::of(0i32..80)),
            (any::<bool>(), 1u32..9000, 1u32..9000),
            proptest::collection::vec(lora, 0..3),
        )
            .prop_map(
                |((prompt, negative, model, model_hash, sampler), (seed, steps, guidance), size, loras)| Recipe {
                    prompt,
                    negative_prompt: negative.unwrap_or_default(),
                    model,
                    model_hash,
                    sampler,
                    seed,
                    steps,
                    guidance: guidance.map(|quarters| f64::from(quarters) / 4.0),
                    width: size.0.then_some(size.1),
                    height: size.0.then_some(size.2),
                    // Hashes are told by name: two of one name could not be told apart.
                    loras: loras
                        .iter()
                        .enumerate()
                        .filter(|(at, lora)| !loras[..*at].iter().any(|l| l.name == lora.name))
                        .map(|(_, lora)| lora.clone())
                        .collect(),
                    references: Vec::new(),
                    start: None,
                    size_conditioning: None,
                },
            )
    }

    proptest! {
        #[test]
        fn our_recipe_survives_a_png(recipe in recipes()) {
            let file = Picture::filled(8, 8, [1, 2, 3]).encode_png(&recipe.to_text_chunks());
            let read = Recipe::from_text_chunks(&read_png_text(&file).unwrap());
            prop_assert_eq!(read, Some((RecipeSource::Atelier, recipe)));
        }

        /// The text alone gives the same back, as long as it says one number at least: a bare prompt cannot be told
        /// from any other text.
        #[test]
        fn the_a1111_text_says_the_same(recipe in recipes()) {
            let recipe = Recipe { steps: Some(recipe.steps.unwrap_or(20)), seed: Some(recipe.seed.unwrap_or(7)), ..recipe };
            let mut chunks = recipe.to_text_chunks();
            chunks.retain(|(keyword, _)| keyword == PARAMETERS_KEYWORD);
            prop_assert_eq!(Recipe::from_text_chunks(&chunks), Some((RecipeSource::A1111, recipe)));
        }

        #[test]
        fn nothing_that_is_read_panics(keyword in "parameters|atelier|prompt|workflow|invokeai_metadata", text in ".{0,200}") {
            let _ = Recipe::from_text_chunks(&[(keyword, text)]);
        }
    }
}

//! CLIP (Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021): texts and pictures
//! as vectors of one space. `transformers/models/clip/modeling_clip.py`, `CLIPModel`.

use std::path::Path;

use burn::tensor::{Tensor, backend::Backend};

use super::{clip_config::ClipModelConfig, clip_vision::ClipVisionEncoder, preprocessing::Preprocessing};
use crate::{
    error::{Error, Result},
    image::Picture,
    text::{clip::ClipTextEncoder, clip_tokenizer::ClipTokenizer},
    weights::{folder, module_file},
};

/// Both towers of CLIP on a device.
#[derive(Clone)]
pub struct Clip<B: Backend> {
    tokenizer: ClipTokenizer,
    text: ClipTextEncoder<B>,
    vision: ClipVisionEncoder<B>,
    preprocessing: Preprocessing,
    /// Width of the embeddings.
    pub width: usize,
    device: B::Device,
}

impl<B: Backend> Clip<B> {
    /// Loads a folder of transformers: `config.json`, `model.safetensors`, the tokenizer, `preprocessor_config.json`.
    ///
    /// # Errors
    /// When a file is missing, damaged, or says what is not understood.
    pub fn load(folder: &Path, device: &B::Device) -> Result<Self> {
        let config: ClipModelConfig = folder::read_json(&folder.join("config.json"))?;
        config.check()?;
        let (text_config, vision_config) = (config.text()?, config.vision()?);
        let files = folder::weight_files(folder)?;
        let text = ClipTextEncoder::new(&text_config, true, device);
        let text = module_file::load::<B, _>(text, &files, text_name)?;
        let vision = ClipVisionEncoder::new(&vision_config, device);
        let vision = module_file::load::<B, _>(vision, &files, vision_name)?;
        let tokenizer = ClipTokenizer::load(folder)?;
        if tokenizer.vocabulary() > text_config.vocab_size || tokenizer.longest() > text_config.max_position_embeddings
        {
            return Err(Error::Config(format!(
                "The tokenizer in `{}` has {} entries and {} places, and the text encoder {} and {}. They do not belong \
                 together.",
                folder.display(),
                tokenizer.vocabulary(),
                tokenizer.longest(),
                text_config.vocab_size,
                text_config.max_position_embeddings
            )));
        }
        let edge = u32::try_from(vision_config.image_size).unwrap_or(u32::MAX);
        let preprocessing = Preprocessing::read(folder, edge)?;
        Ok(Self { tokenizer, text, vision, preprocessing, width: config.projection_dim, device: device.clone() })
    }

    /// A text → `[1, width]`, of length one.
    ///
    /// # Errors
    /// When the tokenizer fails on the text.
    pub fn embed_text(&self, text: &str) -> Result<Tensor<B, 2>> {
        let encoded = self.text.forward(&[self.tokenizer.encode(text)?], &self.device);
        let pooled =
            encoded.pooled.ok_or_else(|| Error::Config("CLIP's text encoder has no projection.".to_owned()))?;
        Ok(of_length_one(pooled))
    }

    /// A picture → `[1, width]`, of length one.
    pub fn embed_picture(&self, picture: &Picture) -> Tensor<B, 2> {
        of_length_one(self.vision.forward(self.preprocessing.tensor(picture, &self.device)))
    }
}

fn of_length_one<B: Backend>(vectors: Tensor<B, 2>) -> Tensor<B, 2> {
    vectors.clone() * vectors.square().sum_dim(1).sqrt().recip()
}

/// The text encoder's name of a tensor of the file; none for what it does not use.
fn text_name(name: &str) -> Option<String> {
    let name = name.strip_prefix("text_model.").or_else(|| name.starts_with("text_projection.").then_some(name))?;
    (name != "embeddings.position_ids").then(|| name.to_owned())
}

/// The picture encoder's name of a tensor of the file; none for what it does not use.
fn vision_name(name: &str) -> Option<String> {
    let is_its = name.starts_with("vision_model.") || name.starts_with("visual_projection.");
    (is_its && !name.ends_with("position_ids")).then(|| name.to_owned())
}

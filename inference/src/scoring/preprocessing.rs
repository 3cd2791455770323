//! How a picture is brought to what CLIP was trained on: `preprocessor_config.json`,
//! `transformers/models/clip/image_processing_clip.py`.

use std::path::Path;

use burn::tensor::{Tensor, TensorData, backend::Backend};
use serde::Deserialize;

use crate::{
    error::{Error, Result},
    image::{Part, Picture},
    resample,
    weights::folder,
};

/// Where a folder says it.
pub(super) const FILE: &str = "preprocessor_config.json";

/// OpenAI's statistics of its training pictures.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// Pillow's number of the bicubic filter.
const BICUBIC: u32 = 3;

/// Eight-bit values to 0 … 1.
const RESCALE: f64 = 1.0 / 255.0;

/// What the file says. What it leaves out is CLIP's own.
#[derive(Clone, Debug, Deserialize)]
struct Stated {
    #[serde(default)]
    size: Option<Size>,
    #[serde(default)]
    crop_size: Option<Size>,
    #[serde(default)]
    resample: Option<u32>,
    #[serde(default)]
    image_mean: Option<[f32; 3]>,
    #[serde(default)]
    image_std: Option<[f32; 3]>,
    #[serde(default)]
    rescale_factor: Option<f64>,
    #[serde(default)]
    do_resize: Option<bool>,
    #[serde(default)]
    do_center_crop: Option<bool>,
    #[serde(default)]
    do_normalize: Option<bool>,
}

/// A size, as newer and older files state it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Size {
    Edge(u32),
    Shortest { shortest_edge: u32 },
    Both { height: u32, width: u32 },
}

impl Size {
    /// The one edge that it states.
    fn edge(self) -> Result<u32> {
        match self {
            Self::Edge(edge) | Self::Shortest { shortest_edge: edge } => Ok(edge),
            Self::Both { height, width } if height == width => Ok(height),
            Self::Both { height, width } => {
                Err(Error::Config(format!("CLIP's pictures are squares, and the folder asks for {width} x {height}.")))
            }
        }
    }
}

/// Brings pictures to a square: the shorter edge to its size, the middle cut out, colours normalised.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessing {
    shortest_edge: u32,
    crop: u32,
    mean: [f32; 3],
    deviation: [f32; 3],
}

impl Preprocessing {
    /// Reads a folder's, for an encoder of pictures of so many pixels an edge; CLIP's own where the folder says nothing.
    ///
    /// # Errors
    /// When the file is not understood, or asks for what CLIP does not do.
    pub fn read(folder: &Path, edge: u32) -> Result<Self> {
        let file = folder.join(FILE);
        if !file.exists() {
            return Ok(Self { shortest_edge: edge, crop: edge, mean: MEAN, deviation: DEVIATION });
        }
        let stated: Stated = folder::read_json(&file)?;
        stated.check()?;
        let of = |size: Option<Size>| size.map_or(Ok(edge), Size::edge);
        let read = Self {
            shortest_edge: of(stated.size)?,
            crop: of(stated.crop_size)?,
            mean: stated.image_mean.unwrap_or(MEAN),
            deviation: stated.image_std.unwrap_or(DEVIATION),
        };
        if read.crop != edge || read.shortest_edge < edge {
            return Err(Error::Config(format!(
                "`{}` makes pictures of {} pixels, and the picture encoder takes {edge}. They do not belong together.",
                file.display(),
                read.crop.min(read.shortest_edge),
            )));
        }
        Ok(read)
    }

    /// A picture → `[1, 3, edge, edge]`.
    pub fn tensor<B: Backend>(&self, picture: &Picture, device: &B::Device) -> Tensor<B, 4> {
        let square = self.square(picture);
        let edge = self.crop as usize;
        let channel = |channel: usize| {
            let (mean, deviation) = (self.mean[channel], self.deviation[channel]);
            let values = square.rgb.iter().skip(channel).step_by(3);
            values.map(move |value| ((f64::from(*value) * RESCALE) as f32 - mean) / deviation)
        };
        let values: Vec<f32> = (0..3).flat_map(channel).collect();
        Tensor::from_data(TensorData::new(values, [1, 3, edge, edge]), device)
    }

    /// The middle of the picture, after its shorter edge was brought to its size. What is cut off is not made: of a line of pixels the
    /// whole would be as long as the line times the edge.
    fn square(&self, picture: &Picture) -> Picture {
        let (width, height) = (u64::from(picture.width.max(1)), u64::from(picture.height.max(1)));
        let shorter = width.min(height);
        let scaled = |edge: u64| (u64::from(self.shortest_edge) * edge / shorter) as u32;
        let (width, height) = (scaled(width), scaled(height));
        let (left, top) = ((width - self.crop) / 2, (height - self.crop) / 2);
        let middle = Part { left, top, width: self.crop, height: self.crop };
        resample::bicubic_part(picture, (width, height), middle)
    }
}

impl Stated {
    fn check(&self) -> Result<()> {
        let refuse = |what: &str| Err(Error::Config(format!("CLIP's `preprocessor_config.json` {what}.")));
        if self.resample.is_some_and(|filter| filter != BICUBIC) {
            return refuse("asks for another filter than the bicubic one, which CLIP was trained with");
        }
        if self.rescale_factor.is_some_and(|factor| (factor - RESCALE).abs() > 1e-9) {
            return refuse("states a `rescale_factor` other than 1/255");
        }
        if [self.do_resize, self.do_center_crop, self.do_normalize].contains(&Some(false)) {
            return refuse("turns off a step that CLIP was trained with");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_pixels_is_brought_to_a_square_without_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let preprocessing = Preprocessing::read(folder.path(), 224).unwrap();
        // Scaled as a whole it had 22 million pixels across and 224 down, 15 GB of them.
        let line = Picture::new(100_000, 1, vec![90; 300_000]).unwrap();
        for line in [Picture { width: 1, height: 100_000, ..line.clone() }, line] {
            assert!(preprocessing.square(&line) == Picture::filled(224, 224, [90; 3]), "it has other colours");
        }
    }
}

//! How well a picture shows what was asked for, and how good it is. With the weights of CLIP in a folder, adherence is the
//! cosine between text and picture, and an aesthetic head beside them says how much people would like it. Without weights
//! there are technical measures, which do not pretend to know either.

pub mod aesthetic;
pub mod clip;
pub mod clip_config;
pub mod clip_vision;
pub mod measures;
pub mod preprocessing;
#[cfg(test)]
mod tests;

use std::{fs::File, path::Path};

use burn::{
    backend::Flex,
    tensor::{ElementConversion, Tensor, backend::Backend},
};
use serde::{Deserialize, Serialize};

pub use self::measures::Measures;
use self::{aesthetic::AestheticHead, clip::Clip};
use crate::{
    device::DeviceName,
    dtype::Precision,
    error::{Error, Result},
    image::Picture,
    weights::folder,
};

/// What was found of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureScore {
    /// Cosine between what was asked for and what the picture shows, -1 to 1; nothing without CLIP, or without a prompt.
    pub adherence: Option<f64>,
    /// How much people would like it, 1 to 10 by LAION's head; nothing where no head lies beside CLIP.
    pub aesthetic: Option<f64>,
    /// Technical measures.
    pub measures: Measures,
}

/// Scores pictures.
pub struct Scorer {
    runner: Runner,
}

/// CLIP on one of the backends, or not there.
enum Runner {
    Without,
    Cpu(Box<Judge<Flex>>),
    #[cfg(feature = "cuda")]
    CudaF32(Box<Judge<burn::backend::Cuda<f32>>>),
    #[cfg(feature = "cuda")]
    CudaBf16(Box<Judge<burn::backend::Cuda<half::bf16>>>),
}

impl Scorer {
    /// A scorer without weights: it measures, and says nothing of adherence or taste.
    pub fn without_weights() -> Self {
        Self { runner: Runner::Without }
    }

    /// Loads CLIP, and the aesthetic head if one lies beside it as `aesthetic.safetensors`.
    ///
    /// # Errors
    /// When the device is missing or does not compute in such numbers, or a file of the folder is missing, damaged or not understood.
    pub fn load(folder: &Path, device: &DeviceName, precision: Precision) -> Result<Self> {
        device.check()?;
        device.check_precision(precision)?;
        let runner = match device {
            DeviceName::Cpu => Runner::Cpu(Box::new(Judge::load(folder, &Default::default())?)),
            #[cfg(feature = "cuda")]
            DeviceName::Cuda(number) => {
                let device = burn::backend::cuda::CudaDevice::new(*number);
                match precision {
                    Precision::F32 => Runner::CudaF32(Box::new(Judge::load(folder, &device)?)),
                    Precision::Bf16 | Precision::Fp8 => Runner::CudaBf16(Box::new(Judge::load(folder, &device)?)),
                }
            }
            #[cfg(not(feature = "cuda"))]
            DeviceName::Cuda(_) => return Err(DeviceName::without_cuda()),
        };
        Ok(Self { runner })
    }

    /// Whether it can say how well a picture shows what was asked for.
    pub const fn has_clip(&self) -> bool {
        !matches!(self.runner, Runner::Without)
    }

    /// CLIP's embedding of a picture, of length one: near where pictures show alike things. Nothing without CLIP.
    pub fn look(&self, picture: &Picture) -> Option<Vec<f32>> {
        match &self.runner {
            Runner::Without => None,
            Runner::Cpu(judge) => Some(judge.look(picture)),
            #[cfg(feature = "cuda")]
            Runner::CudaF32(judge) => Some(judge.look(picture)),
            #[cfg(feature = "cuda")]
            Runner::CudaBf16(judge) => Some(judge.look(picture)),
        }
    }

    /// Scores a picture that was to show what the prompt says.
    ///
    /// # Errors
    /// When the tokenizer fails on the prompt.
    pub fn score(&self, picture: &Picture, prompt: Option<&str>) -> Result<PictureScore> {
        let measures = Measures::of(picture);
        let (adherence, aesthetic) = match &self.runner {
            Runner::Without => (None, None),
            Runner::Cpu(judge) => judge.judge(picture, prompt)?,
            #[cfg(feature = "cuda")]
            Runner::CudaF32(judge) => judge.judge(picture, prompt)?,
            #[cfg(feature = "cuda")]
            Runner::CudaBf16(judge) => judge.judge(picture, prompt)?,
        };
        Ok(PictureScore { adherence, aesthetic, measures })
    }
}

/// CLIP and the head beside it.
struct Judge<B: Backend> {
    clip: Clip<B>,
    head: Option<AestheticHead<B>>,
}

impl<B: Backend> Judge<B> {
    fn load(folder: &Path, device: &B::Device) -> Result<Self> {
        let clip = Clip::load(folder, device)?;
        let head = AestheticHead::read(folder, clip.width, device)?;
        Ok(Self { clip, head })
    }

    fn look(&self, picture: &Picture) -> Vec<f32> {
        self.clip.embed_picture(picture).into_data().iter::<f32>().collect()
    }

    /// Adherence to the prompt, and how much people would like the picture.
    fn judge(&self, picture: &Picture, prompt: Option<&str>) -> Result<(Option<f64>, Option<f64>)> {
        let shown = self.clip.embed_picture(picture);
        let adherence = prompt.map(|prompt| {
            let wanted = self.clip.embed_text(prompt)?;
            Ok(number((wanted * shown.clone()).sum()))
        });
        let aesthetic = self.head.as_ref().map(|head| number(head.forward(shown).reshape([1])));
        Ok((adherence.transpose()?, aesthetic))
    }
}

/// A name that CLIP folders of equal weights and equal preprocessing share, and no others: the first digits of a BLAKE3 hash.
///
/// # Errors
/// When a file of the folder is missing or cannot be read.
pub fn fingerprint(folder: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let weights = folder::weight_files(folder)?;
    let settings = ["config.json", preprocessing::FILE].map(|name| folder.join(name));
    for path in settings.iter().filter(|file| file.exists()).chain(&weights) {
        let mut read = || std::io::copy(&mut File::open(path)?, &mut hasher);
        read().map_err(Error::io(path))?;
    }
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

fn number<B: Backend>(value: Tensor<B, 1>) -> f64 {
    value.into_scalar().elem()
}

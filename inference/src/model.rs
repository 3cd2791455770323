//! A model on a device: what the rest of the world sees of a pipeline, whatever backend is behind it.

use std::path::Path;

use burn::{
    backend::{Autodiff, Flex},
    tensor::backend::{AutodiffBackend, Backend},
};
use serde::{Deserialize, Serialize};

use crate::{
    device::DeviceName,
    dtype::Precision,
    error::{Error, Result},
    flux2::{
        configs::{Configs as Flux2Configs, Variant},
        pipeline::{Flux2Pipeline, prompt_length},
    },
    memory,
    progress::Sink,
    render::{RenderRequest, Rendered},
    sdxl::{
        configs::{self as sdxl_configs, Configs as SdxlConfigs},
        pipeline::SdxlPipeline,
    },
    text::{clip_tokenizer, tokenizer},
    weights::folder,
};

/// A family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// FLUX.2.
    Flux2,
    /// Stable Diffusion XL.
    Sdxl,
}

impl Family {
    /// The family of a folder, by the class in its `model_index.json`.
    ///
    /// # Errors
    /// When the file is missing, or names a class that is not read.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct ModelIndex {
            #[serde(rename = "_class_name")]
            class_name: String,
        }
        let index: ModelIndex = folder::read_json(&folder.join("model_index.json"))?;
        let class_name = index.class_name.as_str();
        if Variant::ALL.iter().any(|variant| variant.pipeline() == class_name) {
            return Ok(Self::Flux2);
        }
        if class_name == sdxl_configs::PIPELINE {
            return Ok(Self::Sdxl);
        }
        Err(Error::Folder(format!(
            "`{}` holds a {class_name}. Folders of FLUX.2 [klein] ({}), FLUX.2 [dev] ({}) and SDXL ({}) are read.",
            folder.display(),
            Variant::Klein.pipeline(),
            Variant::Dev.pipeline(),
            sdxl_configs::PIPELINE
        )))
    }
}

/// What a model is, as its folder says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// `flux2` or `sdxl`.
    pub family: String,
    /// `klein` or `dev` of FLUX.2; `base` or `turbo` of SDXL.
    pub variant: String,
    /// Width of the transformer's streams, or of a UNet's largest level.
    pub hidden_width: u32,
    /// Width of the text context.
    pub context_width: u32,
    /// Blocks of the transformer, or of all transformers of a UNet.
    pub blocks: u32,
    /// Tokens of a prompt: every one is padded to so many.
    pub text_tokens: u32,
    /// Pixels across of the pictures that it was trained on.
    pub native_width: u32,
    /// Pixels down of the pictures that it was trained on.
    pub native_height: u32,
    /// Width and height are multiples of so many pixels.
    pub size_multiple: u32,
    /// Steps where nobody says otherwise.
    pub default_steps: u32,
    /// Guidance scale where nobody says otherwise.
    pub default_guidance: f64,
    /// Whether it was distilled to few steps without guidance.
    pub distilled: bool,
    /// What steps through the noise, as A1111 and its relatives name it in recipes: `Euler`, or `Euler a` where noise is added again
    /// after every step.
    pub sampler: String,
}

/// Reads what a model is from the configurations of its folder; no weight is touched.
///
/// # Errors
/// When the folder is not whole or holds what is not understood, by name.
pub fn facts(folder: &Path) -> Result<ModelFacts> {
    match Family::of(folder)? {
        Family::Flux2 => {
            let configs = Flux2Configs::read(folder)?;
            let text_tokens = prompt_length(tokenizer::longest(&folder.join("tokenizer"))?);
            Ok(ModelFacts::of_flux2(&configs, text_tokens))
        }
        Family::Sdxl => {
            let configs = SdxlConfigs::read(folder)?;
            let text_tokens = clip_tokenizer::longest(&folder.join("tokenizer"))?;
            Ok(ModelFacts::of_sdxl(&configs, text_tokens))
        }
    }
}

/// A size as the facts state it.
fn size(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

impl ModelFacts {
    fn of_flux2(configs: &Flux2Configs, text_tokens: usize) -> Self {
        let distilled = configs.is_distilled;
        // As the models' cards advise: few steps without guidance where it was distilled, 50 with 4 where not ([dev] too).
        let (steps, guidance) = if distilled { (4, 1.0) } else { (50, 4.0) };
        Self {
            family: "flux2".to_owned(),
            variant: configs.variant.to_string(),
            hidden_width: size(configs.transformer.hidden()),
            context_width: size(configs.transformer.joint_attention_dim),
            blocks: size(configs.transformer.num_layers + configs.transformer.num_single_layers),
            text_tokens: size(text_tokens),
            native_width: configs.native_size,
            native_height: configs.native_size,
            size_multiple: configs.size_multiple(),
            default_steps: configs.advised_steps.unwrap_or(steps),
            default_guidance: configs.advised_guidance.unwrap_or(guidance),
            distilled,
            sampler: "Euler".to_owned(),
        }
    }

    fn of_sdxl(configs: &SdxlConfigs, text_tokens: usize) -> Self {
        let distilled = configs.is_turbo();
        // As the models' cards advise: one step without guidance where it was distilled.
        let (variant, steps, guidance) = if distilled { ("turbo", 1, 0.0) } else { ("base", 30, 5.0) };
        Self {
            family: "sdxl".to_owned(),
            variant: variant.to_owned(),
            hidden_width: size(configs.unet.block_out_channels[0]),
            context_width: size(configs.unet.cross_attention_dim),
            blocks: size(configs.unet.transformer_blocks()),
            text_tokens: size(text_tokens),
            native_width: configs.native_size(),
            native_height: configs.native_size(),
            size_multiple: configs.size_multiple(),
            default_steps: configs.advised_steps.unwrap_or(steps),
            default_guidance: configs.advised_guidance.unwrap_or(guidance),
            distilled,
            sampler: if configs.scheduler.is_ancestral() { "Euler a" } else { "Euler" }.to_owned(),
        }
    }
}

/// A model with its weights on a device.
pub struct Model {
    runner: Runner,
    facts: ModelFacts,
    device: DeviceName,
    /// Bytes that its weights take beside themselves while a LoRA is trained: those of eight bits are kept widened as well, from the
    /// layers' forward passes to their backward ones.
    widened: u64,
}

/// A pipeline of one of the families.
pub(crate) enum Pipeline<B: Backend> {
    /// FLUX.2.
    Flux2(Box<Flux2Pipeline<B>>),
    /// Stable Diffusion XL.
    Sdxl(Box<SdxlPipeline<B>>),
}

impl<B: Backend> Pipeline<B> {
    /// The model of a folder with drawn weights. `precision` says whether the denoiser's are in eight bits; the rest is in the
    /// backend's own.
    ///
    /// # Errors
    /// When a configuration or a tokenizer is missing or not understood.
    pub(crate) fn drawn(folder: &Path, precision: Precision, device: &B::Device) -> Result<Self> {
        Ok(match Family::of(folder)? {
            Family::Flux2 => Self::Flux2(Box::new(Flux2Pipeline::drawn(folder, precision, device)?)),
            Family::Sdxl => Self::Sdxl(Box::new(SdxlPipeline::drawn(folder, precision, device)?)),
        })
    }

    /// The model of a folder. For `precision` see [`Self::drawn`].
    ///
    /// # Errors
    /// When a file is missing, damaged or not understood.
    pub(crate) fn load(folder: &Path, precision: Precision, device: &B::Device) -> Result<Self> {
        Ok(match Family::of(folder)? {
            Family::Flux2 => Self::Flux2(Box::new(Flux2Pipeline::load(folder, precision, device)?)),
            Family::Sdxl => Self::Sdxl(Box::new(SdxlPipeline::load(folder, precision, device)?)),
        })
    }
}

/// A pipeline on one of the backends.
enum Runner {
    Cpu(Pipeline<Flex>),
    #[cfg(feature = "cuda")]
    CudaF32(Pipeline<burn::backend::Cuda<f32>>),
    #[cfg(feature = "cuda")]
    CudaBf16(Pipeline<burn::backend::Cuda<half::bf16>>),
}

impl Model {
    /// Loads a model folder in diffusers' layout onto a device.
    ///
    /// # Errors
    /// When the device is missing or does not compute in such numbers, or a file of the folder is missing, damaged or not understood.
    pub fn load(folder: &Path, device: &DeviceName, precision: Precision) -> Result<Self> {
        device.check()?;
        device.check_precision(precision)?;
        let facts = facts(folder)?;
        let runner = match device {
            DeviceName::Cpu => Runner::Cpu(Pipeline::load(folder, precision, &Default::default())?),
            #[cfg(feature = "cuda")]
            DeviceName::Cuda(number) => {
                let device = burn::backend::cuda::CudaDevice::new(*number);
                match precision {
                    Precision::F32 => Runner::CudaF32(Pipeline::load(folder, precision, &device)?),
                    Precision::Bf16 | Precision::Fp8 => Runner::CudaBf16(Pipeline::load(folder, precision, &device)?),
                }
            }
            #[cfg(not(feature = "cuda"))]
            DeviceName::Cuda(_) => return Err(DeviceName::without_cuda()),
        };
        let is_widened = precision == Precision::Fp8;
        let widened = if is_widened { memory::of_model(folder, device, Precision::Bf16)? } else { 0 };
        Ok(Self { runner, facts, device: device.clone(), widened })
    }

    /// What the model is.
    pub fn facts(&self) -> &ModelFacts {
        &self.facts
    }

    /// What the device has left for a training, in bytes; none where nobody says.
    pub(crate) fn memory_left(&self) -> Option<u64> {
        Some(memory::available(&self.device)?.saturating_sub(self.widened))
    }

    /// Renders pictures. The same request on the same device gives the same pictures.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for what is out of bounds, [`crate::Error::Lora`] for a LoRA that is damaged or made for another model,
    /// [`crate::Error::Stopped`] when the sink says so.
    pub fn render(&self, request: &RenderRequest, sink: &mut dyn Sink) -> Result<Vec<Rendered>> {
        self.with_pipeline(Rendering { request, sink })
    }

    /// Does work with the pipeline, on the backend that it is on.
    ///
    /// # Errors
    /// Those of the work.
    pub(crate) fn with_pipeline<W: PipelineWork>(&self, work: W) -> Result<W::Output> {
        match &self.runner {
            Runner::Cpu(pipeline) => work.run::<Autodiff<Flex>>(pipeline),
            #[cfg(feature = "cuda")]
            Runner::CudaF32(pipeline) => work.run::<Autodiff<burn::backend::Cuda<f32>>>(pipeline),
            #[cfg(feature = "cuda")]
            Runner::CudaBf16(pipeline) => work.run::<Autodiff<burn::backend::Cuda<half::bf16>>>(pipeline),
        }
    }
}

/// Work with a pipeline whose backend is not known in advance. `B` is the backend with gradients, the pipeline's is the one
/// without.
pub(crate) trait PipelineWork {
    /// What comes of it.
    type Output;

    /// Does it.
    fn run<B: AutodiffBackend>(self, pipeline: &Pipeline<B::InnerBackend>) -> Result<Self::Output>;
}

struct Rendering<'a> {
    request: &'a RenderRequest,
    sink: &'a mut dyn Sink,
}

impl PipelineWork for Rendering<'_> {
    type Output = Vec<Rendered>;

    fn run<B: AutodiffBackend>(self, pipeline: &Pipeline<B::InnerBackend>) -> Result<Vec<Rendered>> {
        let (loras, merges) = (&self.request.loras, self.request.merges_loras);
        match pipeline {
            Pipeline::Flux2(pipeline) => pipeline.with_loras(loras, merges)?.render(self.request, self.sink),
            Pipeline::Sdxl(pipeline) => pipeline.with_loras(loras, merges)?.render(self.request, self.sink),
        }
    }
}

/// Work on a device, before a model is there.
pub(crate) trait Work {
    /// What comes of it.
    type Output;

    /// Does it.
    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<Self::Output>;
}

/// Does work on a device.
///
/// # Errors
/// When the device is missing or does not compute in such numbers, and those of the work.
pub(crate) fn on<W: Work>(device: &DeviceName, precision: Precision, work: W) -> Result<W::Output> {
    device.check()?;
    device.check_precision(precision)?;
    match device {
        DeviceName::Cpu => work.run::<Autodiff<Flex>>(&Default::default()),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(number) => {
            let device = burn::backend::cuda::CudaDevice::new(*number);
            match precision {
                Precision::F32 => work.run::<Autodiff<burn::backend::Cuda<f32>>>(&device),
                Precision::Bf16 | Precision::Fp8 => work.run::<Autodiff<burn::backend::Cuda<half::bf16>>>(&device),
            }
        }
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda(_) => Err(DeviceName::without_cuda()),
    }
}

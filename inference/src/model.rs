//! A model on a device: what the rest of the world sees of a pipeline, whatever backend is behind it.

use std::path::Path;

use burn::{
    backend::{Autodiff, Flex},
    tensor::backend::AutodiffBackend,
};
use serde::{Deserialize, Serialize};

use crate::{
    device::DeviceName,
    dtype::Precision,
    error::Result,
    flux2::{
        configs::Configs,
        pipeline::{Flux2Pipeline, prompt_length},
    },
    progress::Sink,
    render::{RenderRequest, Rendered},
    text::tokenizer,
};

/// What a model is, as its folder says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// `flux2`.
    pub family: String,
    /// `klein`.
    pub variant: String,
    /// Width of the transformer's streams.
    pub hidden_width: u32,
    /// Width of the text context.
    pub context_width: u32,
    /// Blocks of the transformer.
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
}

/// Reads what a model is from the configurations of its folder; no weight is touched.
///
/// # Errors
/// When the folder is not whole or holds what is not understood, by name.
pub fn facts(folder: &Path) -> Result<ModelFacts> {
    let configs = Configs::read(folder)?;
    let text_tokens = prompt_length(tokenizer::longest(&folder.join("tokenizer"))?);
    Ok(ModelFacts::new(&configs, text_tokens))
}

impl ModelFacts {
    fn new(configs: &Configs, text_tokens: usize) -> Self {
        let width = |width: usize| u32::try_from(width).unwrap_or(u32::MAX);
        let distilled = configs.is_distilled;
        // As the models' cards advise: few steps without guidance where it was distilled, 50 with 4 where not.
        let (steps, guidance) = if distilled { (4, 1.0) } else { (50, 4.0) };
        Self {
            family: "flux2".to_owned(),
            variant: "klein".to_owned(),
            hidden_width: width(configs.transformer.hidden()),
            context_width: width(configs.transformer.joint_attention_dim),
            blocks: width(configs.transformer.num_layers + configs.transformer.num_single_layers),
            text_tokens: width(text_tokens),
            native_width: configs.native_size,
            native_height: configs.native_size,
            size_multiple: configs.size_multiple(),
            default_steps: configs.advised_steps.unwrap_or(steps),
            default_guidance: configs.advised_guidance.unwrap_or(guidance),
            distilled,
        }
    }
}

/// A model with its weights on a device.
pub struct Model {
    runner: Runner,
    facts: ModelFacts,
}

/// A pipeline on one of the backends.
enum Runner {
    Cpu(Flux2Pipeline<Flex>),
    #[cfg(feature = "cuda")]
    CudaF32(Flux2Pipeline<burn::backend::Cuda<f32>>),
    #[cfg(feature = "cuda")]
    CudaBf16(Flux2Pipeline<burn::backend::Cuda<half::bf16>>),
}

impl Model {
    /// Loads a model folder in diffusers' layout onto a device. The processor computes in f32 whatever `precision` says.
    ///
    /// # Errors
    /// When the device is missing, or a file of the folder is missing, damaged or not understood.
    pub fn load(folder: &Path, device: &DeviceName, precision: Precision) -> Result<Self> {
        device.check()?;
        let facts = facts(folder)?;
        let runner = match device {
            DeviceName::Cpu => Runner::Cpu(Flux2Pipeline::load(folder, &Default::default())?),
            #[cfg(feature = "cuda")]
            DeviceName::Cuda(number) => {
                let device = burn::backend::cuda::CudaDevice::new(*number);
                match precision {
                    Precision::F32 => Runner::CudaF32(Flux2Pipeline::load(folder, &device)?),
                    Precision::Bf16 => Runner::CudaBf16(Flux2Pipeline::load(folder, &device)?),
                }
            }
            #[cfg(not(feature = "cuda"))]
            DeviceName::Cuda(_) => return Err(DeviceName::without_cuda()),
        };
        let _ = precision;
        Ok(Self { runner, facts })
    }

    /// What the model is.
    pub fn facts(&self) -> &ModelFacts {
        &self.facts
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
    fn run<B: AutodiffBackend>(self, pipeline: &Flux2Pipeline<B::InnerBackend>) -> Result<Self::Output>;
}

struct Rendering<'a> {
    request: &'a RenderRequest,
    sink: &'a mut dyn Sink,
}

impl PipelineWork for Rendering<'_> {
    type Output = Vec<Rendered>;

    fn run<B: AutodiffBackend>(self, pipeline: &Flux2Pipeline<B::InnerBackend>) -> Result<Vec<Rendered>> {
        pipeline.with_loras(&self.request.loras)?.render(self.request, self.sink)
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
/// When the device is missing, and those of the work.
pub(crate) fn on<W: Work>(device: &DeviceName, precision: Precision, work: W) -> Result<W::Output> {
    device.check()?;
    let _ = precision;
    match device {
        DeviceName::Cpu => work.run::<Autodiff<Flex>>(&Default::default()),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(number) => {
            let device = burn::backend::cuda::CudaDevice::new(*number);
            match precision {
                Precision::F32 => work.run::<Autodiff<burn::backend::Cuda<f32>>>(&device),
                Precision::Bf16 => work.run::<Autodiff<burn::backend::Cuda<half::bf16>>>(&device),
            }
        }
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda(_) => Err(DeviceName::without_cuda()),
    }
}

//! Cases of SDXL and SDXL-Turbo.

use burn::{
    module::{AutodiffModule, Module},
    tensor::backend::{AutodiffBackend, Backend},
};

use super::{Differences, Parity, compare_step, training_pairs};
use crate::{
    error::{Error, Result},
    lora::{
        self,
        inject::{self, Prepared},
    },
    progress::Control,
    sdxl::{
        conditioning::whole,
        pipeline::{Denoising, SdxlPipeline},
        text_context::TextContext,
        unet::{Conditions, UNet},
    },
    training::loss::noise_prediction,
};

impl Parity<'_> {
    /// Repeats a case of SDXL.
    pub(super) fn sdxl<B: AutodiffBackend>(&self, device: &B::Device) -> Result<Differences> {
        let model = self.folder.join("model");
        let mut pipeline = SdxlPipeline::<B::InnerBackend>::load(&model, self.precision, device)?;
        let mut differences = Differences::default();
        if self.has_training() {
            self.train_sdxl::<B>(&pipeline, &mut differences, device)?;
        }
        for used in &self.case.lora {
            let adapter = lora::read::read(&self.folder.join(&used.file))?;
            pipeline.attach(&Prepared::new(adapter.targets, device)?, used.strength)?;
        }
        self.generate_sdxl(&pipeline, &mut differences)?;
        Ok(differences)
    }

    /// Repeats the generation from the reference's noise.
    fn generate_sdxl<B: Backend>(&self, pipeline: &SdxlPipeline<B>, differences: &mut Differences) -> Result<()> {
        let (inputs, expected) = (self.file("inputs.safetensors")?, self.file("expected.safetensors")?);
        let wanted = pipeline.encode_prompt(&self.case.prompt)?;
        differences.compare("prompt_embeds", wanted.context.clone(), &expected)?;
        let guided = pipeline.uses_guidance(self.case.guidance_scale);
        let negative = self.case.negative_prompt.as_deref();
        let unwanted = if guided { Some(pipeline.encode_negative(negative, &wanted)?) } else { None };
        let mut states = Vec::new();
        let latents = pipeline.denoise(Denoising {
            noise: inputs.tensor("latents", &pipeline.device)?,
            start: None,
            wanted,
            unwanted,
            sizes: whole(self.case.height, self.case.width),
            steps: self.case.steps,
            guidance: self.case.guidance_scale,
            step_noise: &mut |step| inputs.tensor(&format!("step_noise.{step}"), &pipeline.device),
            after_step: &mut |_, latents, _| {
                states.push(latents.clone());
                Control::Continue
            },
        })?;
        for (step, latents) in states.into_iter().enumerate() {
            differences.compare(&format!("latents.{step}"), latents, &expected)?;
        }
        let picture = pipeline.decode(latents).add_scalar(1.0).div_scalar(2.0).clamp(0.0, 1.0);
        differences.compare("image", picture, &expected)
    }

    /// Repeats one training step: its loss, and the gradient of every matrix.
    fn train_sdxl<B: AutodiffBackend>(
        &self,
        pipeline: &SdxlPipeline<B::InnerBackend>,
        differences: &mut Differences,
        device: &B::Device,
    ) -> Result<()> {
        let (inputs, expected) = (self.file("train.inputs.safetensors")?, self.file("train.expected.safetensors")?);
        let mut unet = UNet::<B>::from_inner((*pipeline.unet).clone()).no_grad();
        inject::attach(&mut unet, &training_pairs(&inputs)?, 1.0, device)?;
        let signal = pipeline.configs.scheduler.signal();
        let left = |time: f32| {
            let missing = || Error::Weights(format!("The schedule has no time {time}; it has {}.", signal.len()));
            signal.get(time as usize).copied().ok_or_else(missing)
        };
        let kept = inputs.data("timestep")?.iter::<f32>().map(left).collect::<Result<Vec<_>>>()?;
        let conditions = Conditions {
            times: inputs.tensor("timestep", device)?,
            text: TextContext::of_one_look(inputs.tensor("prompt_embeds", device)?),
            pooled: inputs.tensor("pooled_prompt_embeds", device)?,
            sizes: inputs.tensor("time_ids", device)?,
        };
        let (picture, noise) = (inputs.tensor("x0", device)?, inputs.tensor("noise", device)?);
        let predicts = pipeline.configs.scheduler.prediction();
        let loss = noise_prediction(&unet, picture, noise, &kept, predicts, conditions);
        compare_step(&mut unet, loss, &expected, differences)
    }
}

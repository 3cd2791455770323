//! Cases of FLUX.2.

use burn::{
    module::{AutodiffModule, Module},
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

use super::{Differences, OneOrSeveral, Parity, compare_step, training_pairs};
use crate::{
    error::{Error, Result},
    flux2::{
        latents::to_tokens,
        pipeline::{Denoising, Flux2Pipeline},
        position,
        transformer::Flux2Transformer,
    },
    image::Picture,
    lora::{self, inject},
    progress::Control,
    training::loss::rectified_flow,
    weights::tensor_file::TensorFile,
};

impl Parity<'_> {
    /// Repeats a case of FLUX.2.
    pub(super) fn flux2<B: AutodiffBackend>(&self, device: &B::Device) -> Result<Differences> {
        let text_layers = self.case.text_encoder_out_layers.as_deref();
        let model = self.folder.join("model");
        let mut pipeline =
            Flux2Pipeline::<B::InnerBackend>::load_with_text_layers(&model, text_layers, self.precision, device)?;
        if let Some(length) = self.case.max_sequence_length {
            pipeline.prompt_length = length;
        }
        let mut differences = Differences::default();
        if self.has_training() {
            self.train_flux2::<B>(&pipeline, &mut differences, device)?;
        }
        for used in &self.case.lora {
            let adapter = lora::read::read(&self.folder.join(&used.file))?;
            inject::attach(&mut *pipeline.transformer, &adapter.targets, used.strength, device)?;
        }
        self.generate_flux2(&pipeline, &mut differences)?;
        Ok(differences)
    }

    /// Repeats the generation from the reference's noise.
    fn generate_flux2<B: Backend>(&self, pipeline: &Flux2Pipeline<B>, differences: &mut Differences) -> Result<()> {
        let (inputs, expected) = (self.file("inputs.safetensors")?, self.file("expected.safetensors")?);
        let grid = pipeline.grid(self.case.height, self.case.width);
        let noise = to_tokens(inputs.tensor::<B, 4>("latents", &pipeline.device)?);
        let context = pipeline.encode_prompts(&[&self.case.prompt])?;
        differences.compare("prompt_embeds", context.clone(), &expected)?;
        let guided = pipeline.uses_guidance(self.case.guidance_scale);
        let negative = if guided { Some(pipeline.encode_prompts(&[""])?) } else { None };
        let mut run = |prefix: &str, reference| -> Result<()> {
            let mut states = Vec::new();
            let latents = pipeline.denoise(Denoising {
                latents: noise.clone(),
                context: context.clone(),
                negative: negative.clone(),
                reference,
                grid,
                steps: self.case.steps,
                guidance: self.case.guidance_scale,
                after_step: &mut |_, latents, _| {
                    states.push(latents.clone());
                    Control::Continue
                },
            })?;
            for (step, latents) in states.into_iter().enumerate() {
                differences.compare(&format!("{prefix}latents.{step}"), latents, &expected)?;
            }
            let picture = pipeline.decode(latents, grid).add_scalar(1.0).div_scalar(2.0).clamp(0.0, 1.0);
            differences.compare(&format!("{prefix}image"), picture, &expected)
        };
        run("", None)?;
        let images = match &self.case.image {
            None => return Ok(()),
            Some(OneOrSeveral::One(image)) => std::slice::from_ref(image),
            Some(OneOrSeveral::Several(images)) => images,
        };
        let pictures = images.iter().map(|image| {
            let file = self.folder.join(image);
            Picture::decode(&std::fs::read(&file).map_err(Error::io(&file))?)
        });
        run("image_edit.", Some(pipeline.reference(&pictures.collect::<Result<Vec<_>>>()?)?))
    }

    /// Repeats one training step: its loss, and the gradient of every matrix.
    fn train_flux2<B: AutodiffBackend>(
        &self,
        pipeline: &Flux2Pipeline<B::InnerBackend>,
        differences: &mut Differences,
        device: &B::Device,
    ) -> Result<()> {
        let (inputs, expected) = (self.file("train.inputs.safetensors")?, self.file("train.expected.safetensors")?);
        let mut transformer = Flux2Transformer::<B>::from_inner((*pipeline.transformer).clone()).no_grad();
        let grid = pipeline.grid(self.case.height, self.case.width);
        let pairs = training_pairs(&inputs)?;
        inject::attach(&mut transformer, &pairs, 1.0, device)?;
        let loss = self.flow_loss(&transformer, &inputs, grid, device)?;
        compare_step(&mut transformer, loss, &expected, differences)
    }

    /// The loss at the case's noise and times.
    fn flow_loss<B: Backend>(
        &self,
        transformer: &Flux2Transformer<B>,
        inputs: &TensorFile,
        grid: (usize, usize),
        device: &B::Device,
    ) -> Result<Tensor<B, 1>> {
        let picture = inputs.tensor::<B, 3>("x0", device)?;
        let noise = inputs.tensor::<B, 3>("noise", device)?;
        let time = inputs.tensor::<B, 1>("sigma", device)?;
        let context = inputs.tensor::<B, 3>("prompt_embeds", device)?;
        let ((rows, columns), tokens) = (grid, picture.dims()[1]);
        if rows * columns != tokens {
            return Err(Error::Input(format!(
                "The case's picture has {tokens} tokens, and its size makes {rows} × {columns}."
            )));
        }
        let rotation =
            transformer.rotation(&position::text(context.dims()[1]), &position::picture(rows, columns, 0), device);
        Ok(rectified_flow(transformer, picture, noise, time, context, self.case.guidance_scale, &rotation))
    }
}

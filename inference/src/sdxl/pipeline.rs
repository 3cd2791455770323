//! From a prompt to pictures: `pipeline_stable_diffusion_xl.py`.

use std::path::Path;

use burn::tensor::{DType, Tensor, TensorData, activation::silu, backend::Backend};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

pub use super::configs::Configs;
use super::{
    adapters::Adaptables,
    autoencoder::Autoencoder,
    conditioning::{SIZES, TextConditioning, cut, sizes, whole},
    keys,
    start::{Ground, Start},
    text_context::TextContext,
    unet::UNet,
};
use crate::{
    device,
    dtype::Precision,
    error::{Error, Result},
    lora::{adapted::LastAdapted, shelf::Shelf},
    nn::recorded::{AFTER_ONE, AFTER_STEPS, Given, Recorded, only, without_gaps},
    progress::{Control, Progress, Sink},
    render::{RenderRequest, Rendered},
    schedulers::{euler_ancestral, euler_discrete},
    starter::pictures::from_tensor,
    text::{
        clip::{ClipConfig, ClipTextEncoder},
        clip_tokenizer::ClipTokenizer,
    },
    weights::{Weights, on_demand::OnDemand},
};

/// An SDXL pipeline on a device. Clones share their weights.
#[derive(Clone)]
pub struct SdxlPipeline<B: Backend> {
    /// Prompts → token ids, for the first text encoder.
    pub tokenizer: ClipTokenizer,
    /// Prompts → token ids, for the second: it pads differently.
    pub tokenizer_2: ClipTokenizer,
    /// CLIP ViT-L.
    pub text_encoder: OnDemand<Recorded<ClipTextEncoder<B>>>,
    /// OpenCLIP ViT-bigG.
    pub text_encoder_2: OnDemand<Recorded<ClipTextEncoder<B>>>,
    /// Predicts the noise.
    pub unet: Recorded<UNet<B>>,
    /// Latents ↔ pictures.
    pub autoencoder: Recorded<Autoencoder<B>>,
    /// Configurations.
    pub configs: Configs,
    /// LoRAs that were used last.
    pub shelf: Shelf<B>,
    /// The UNet and the text encoders with those that lay beside their weights the last time.
    pub adapted: LastAdapted<B, Adaptables<B>>,
    /// Where it runs.
    pub device: B::Device,
}

/// What is to be denoised, and how.
pub struct Denoising<'a, B: Backend> {
    /// Initial noise of variance one, `[batch, channels, height / stride, width / stride]`.
    pub noise: Tensor<B, 4>,
    /// What the pictures begin as, where it is not noise alone.
    pub start: Option<Start<B>>,
    /// The prompt.
    pub wanted: TextConditioning<B>,
    /// The negative prompt, for classifier-free guidance.
    pub unwanted: Option<TextConditioning<B>>,
    /// [What the UNet is told of sizes](super::conditioning::sizes).
    pub sizes: [u32; SIZES],
    /// Steps.
    pub steps: u32,
    /// Guidance scale.
    pub guidance: f64,
    /// Draws the noise that an ancestral schedule adds after a step, counted from 0, in the latents' shape.
    pub step_noise: &'a mut StepNoise<'a, B>,
    /// Hears of each step and says whether to go on.
    pub after_step: &'a mut AfterStep<'a, B>,
}

/// The prompts of a request, encoded.
#[derive(Clone)]
pub struct Texts<B: Backend> {
    /// The prompt.
    wanted: TextConditioning<B>,
    /// The negative prompt, for classifier-free guidance.
    unwanted: Option<TextConditioning<B>>,
}

/// Draws the noise of a step.
pub type StepNoise<'a, B> = dyn FnMut(usize) -> Result<Tensor<B, 4>> + 'a;

/// Called with a step's number, from 1, the latents after it, and the latents that the end is expected to have.
pub type AfterStep<'a, B> = dyn FnMut(u32, &Tensor<B, 4>, &Tensor<B, 4>) -> Control + 'a;

impl<B: Backend> SdxlPipeline<B> {
    /// Loads an SDXL folder. `precision` says whether the weights of the UNet's transformers are in eight bits; the rest is in the
    /// backend's own.
    ///
    /// # Errors
    /// When a file is missing, damaged or does not fit its configuration.
    pub fn load(folder: &Path, precision: Precision, device: &B::Device) -> Result<Self> {
        Self::assemble(folder, (Weights::OfFolder, precision), device)
    }

    /// The model of a folder with drawn weights: it is as fast as the real one.
    ///
    /// # Errors
    /// When a configuration or a tokenizer is missing or not understood.
    pub(crate) fn drawn(folder: &Path, precision: Precision, device: &B::Device) -> Result<Self> {
        Self::assemble(folder, (Weights::Drawn, precision), device)
    }

    fn assemble(folder: &Path, (weights, precision): (Weights, Precision), device: &B::Device) -> Result<Self> {
        let configs = Configs::read(folder)?;
        let drawn = UNet::new(&configs.unet, device);
        let (files, rename) = (folder.join("unet"), |name: &str| Some(keys::unet(name)));
        let unet = weights.fill_denoiser::<B, _>(drawn, (&files, precision), rename, device)?;
        let drawn = Autoencoder::new(&configs.autoencoder, device);
        let autoencoder = weights.fill::<B, _>(drawn, &folder.join("vae"), |name| Some(keys::autoencoder(name)))?;
        let encoder = |part: &str, config: &ClipConfig, has_projection: bool| {
            let (files, config, device) = (folder.join(part), config.clone(), device.clone());
            OnDemand::load(move || {
                let drawn = ClipTextEncoder::new(&config, has_projection, &device);
                Ok(weights.fill::<B, _>(drawn, &files, keys::text_encoder)?.into())
            })
        };
        let text_encoder = encoder("text_encoder", &configs.text_encoder, false)?;
        let text_encoder_2 = encoder("text_encoder_2", &configs.text_encoder_2, true)?;
        Ok(Self {
            tokenizer: tokenizer(&folder.join("tokenizer"), &configs.text_encoder)?,
            tokenizer_2: tokenizer(&folder.join("tokenizer_2"), &configs.text_encoder_2)?,
            text_encoder,
            text_encoder_2,
            unet: unet.into(),
            autoencoder: autoencoder.into(),
            configs,
            shelf: Shelf::default(),
            adapted: LastAdapted::default(),
            device: device.clone(),
        })
    }

    /// Encodes a prompt, cut to what CLIP takes in.
    ///
    /// # Errors
    /// When a tokenizer fails on the prompt.
    pub fn encode_prompt(&self, prompt: &str) -> Result<TextConditioning<B>> {
        self.encode_tokens(self.tokenizer.encode(prompt)?, self.tokenizer_2.encode(prompt)?)
    }

    /// Encodes prompts of any length, in chunks that CLIP takes in, each by itself: the states of one stand behind those of
    /// the other, and the first chunk says what the text is as a whole. All prompts have as many chunks as the longest.
    ///
    /// # Errors
    /// When a tokenizer fails on a prompt.
    pub fn encode_long_prompts<const N: usize>(&self, prompts: [&str; N]) -> Result<[TextConditioning<B>; N]> {
        let most = self.chunks(&prompts)?;
        let mut encoded = Vec::with_capacity(N);
        for prompt in prompts {
            encoded.push(self.encode_in_chunks(prompt, most)?);
        }
        Ok(std::array::from_fn(|place| encoded[place].clone()))
    }

    /// How many chunks the longest of some prompts takes.
    ///
    /// # Errors
    /// When a tokenizer fails on a prompt.
    pub fn chunks(&self, prompts: &[&str]) -> Result<usize> {
        let mut most = 1;
        for prompt in prompts {
            for tokenizer in [&self.tokenizer, &self.tokenizer_2] {
                most = most.max(tokenizer.encode_in_chunks(prompt, 1)?.len());
            }
        }
        Ok(most)
    }

    /// Encodes a prompt in so many chunks, or in more where it takes them; the last ones are empty.
    ///
    /// # Errors
    /// When a tokenizer fails on the prompt.
    pub fn encode_in_chunks(&self, prompt: &str, at_least: usize) -> Result<TextConditioning<B>> {
        let first = self.tokenizer.encode_in_chunks(prompt, at_least)?;
        let second = self.tokenizer_2.encode_in_chunks(prompt, at_least)?;
        let chunks = first.into_iter().zip(second).map(|(first, second)| self.encode_tokens(first, second));
        Ok(TextConditioning::joined(chunks.collect::<Result<_>>()?))
    }

    /// Encodes tokens of the first and of the second tokenizer.
    pub(crate) fn encode_tokens(&self, first: Vec<u32>, second: Vec<u32>) -> Result<TextConditioning<B>> {
        let encode = |encoder: &OnDemand<Recorded<ClipTextEncoder<B>>>, tokens: Vec<u32>| {
            let (encoder, texts) = (encoder.get()?, [tokens]);
            let start = encoder.start(&texts, &self.device);
            let states = encoder.run(AFTER_ONE, start.given(), |encoder| encoder.states(&start));
            Ok(encoder.encoded(states, &texts))
        };
        let first = encode(&self.text_encoder, first)?;
        let second = encode(&self.text_encoder_2, second)?;
        let pooled = second.pooled.ok_or_else(|| {
            Error::Config(
                "The second text encoder has no projection. SDXL's has one; fetch the folder again.".to_owned(),
            )
        })?;
        Ok(TextConditioning { context: Tensor::cat(vec![first.states, second.states], 2), pooled })
    }

    /// Encodes a negative prompt, or what stands for none beside the wanted text.
    ///
    /// # Errors
    /// When a tokenizer fails on the prompt.
    pub fn encode_negative(&self, prompt: Option<&str>, wanted: &TextConditioning<B>) -> Result<TextConditioning<B>> {
        match prompt {
            None if self.configs.force_zeros_for_empty_prompt => Ok(wanted.zeros_like()),
            prompt => self.encode_prompt(prompt.unwrap_or_default()),
        }
    }

    /// Denoises.
    ///
    /// # Errors
    /// [`Error::Stopped`] when a step's listener says so, and those of drawing noise.
    pub fn denoise(&self, denoising: Denoising<'_, B>) -> Result<Tensor<B, 4>> {
        let Denoising { noise, start, wanted, unwanted, sizes: told, steps, guidance, step_noise, after_step } =
            denoising;
        let scheduler = &self.configs.scheduler;
        let levels = scheduler.levels(steps)?;
        let batch = noise.dims()[0];
        // With guidance, both texts go through the UNet as one batch: not wanted, then wanted.
        let is_guided = unwanted.is_some();
        let wanted = wanted.for_batch(batch);
        let texts = match unwanted {
            Some(unwanted) => unwanted.for_batch(batch).and(wanted),
            None => wanted,
        };
        let rows = texts.context.dims()[0];
        let text = TextContext::of_many_looks(texts.context);
        // Embedded for all steps at once.
        let of_picture = self.unet.embed_picture(texts.pooled, sizes(&vec![told; rows], &self.device));
        let times = TensorData::new(levels.times.clone(), [levels.times.len()]);
        let times = self.unet.embed_times(Tensor::from_data(times, (&self.device, DType::F32)));
        let first = start.as_ref().map_or(0, |start| start.first_step(steps));
        let mut latents = match &start {
            Some(start) if first > 0 || !start.is_partial() => start.at(levels.sigmas[first], &noise),
            _ => noise.clone().mul_scalar(levels.initial),
        };
        for step in first..levels.times.len() {
            let input = latents.clone().div_scalar(levels.scale(step));
            let input = if is_guided { input.repeat_dim(0, 2) } else { input };
            let time = silu(times.clone().narrow(0, step, 1) + of_picture.clone());
            let mut predicted = self.predict(input, time, &text);
            if is_guided {
                let without = predicted.clone().narrow(0, 0, batch);
                let with = predicted.narrow(0, batch, batch);
                predicted = without.clone() + (with - without).mul_scalar(guidance);
            }
            let estimate;
            (latents, estimate) = if scheduler.is_ancestral() {
                euler_ancestral::step(scheduler, &levels, step, latents, predicted, step_noise(step)?)
            } else {
                euler_discrete::step(scheduler, &levels, step, latents, predicted)
            };
            if let Some(start) = &start {
                latents = start.kept(latents, levels.sigmas[step + 1], &noise);
            }
            if after_step(step as u32 + 1, &latents, &estimate) == Control::Stop {
                return Err(Error::Stopped);
            }
        }
        Ok(latents)
    }

    /// The UNet's prediction for a batch at a time that is embedded and past its SiLU, `[batch, time width]`. On the processor several threads each take pictures of it, because what is not a
    /// matrix product runs in one thread alone.
    fn predict(&self, input: Tensor<B, 4>, time: Tensor<B, 2>, text: &TextContext<B>) -> Tensor<B, 4> {
        let batch = input.dims()[0];
        if B::name(&self.device) != "flex" || batch == 1 {
            return self.predict_at_once(input, time, text);
        }
        let one = |row: usize| {
            let (input, time) = (input.clone().narrow(0, row, 1), time.clone().narrow(0, row, 1));
            ((*self.unet).clone(), input, time, text.entry(row))
        };
        let parts: Vec<_> = (0..batch).map(one).collect();
        let predict = |(unet, input, time, text): (UNet<B>, _, _, _)| unet.predict(input, &time, &text);
        Tensor::cat(parts.into_par_iter().map(predict).collect(), 0)
    }

    /// The UNet's prediction for all pictures of a batch together.
    fn predict_at_once(&self, input: Tensor<B, 4>, time: Tensor<B, 2>, text: &TextContext<B>) -> Tensor<B, 4> {
        let (input, time) = (without_gaps(input), without_gaps(time));
        self.unet.look_at(text);
        let mut given = vec![(&input).into(), (&time).into()];
        given.extend(text.made().iter().flatten().map(Given::from));
        let stream = self.unet.run(AFTER_STEPS, given, |unet| vec![unet.stream(input.clone(), &time, text)]);
        self.unet.prediction(only(stream))
    }

    /// Latents → `[batch, 3, height, width]` in -1 … 1.
    pub fn decode(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        let latents = without_gaps(self.autoencoder.unscaled(latents, &self.configs.autoencoder));
        let given = vec![(&latents).into()];
        let stream = self.autoencoder.run(AFTER_ONE, given, |network| vec![network.decoder.stream(latents.clone())]);
        self.autoencoder.decoder.colours(only(stream))
    }

    /// Rows and columns of the latents of a picture of so many pixels.
    pub fn grid(&self, height: u32, width: u32) -> (usize, usize) {
        let multiple = self.configs.size_multiple();
        ((height / multiple) as usize, (width / multiple) as usize)
    }

    /// Whether a guidance scale has an effect.
    pub fn uses_guidance(&self, guidance: f64) -> bool {
        guidance > 1.0
    }

    /// Noise of streams of chance, one a picture, `[pictures, channels, rows, columns]`: drawn on the processor, so that
    /// every device has the same.
    fn noise(&self, streams: &mut [ChaCha20Rng], (rows, columns): (usize, usize)) -> Tensor<B, 4> {
        let channels = self.configs.unet.in_channels;
        let mut values = Vec::with_capacity(streams.len() * channels * rows * columns);
        for stream in &mut *streams {
            values.extend(stream.sample_iter::<f32, _>(StandardNormal).take(channels * rows * columns));
        }
        Tensor::from_data(TensorData::new(values, [streams.len(), channels, rows, columns]), &self.device)
    }

    /// Renders pictures; LoRAs are in place already.
    ///
    /// # Errors
    /// [`Error::Input`] for what is out of bounds, [`Error::Stopped`] when the sink says so.
    pub fn render(&self, request: &RenderRequest, sink: &mut dyn Sink) -> Result<Vec<Rendered>> {
        request.check(self.configs.size_multiple())?;
        if !request.references.is_empty() {
            let sentence = "SDXL takes no reference pictures. Leave them out, or choose a FLUX.2 model.";
            return Err(Error::Input(sentence.to_owned()));
        }
        if sink.report(&Progress::Preparing { what: "the prompt".to_owned() }) == Control::Stop {
            return Err(Error::Stopped);
        }
        let texts = self.texts(request)?;
        self.render_texts(texts, request, sink)
    }

    /// Renders pictures of a request whose prompts have been encoded.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub(crate) fn render_texts(
        &self,
        Texts { wanted, unwanted }: Texts<B>,
        request: &RenderRequest,
        sink: &mut dyn Sink,
    ) -> Result<Vec<Rendered>> {
        let grid = self.grid(request.height, request.width);
        let size = (request.width, request.height);
        let start = request.start.as_ref().map(|start| self.start(start, size)).transpose()?;
        let ground = request.start.as_ref().and_then(|start| Ground::of(start, size));
        let mut rendered = Vec::with_capacity(request.seeds.len());
        for seeds in request.seeds.chunks(pictures_at_once(grid)) {
            let first = rendered.len() as u32 + 1;
            let mut streams: Vec<_> = seeds.iter().map(|seed| ChaCha20Rng::seed_from_u64(*seed)).collect();
            let noise = self.noise(&mut streams, grid);
            let mut after_step = |step: u32, _: &Tensor<B, 4>, estimate: &Tensor<B, 4>| {
                let show = || from_tensor(self.decode(estimate.clone().narrow(0, 0, 1)));
                request.report_step(sink, first, step, show)
            };
            let latents = self.denoise(Denoising {
                noise,
                start: start.clone(),
                wanted: wanted.clone(),
                unwanted: unwanted.clone(),
                sizes: match &request.size_conditioning {
                    Some(conditioning) => cut(conditioning, request.height, request.width),
                    None => whole(request.height, request.width),
                },
                steps: request.steps,
                guidance: request.guidance,
                step_noise: &mut |_| Ok(self.noise(&mut streams, grid)),
                after_step: &mut after_step,
            })?;
            let decoded = from_tensor(self.decode(latents)).into_iter().map(|picture| match &ground {
                Some(ground) => ground.under(&picture),
                None => picture,
            });
            rendered.extend(seeds.iter().zip(decoded).map(|(seed, picture)| Rendered { seed: *seed, picture }));
            device::check_failures::<B>(&self.device)?;
        }
        Ok(rendered)
    }

    /// What a request's pictures show, and, with guidance, what they do not.
    ///
    /// # Errors
    /// When a tokenizer fails on a prompt, or a text encoder was released and cannot be loaded again.
    pub(crate) fn texts(&self, request: &RenderRequest) -> Result<Texts<B>> {
        let (prompt, negative) = (request.prompt.as_str(), request.negative_prompt.as_str());
        let guided = self.uses_guidance(request.guidance);
        if guided && (!negative.is_empty() || !self.configs.force_zeros_for_empty_prompt) {
            let [wanted, unwanted] = self.encode_long_prompts([prompt, negative])?;
            return Ok(Texts { wanted, unwanted: Some(unwanted) });
        }
        let [wanted] = self.encode_long_prompts([prompt])?;
        let unwanted = guided.then(|| wanted.zeros_like());
        Ok(Texts { wanted, unwanted })
    }
}

/// A tokenizer, checked against the text encoder that it belongs to.
fn tokenizer(folder: &Path, config: &ClipConfig) -> Result<ClipTokenizer> {
    let tokenizer = ClipTokenizer::load(folder)?;
    if tokenizer.vocabulary() > config.vocab_size || tokenizer.longest() > config.max_position_embeddings {
        return Err(Error::Config(format!(
            "The tokenizer `{}` has {} entries and texts of {} tokens, and its text encoder {} and {}. They do not belong together.",
            folder.display(),
            tokenizer.vocabulary(),
            tokenizer.longest(),
            config.vocab_size,
            config.max_position_embeddings,
        )));
    }
    Ok(tokenizer)
}

/// How many pictures are denoised together: small ones in company, large ones alone.
fn pictures_at_once((rows, columns): (usize, usize)) -> usize {
    (4096 / (rows * columns)).clamp(1, 16)
}

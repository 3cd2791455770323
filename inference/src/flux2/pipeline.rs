//! From a prompt to pictures: `pipeline_flux2.py` and `pipeline_flux2_klein.py`.

use std::path::Path;

use burn::tensor::{DType, Int, Tensor, TensorData, backend::Backend};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

pub use super::configs::Configs;
use super::{
    autoencoder::Autoencoder, configs::TextEncoderConfig, latents::from_tokens, position, reference::Reference,
    transformer::Flux2Transformer,
};
pub use crate::render::{LoraUse, RenderRequest, Rendered};
use crate::{
    device,
    dtype::Precision,
    error::{Error, Result},
    lora::{
        adapted::{Laid, LastAdapted},
        inject,
        shelf::Shelf,
    },
    nn::{
        linear::Blocks as _,
        recorded::{AFTER_ONE, AFTER_STEPS, Recorded, only, without_gaps},
        rope::Rotation,
    },
    progress::{Control, Progress, Sink},
    schedulers::flow_match_euler::FlowMatchEulerConfig,
    starter::pictures::from_tensor,
    text::{
        decoder::{Decoder, beside, key_of_used_layers},
        mistral,
        tokenizer::{Encoded, Tokenizer},
    },
    weights::{Weights, on_demand::OnDemand},
};

/// Rows of tokens that a thread takes at once: enough for matrix products to be worth it.
const ROWS_A_THREAD: usize = 352;

/// Sequences of more tokens keep all threads busy by themselves.
const LONG_SEQUENCE: usize = 1024;

/// The longest prompt, in tokens, where the tokenizer does not say less.
const LONGEST_PROMPT: usize = 512;

/// A FLUX.2 [klein] or [dev] pipeline on a device. Clones share their weights.
#[derive(Clone)]
pub struct Flux2Pipeline<B: Backend> {
    /// Prompts → token ids.
    pub tokenizer: Tokenizer,
    /// Token ids → context.
    pub text_encoder: OnDemand<Recorded<Decoder<B>>>,
    /// Whose hidden states make the context.
    pub text_layers: Vec<usize>,
    /// Predicts the velocity.
    pub transformer: Recorded<Flux2Transformer<B>>,
    /// Latents ↔ pictures.
    pub autoencoder: Recorded<Autoencoder<B>>,
    /// The schedule.
    pub scheduler: FlowMatchEulerConfig,
    /// Configurations.
    pub configs: Configs,
    /// Tokens of a prompt.
    pub prompt_length: usize,
    /// LoRAs that were used last.
    pub shelf: Shelf<B>,
    /// The transformer with those that lay beside its weights the last time.
    pub adapted: LastAdapted<B, Recorded<Flux2Transformer<B>>>,
    /// Where it runs.
    pub device: B::Device,
}

/// Tokens that prompts are padded to, where a tokenizer allows so many.
pub(crate) fn prompt_length(longest: Option<usize>) -> usize {
    longest.unwrap_or(LONGEST_PROMPT).clamp(1, LONGEST_PROMPT)
}

/// What is to be denoised, and how.
pub struct Denoising<'a, B: Backend> {
    /// Initial noise, `[batch, tokens, channels]`.
    pub latents: Tensor<B, 3>,
    /// Context of the prompt, `[1 or batch, text tokens, context]`.
    pub context: Tensor<B, 3>,
    /// Context of the negative prompt, for classifier-free guidance.
    pub negative: Option<Tensor<B, 3>>,
    /// Pictures that stand beside what is denoised and are not changed.
    pub reference: Option<Reference<B>>,
    /// Rows and columns of latent tokens.
    pub grid: (usize, usize),
    /// Steps.
    pub steps: u32,
    /// Guidance scale.
    pub guidance: f64,
    /// Hears of each step and says whether to go on.
    pub after_step: &'a mut AfterStep<'a, B>,
}

/// The prompts of a request, encoded.
#[derive(Clone)]
pub struct Texts<B: Backend> {
    /// Context of the prompt.
    context: Tensor<B, 3>,
    /// Context of the negative prompt, for classifier-free guidance.
    negative: Option<Tensor<B, 3>>,
}

/// A time, and the guidance scale where it is embedded.
type Times<B> = (Tensor<B, 1>, Option<Tensor<B, 1>>);

/// What a thread predicts the velocity from.
type Part<B> = (Flux2Transformer<B>, Tensor<B, 3>, Tensor<B, 3>, Times<B>, Rotation<B>);

/// Called with a step's number, from 1, the latents after it, and the latents that the end is expected to have.
pub type AfterStep<'a, B> = dyn FnMut(u32, &Tensor<B, 3>, &Tensor<B, 3>) -> Control + 'a;

impl<B: Backend> Flux2Pipeline<B> {
    /// Loads a folder. `precision` says whether the weights of the transformer's blocks are in eight bits; the rest is in the backend's
    /// own.
    ///
    /// # Errors
    /// When a file is missing, damaged or does not fit its configuration.
    pub fn load(folder: &Path, precision: Precision, device: &B::Device) -> Result<Self> {
        Self::load_with_text_layers(folder, None, precision, device)
    }

    /// Loads a folder; `text_layers` are the hidden states of the text encoder that make the context, the published ones
    /// where nobody says otherwise.
    ///
    /// # Errors
    /// When a file is missing, damaged or does not fit its configuration, or a hidden state does not exist.
    pub fn load_with_text_layers(
        folder: &Path,
        text_layers: Option<&[usize]>,
        precision: Precision,
        device: &B::Device,
    ) -> Result<Self> {
        Self::assemble(folder, text_layers, (Weights::OfFolder, precision), device)
    }

    /// The model of a folder with drawn weights: it is as fast as the real one.
    ///
    /// # Errors
    /// When a configuration or the tokenizer is missing or not understood.
    pub(crate) fn drawn(folder: &Path, precision: Precision, device: &B::Device) -> Result<Self> {
        Self::assemble(folder, None, (Weights::Drawn, precision), device)
    }

    fn assemble(
        folder: &Path,
        text_layers: Option<&[usize]>,
        (weights, precision): (Weights, Precision),
        device: &B::Device,
    ) -> Result<Self> {
        let configs = Configs::read(folder)?;
        let text_layers = text_layers.map_or_else(|| configs.text_layers(), <[usize]>::to_vec);
        let as_it_is = |name: &str| Some(name.to_owned());
        let drawn = Flux2Transformer::new(&configs.transformer, device);
        let files = folder.join("transformer");
        let transformer = weights.fill_denoiser::<B, _>(drawn, (&files, precision), as_it_is, device)?;
        let autoencoder = weights.fill::<B, _>(
            Autoencoder::new(&configs.autoencoder, device),
            &folder.join("vae"),
            // A counter of the training that wrote the file.
            |name| (name != "bn.num_batches_tracked").then(|| name.to_owned()),
        )?;
        let of_encoder = (folder.to_owned(), configs.text_encoder.clone(), text_layers.clone(), device.clone());
        let text_encoder = OnDemand::load(move || {
            let (folder, config, layers, device) = &of_encoder;
            Ok(text_encoder(folder, config, layers, weights, device)?.into())
        })?;
        let tokenizer = Tokenizer::load(&folder.join("tokenizer"))?;
        let vocabulary = configs.text_encoder.decoder().vocabulary;
        if tokenizer.vocabulary() > vocabulary {
            return Err(Error::Config(format!(
                "The tokenizer has {} entries and the text encoder {vocabulary}. They do not belong together.",
                tokenizer.vocabulary(),
            )));
        }
        let prompt_length = prompt_length(tokenizer.longest());
        Ok(Self {
            prompt_length,
            tokenizer,
            text_layers,
            text_encoder,
            transformer: transformer.into(),
            autoencoder: autoencoder.into(),
            scheduler: configs.scheduler.clone(),
            configs,
            shelf: Shelf::default(),
            adapted: LastAdapted::default(),
            device: device.clone(),
        })
    }

    /// Prompts → context `[batch, prompt length, context]`.
    ///
    /// # Errors
    /// When the tokenizer fails on a prompt.
    pub fn encode_prompts(&self, prompts: &[&str]) -> Result<Tensor<B, 3>> {
        let mut ids = Vec::with_capacity(prompts.len() * self.prompt_length);
        let mut masks = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            let encoded = self.tokens(prompt)?;
            ids.extend(encoded.ids.into_iter().map(|id| id as i32));
            masks.push(encoded.mask);
        }
        let shape = [prompts.len(), self.prompt_length];
        let ids = Tensor::<B, 2, Int>::from_data(TensorData::new(ids, shape), &self.device);
        self.encode_tokens(ids, &masks)
    }

    /// Token ids `[batch, tokens]` with their masks → context.
    ///
    /// # Errors
    /// When the text encoder was released and cannot be loaded again.
    pub(crate) fn encode_tokens(&self, ids: Tensor<B, 2, Int>, masks: &[Vec<bool>]) -> Result<Tensor<B, 3>> {
        let encoder = self.text_encoder.get()?;
        let start = encoder.start(ids, masks);
        let layers = &self.text_layers;
        Ok(beside(encoder.run(AFTER_ONE, start.given(), |encoder| encoder.states(&start, layers))))
    }

    /// A prompt's tokens, in the chat that the text encoder was trained with.
    fn tokens(&self, prompt: &str) -> Result<Encoded> {
        match self.configs.text_encoder {
            TextEncoderConfig::Qwen3(_) => self.tokenizer.encode_chat(prompt, self.prompt_length),
            TextEncoderConfig::Mistral3(_) => {
                let prompt = prompt.replace(mistral::IMAGE_TOKEN, "");
                self.tokenizer.encode_instructed(mistral::SYSTEM_MESSAGE, &prompt, self.prompt_length)
            }
        }
    }

    /// Rows and columns of tokens of a picture of so many pixels.
    pub(crate) fn grid(&self, height: u32, width: u32) -> (usize, usize) {
        let multiple = self.configs.size_multiple();
        ((height / multiple) as usize, (width / multiple) as usize)
    }

    /// The rotation of a picture of `grid` tokens beside a prompt and, maybe, other pictures.
    fn rotation(&self, (rows, columns): (usize, usize), reference: Option<&Reference<B>>) -> Rotation<B> {
        let mut pictures = position::picture(rows, columns, 0);
        pictures.extend(reference.into_iter().flat_map(|reference| &reference.positions));
        self.transformer.rotation(&position::text(self.prompt_length), &pictures, &self.device)
    }

    /// Denoises.
    ///
    /// # Errors
    /// [`Error::Stopped`] when a step's listener says so.
    pub fn denoise(&self, denoising: Denoising<'_, B>) -> Result<Tensor<B, 3>> {
        let Denoising { mut latents, context, negative, reference, grid, steps, guidance, after_step } = denoising;
        let [batch, tokens, _] = latents.dims();
        let sigmas = self.scheduler.sigmas(steps, tokens)?;
        let rotation = self.rotation(grid, reference.as_ref());
        // With guidance, both contexts go through the transformer as one batch: wanted, then not wanted.
        let contexts = [Some(context), negative].into_iter().flatten().map(|context| for_batch(context, batch));
        let contexts: Vec<_> = contexts.collect();
        let times = contexts.len();
        let context = Tensor::cat(contexts, 0);
        let beside = reference.map(|reference| for_batch(reference.tokens, times * batch));
        let embedded_guidance = self.embedded_guidance(guidance);
        for (step, pair) in sigmas.windows(2).enumerate() {
            let time = Tensor::<B, 1>::full([1], self.scheduler.time(pair[0]), (&self.device, DType::F32));
            let mut input = if times == 1 { latents.clone() } else { latents.clone().repeat_dim(0, times) };
            if let Some(beside) = &beside {
                input = Tensor::cat(vec![input, beside.clone()], 1);
            }
            let mut velocity = self.velocity(input, context.clone(), time, embedded_guidance.clone(), &rotation);
            if beside.is_some() {
                velocity = velocity.narrow(1, 0, tokens);
            }
            if times == 2 {
                let wanted = velocity.clone().narrow(0, 0, batch);
                let unwanted = velocity.narrow(0, batch, batch);
                velocity = unwanted.clone() + (wanted - unwanted).mul_scalar(guidance);
            }
            let estimate = latents.clone() - velocity.clone().mul_scalar(pair[0]);
            latents = latents + velocity.mul_scalar(pair[1] - pair[0]);
            if after_step(step as u32 + 1, &latents, &estimate) == Control::Stop {
                return Err(Error::Stopped);
            }
        }
        Ok(latents)
    }

    /// The transformer's prediction for a batch at one time. On the processor several threads each take a part of a batch of
    /// short sequences, because what is not a matrix product runs in one thread alone.
    fn velocity(
        &self,
        input: Tensor<B, 3>,
        context: Tensor<B, 3>,
        time: Tensor<B, 1>,
        guidance: Option<Tensor<B, 1>>,
        rotation: &Rotation<B>,
    ) -> Tensor<B, 3> {
        let [batch, tokens, _] = input.dims();
        let part = (ROWS_A_THREAD / (tokens + context.dims()[1])).max(1);
        if !self.is_on_the_processor() || part >= batch || tokens > LONG_SEQUENCE {
            let (input, context, modulations) =
                (without_gaps(input), without_gaps(context), self.transformer.modulations(time, guidance));
            let mut given = vec![(&input).into(), (&context).into()];
            given.extend(modulations.given().chain(rotation.given()));
            let predict = |transformer: &Flux2Transformer<B>| {
                vec![transformer.predict(input.clone(), context.clone(), &modulations, rotation)]
            };
            return only(self.transformer.run(AFTER_STEPS, given, predict));
        }
        let parts: Vec<_> = (0..batch)
            .step_by(part)
            .map(|start| {
                let count = part.min(batch - start);
                let (input, context) = (input.clone().narrow(0, start, count), context.clone().narrow(0, start, count));
                ((*self.transformer).clone(), input, context, (time.clone(), guidance.clone()), rotation.clone())
            })
            .collect();
        let predict = |(transformer, input, context, (time, guidance), rotation): Part<B>| {
            transformer.forward(input, context, time, guidance, &rotation)
        };
        Tensor::cat(parts.into_par_iter().map(predict).collect(), 0)
    }

    /// Latent tokens → `[batch, 3, height, width]` in -1 … 1.
    pub fn decode(&self, tokens: Tensor<B, 3>, (rows, columns): (usize, usize)) -> Tensor<B, 4> {
        let batch = tokens.dims()[0];
        if !self.is_on_the_processor() || batch == 1 {
            let latents = without_gaps(self.autoencoder.unpacked(from_tokens(tokens, rows, columns)));
            let decode = |network: &Autoencoder<B>| vec![network.decoder.stream(latents.clone())];
            let stream = self.autoencoder.run(AFTER_ONE, vec![(&latents).into()], decode);
            return self.autoencoder.decoder.colours(only(stream));
        }
        let parts: Vec<_> =
            (0..batch).map(|one| ((*self.autoencoder).clone(), tokens.clone().narrow(0, one, 1))).collect();
        let decode =
            |(autoencoder, one): (Autoencoder<B>, _)| autoencoder.decode_packed(from_tokens(one, rows, columns));
        Tensor::cat(parts.into_par_iter().map(decode).collect(), 0)
    }

    fn is_on_the_processor(&self) -> bool {
        B::name(&self.device) == "flex"
    }

    /// Noise of seeds, `[seeds, tokens, channels]`: drawn on the processor, so that every device begins from the same.
    pub fn noise(&self, seeds: &[u64], (rows, columns): (usize, usize)) -> Tensor<B, 3> {
        let channels = self.configs.transformer.in_channels;
        let mut values = Vec::with_capacity(seeds.len() * rows * columns * channels);
        for seed in seeds {
            let random = ChaCha20Rng::seed_from_u64(*seed);
            values.extend(random.sample_iter::<f32, _>(StandardNormal).take(rows * columns * channels));
        }
        Tensor::from_data(TensorData::new(values, [seeds.len(), rows * columns, channels]), &self.device)
    }

    /// Whether a guidance scale asks for classifier-free guidance, which takes the context of a negative prompt as well.
    /// Distilled models have none, and [dev] embeds its guidance.
    pub fn uses_guidance(&self, guidance: f64) -> bool {
        guidance > 1.0 && self.configs.is_guided_freely()
    }

    /// The guidance scale as the transformer embeds it, in f32; none where it does not.
    fn embedded_guidance(&self, guidance: f64) -> Option<Tensor<B, 1>> {
        let embeds = self.configs.transformer.guidance_embeds;
        embeds.then(|| Tensor::full([1], guidance, (&self.device, DType::F32)))
    }
}

/// Loads the layers of the text encoder that hidden states are wanted of: those above them would be a quarter of the
/// weights of [klein] and [dev].
fn text_encoder<B: Backend>(
    folder: &Path,
    config: &TextEncoderConfig,
    states: &[usize],
    weights: Weights,
    device: &B::Device,
) -> Result<Decoder<B>> {
    let decoder = config.decoder();
    decoder.check_states(states)?;
    let used = states.iter().copied().max().unwrap_or_default();
    let drawn = Decoder::with_layers(&decoder, used, device);
    let mut filled = weights.fill::<B, _>(drawn, &folder.join("text_encoder"), |name| {
        key_of_used_layers(&config.key(name)?, used, decoder.layers)
    })?;
    filled.lay_beside(device);
    Ok(filled)
}

/// Repeats a context of one prompt for a batch.
fn for_batch<B: Backend>(context: Tensor<B, 3>, batch: usize) -> Tensor<B, 3> {
    if context.dims()[0] == batch { context } else { context.repeat_dim(0, batch) }
}

impl<B: Backend> Flux2Pipeline<B> {
    /// This pipeline with LoRAs beside its transformer's weights, which both share, or merged into a copy of them.
    ///
    /// # Errors
    /// [`Error::Lora`] when a file is damaged, of a kind that is not supported, or was made for another model.
    pub fn with_loras(&self, loras: &[LoraUse], merges: bool) -> Result<Self> {
        if loras.is_empty() {
            return Ok(self.clone());
        }
        let take = |used: &LoraUse| Ok((self.shelf.take(&used.path, &self.device)?, used.strength));
        let loras = loras.iter().map(take).collect::<Result<Vec<_>>>()?;
        let attach = |loras: &[Laid<B>]| {
            let mut transformer = self.transformer.clone();
            for (lora, strength) in loras {
                lora.attach(&mut *transformer, *strength)?;
            }
            Ok(transformer)
        };
        let transformer = if merges {
            let mut transformer = attach(&loras)?;
            inject::merge(&mut *transformer);
            transformer
        } else {
            self.adapted.find_or_make(loras, |loras| {
                let mut transformer = attach(loras)?;
                inject::add_up(&mut *transformer, &self.device);
                Ok(transformer)
            })?
        };
        Ok(Self { transformer, ..self.clone() })
    }

    /// Renders pictures; the LoRAs are in the transformer already.
    ///
    /// # Errors
    /// [`Error::Input`] for what is out of bounds, [`Error::Stopped`] when the sink says so.
    pub fn render(&self, request: &RenderRequest, sink: &mut dyn Sink) -> Result<Vec<Rendered>> {
        let multiple = self.configs.size_multiple();
        request.check(multiple)?;
        if request.start.is_some() {
            let sentence =
                "FLUX.2 edits pictures that are given as references. Give the picture as one, or choose an SDXL model.";
            return Err(Error::Input(sentence.to_owned()));
        }
        if request.size_conditioning.is_some() {
            let sentence = "FLUX.2 takes no size conditioning. Leave it out, or choose an SDXL model.";
            return Err(Error::Input(sentence.to_owned()));
        }
        let preparing = Progress::Preparing { what: "the prompt".to_owned() };
        if sink.report(&preparing) == Control::Stop {
            return Err(Error::Stopped);
        }
        let texts = self.texts(request)?;
        self.render_texts(texts, request, sink)
    }

    /// What a request's pictures show, and, with guidance, what they do not.
    ///
    /// # Errors
    /// When the tokenizer fails on a prompt, or the text encoder was released and cannot be loaded again.
    pub(crate) fn texts(&self, request: &RenderRequest) -> Result<Texts<B>> {
        let context = self.encode_prompts(&[&request.prompt])?;
        let guided = self.uses_guidance(request.guidance);
        let negative = if guided { Some(self.encode_prompts(&[&request.negative_prompt])?) } else { None };
        Ok(Texts { context, negative })
    }

    /// Renders pictures of a request whose prompts have been encoded.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub(crate) fn render_texts(
        &self,
        Texts { context, negative }: Texts<B>,
        request: &RenderRequest,
        sink: &mut dyn Sink,
    ) -> Result<Vec<Rendered>> {
        let grid = self.grid(request.height, request.width);
        let reference = if request.references.is_empty() { None } else { Some(self.reference(&request.references)?) };
        let tokens = grid.0 * grid.1 + reference.as_ref().map_or(0, Reference::len);
        let mut rendered = Vec::with_capacity(request.seeds.len());
        for seeds in request.seeds.chunks(pictures_at_once(tokens)) {
            let first = rendered.len() as u32 + 1;
            let mut after_step = |step: u32, _: &Tensor<B, 3>, estimate: &Tensor<B, 3>| {
                let show = || from_tensor(self.decode(estimate.clone().narrow(0, 0, 1), grid));
                request.report_step(sink, first, step, show)
            };
            let latents = self.denoise(Denoising {
                latents: self.noise(seeds, grid),
                context: context.clone(),
                negative: negative.clone(),
                reference: reference.clone(),
                grid,
                steps: request.steps,
                guidance: request.guidance,
                after_step: &mut after_step,
            })?;
            let decoded = from_tensor(self.decode(latents, grid));
            device::check_failures::<B>(&self.device)?;
            rendered.extend(seeds.iter().zip(decoded).map(|(seed, picture)| Rendered { seed: *seed, picture }));
        }
        Ok(rendered)
    }
}

/// How many pictures of so many tokens are denoised together: small ones in company, large ones alone.
fn pictures_at_once(tokens: usize) -> usize {
    (1024 / tokens).clamp(1, 16)
}

//! The two parts of the starter model that learn together, their loss and its gradients.

use burn::{
    module::{Module, ModuleVisitor, Param, ParamId},
    optim::GradientsParams,
    tensor::{
        Int, Tensor, TensorData,
        backend::{AutodiffBackend, Backend},
    },
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::{
    ThreadPool,
    iter::{IndexedParallelIterator, ParallelIterator},
    slice::ParallelSliceMut,
};

use super::{
    encoded_scenes::{EncodedScene, latents},
    parts,
};
use crate::{
    error::Result,
    flux2::{configs::Configs, position, transformer::Flux2Transformer},
    text::{decoder::Decoder, tokenizer::Encoded},
    training::loss::{GUIDANCE, logit_normal_times, rectified_flow},
};

/// One in so many pictures is shown without its caption, so that guidance has something to guide away from.
const WITHOUT_CAPTION: f64 = 0.1;

/// Mean of the normal distribution whose logistic function the times are, where a picture is [`TIME_MEAN_GRID`] tokens wide.
const TIME_MEAN: f64 = 0.4;
const TIME_MEAN_GRID: f64 = 4.0;

/// The same where it is so many tokens wide. The more tokens show the same thing, the more noise it takes to hide it; this
/// follows half of the way that Esser et al. ("Scaling Rectified Flow Transformers", 2024) derive.
fn time_mean(grid: usize) -> f64 {
    TIME_MEAN + 0.5 * (grid as f64 / TIME_MEAN_GRID).ln()
}

/// Standard normal numbers `[scenes, tokens, channels]`, each scene's from a stream of its own, so that many threads can draw.
fn noise(seed: u64, [scenes, tokens, channels]: [usize; 3]) -> Vec<f32> {
    let mut values = vec![0.0; scenes * tokens * channels];
    values.par_chunks_mut(tokens * channels).enumerate().for_each(|(place, one)| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // Stream 0 draws times and omissions.
        random.set_stream(place as u64 + 1);
        one.iter_mut().for_each(|value| *value = random.sample(StandardNormal));
    });
    values
}

/// The two parts that learn.
#[derive(Module, Debug)]
pub struct Learner<B: Backend> {
    /// Predicts the velocity.
    pub transformer: Flux2Transformer<B>,
    /// Token ids → context.
    pub text_encoder: Decoder<B>,
}

/// What a batch is beside its scenes.
#[derive(Clone, Copy)]
pub struct Lesson<'a> {
    /// Configurations of the model.
    pub configs: &'a Configs,
    /// The prompt that says nothing.
    pub nothing: &'a Encoded,
    /// Rows and columns of latent tokens.
    pub grid: usize,
    /// Seed of its noise, times and omissions.
    pub seed: u64,
}

impl<B: Backend> Learner<B> {
    /// Mean squared error of the velocity over scenes.
    pub fn loss(&self, scenes: &[&EncodedScene], lesson: Lesson<'_>, device: &B::Device) -> Tensor<B, 1> {
        let mut random = ChaCha8Rng::seed_from_u64(lesson.seed);
        let picture = latents::<B>(scenes, lesson.configs.transformer.in_channels, device);
        let shape = picture.dims();
        let noise = Tensor::from_data(TensorData::new(noise(lesson.seed, shape), shape), device);
        let times = logit_normal_times(&mut random, scenes.len(), time_mean(lesson.grid));
        let time = Tensor::from_data(TensorData::new(times, [scenes.len()]), device);
        let context = self.context(scenes, lesson, &mut random, device);
        let text = position::text(context.dims()[1]);
        let rotation = self.transformer.rotation(&text, &position::picture(lesson.grid, lesson.grid, 0), device);
        rectified_flow(&self.transformer, picture, noise, time, context, GUIDANCE, &rotation)
    }

    /// Contexts of the captions, some of them left out.
    fn context(
        &self,
        scenes: &[&EncodedScene],
        lesson: Lesson<'_>,
        random: &mut ChaCha8Rng,
        device: &B::Device,
    ) -> Tensor<B, 3> {
        let mut choose = |scene: &'_ EncodedScene| {
            let told = if random.random_bool(WITHOUT_CAPTION) { lesson.nothing } else { &scene.caption };
            (told.ids.iter().map(|id| *id as i32).collect::<Vec<_>>(), told.mask.clone())
        };
        let (ids, masks): (Vec<_>, Vec<_>) = scenes.iter().map(|scene| choose(scene)).unzip();
        let length = lesson.nothing.ids.len();
        let ids = Tensor::<B, 2, Int>::from_data(TensorData::new(ids.concat(), [scenes.len(), length]), device);
        self.text_encoder.forward(ids, &masks, &lesson.configs.text_layers())
    }
}

/// Mean loss and its gradients, computed in as many parts as there are pools, at the same time.
///
/// # Errors
/// When a part's thread ended early.
pub fn gradients<B: AutodiffBackend>(
    learner: &Learner<B>,
    scenes: &[&EncodedScene],
    lesson: Lesson<'_>,
    pools: &[ThreadPool],
    device: &B::Device,
) -> Result<(Tensor<B::InnerBackend, 1>, GradientsParams)> {
    let share = scenes.len().div_ceil(pools.len());
    let numbered = scenes.chunks(share).zip(1..).collect();
    parts::gradients(learner, numbered, pools, |copy: &Learner<B>, (part, number): (&[&EncodedScene], u64)| {
        let lesson = Lesson { seed: lesson.seed.wrapping_mul(64).wrapping_add(number), ..lesson };
        copy.loss(part, lesson, device).mul_scalar(part.len() as f64 / scenes.len() as f64)
    })
}

/// The matrices inside the blocks: what an optimiser for matrices takes.
pub fn inner_matrices<B: Backend>(learner: &Learner<B>) -> Vec<ParamId> {
    struct Matrices(Vec<ParamId>);
    impl<B: Backend> ModuleVisitor<B> for Matrices {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            if D == 2 {
                self.0.push(param.id);
            }
        }
    }
    let mut matrices = Matrices(Vec::new());
    learner.transformer.transformer_blocks.visit(&mut matrices);
    learner.transformer.single_transformer_blocks.visit(&mut matrices);
    learner.text_encoder.layers.visit(&mut matrices);
    matrices.0
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::{
        backend::{Autodiff, Flex},
        module::AutodiffModule,
        tensor::DType,
    };

    use super::*;
    use crate::{
        starter::{base_training::Learnt, tokenizer::PROMPT_LENGTH},
        text::tokenizer::Tokenizer,
        weights::{folder::weight_files, module_file::load},
    };

    /// Puts every gradient behind the others, in the order of the parameters.
    struct Collected<'a> {
        gradients: &'a GradientsParams,
        values: Vec<f32>,
    }

    impl<B: AutodiffBackend> ModuleVisitor<B> for Collected<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            // The decoder's last norm is after the states that are looked at.
            let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) else { return };
            assert_eq!(gradient.dtype(), DType::F32, "gradients are of the weights' precision");
            self.values.extend(gradient.into_data().iter::<f32>());
        }
    }

    /// Gradients of the starter model, whose weights are in full precision, at two pictures of noise.
    fn learnt<B: AutodiffBackend>(device: &B::Device) -> Vec<f32> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("starter");
        let configs = Configs::read(&folder).unwrap();
        let as_it_is = |name: &str| Some(name.to_owned());
        let files = |part: &str| weight_files(&folder.join(part)).unwrap();
        let transformer = Flux2Transformer::<B::InnerBackend>::new(&configs.transformer, device);
        let decoder = Decoder::<B::InnerBackend>::new(&configs.text_encoder.decoder(), device);
        let learner = Learner {
            transformer: load(transformer, &files("transformer"), as_it_is).unwrap(),
            text_encoder: load(decoder, &files("text_encoder"), as_it_is).unwrap(),
        };
        let learner = Learner::<B>::from_inner(learner).map(&mut Learnt);
        let tokenizer = Tokenizer::load(&folder.join("tokenizer")).unwrap();
        let encoded = |text: &str| tokenizer.encode_chat(text, PROMPT_LENGTH).unwrap();
        const GRID: usize = 4;
        let scene = |seed: u64, text: &str| EncodedScene {
            latents: super::noise(seed, [1, GRID * GRID, configs.transformer.in_channels]),
            caption: encoded(text),
        };
        let scenes = [scene(1, "two red circles"), scene(2, "a striped blue square on white")];
        let nothing = encoded("");
        let lesson = Lesson { configs: &configs, nothing: &nothing, grid: GRID, seed: 3 };
        let pools = parts::pools(1).unwrap();
        let (_, gradients) =
            super::gradients(&learner, &scenes.iter().collect::<Vec<_>>(), lesson, &pools, device).unwrap();
        let mut collected = Collected { gradients: &gradients, values: Vec::new() };
        Module::<B>::visit(&learner, &mut collected);
        collected.values
    }

    #[test]
    fn all_but_the_last_norm_is_learnt() {
        let values = learnt::<Autodiff<Flex>>(&Default::default());
        assert!(values.len() > 4_000_000 && values.iter().all(|value| value.is_finite()), "{}", values.len());
        assert!(values.iter().filter(|value| **value != 0.0).count() > values.len() / 2);
    }

    #[cfg(feature = "cuda")]
    #[test]
    fn half_precision_learns_what_full_precision_learns() {
        if let Err(error) = crate::device::DeviceName::Cuda(0).check() {
            eprintln!("Not compared: {error}");
            return;
        }
        type Half = Autodiff<burn::backend::Cuda<half::bf16>>;
        let found = learnt::<Half>(&burn::backend::cuda::CudaDevice::new(0));
        let expected = learnt::<Autodiff<Flex>>(&Default::default());
        assert_eq!(found.len(), expected.len());
        let product = |one: &[f32], other: &[f32]| -> f64 {
            one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
        };
        let (length, other) = (product(&found, &found).sqrt(), product(&expected, &expected).sqrt());
        let cosine = product(&found, &expected) / length / other;
        eprintln!("cosine {cosine:.5}, length {:.4} of the processor's", length / other);
        assert!(cosine > 0.99 && (0.97..1.03).contains(&(length / other)), "{cosine}, {length} and not {other}");
    }
}

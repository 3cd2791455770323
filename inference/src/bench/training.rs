//! Steps of a training, as a training makes them: the same trainer, with pairs beside the same layers, on one drawn picture.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use burn::tensor::backend::AutodiffBackend;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{
    RANK, Stage, milliseconds, peak_memory,
    subject::{Picture, Subject},
};
use crate::{
    device::finish,
    error::{Error, Result},
    image,
    training::{
        TrainedLayers, TrainingSpec, bucketing,
        cache::{Cache, View},
        trainable::Trainable,
        trainer::{Trainer, first_pairs},
    },
};

/// What there is to say of a training beside how long its steps take.
///
/// Operations are counted as two for each multiplication that is added to a sum, in matrix products, convolutions and
/// attention; what is element by element is not counted, nor the optimiser. Forward, a step takes what its pictures take to be
/// generated once each, without guidance, and the pairs. Backward, a frozen layer takes as much as forward, because the gradient
/// of its input is needed and that of its weight is not; attention and the pairs take twice as much as forward; and what comes
/// before the first pair takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingFigures {
    /// Pictures a step.
    pub batch: u32,
    /// Rank of the pairs.
    pub rank: u32,
    /// Numbers that are learnt.
    pub trained_parameters: usize,
    /// Steps a second, at the median of `train_step`.
    pub steps_per_second: f64,
    /// Operations of a step's forward pass, in units of 10^12.
    pub forward_tflop: f64,
    /// Operations of a step's backward pass, in units of 10^12.
    pub backward_tflop: f64,
    /// Operations a second of a step over those of the calibration.
    pub share_of_calibration: f64,
    /// The most memory that the process had in use until the training ended, in bytes, where the system says it: with the
    /// model's weights, and with what encoding the picture took.
    pub peak_memory: Option<u64>,
}

/// A training that is measured.
pub(super) struct Learning {
    /// What is learnt from, and how many steps are made each time.
    pub picture: Picture,
    /// Pictures a step.
    pub batch: u32,
    /// How often the steps are made, after once that does not count.
    pub repeats: u32,
    /// Operations a second of the calibration, in units of 10^12.
    pub calibration_tflops: f64,
    /// Bytes that the device has left beside the model's weights; none where nobody says.
    pub left: Option<u64>,
}

/// Durations of each stage.
type Durations = BTreeMap<&'static str, Vec<f64>>;

impl Learning {
    /// Measures. Each step begins and ends with a device that has nothing to do, and so do its passes: a training waits for the
    /// device twice as well, where it reads the loss and the length of the gradients.
    ///
    /// # Errors
    /// [`Error::Input`] when no training brings pictures to this size, [`Error::Memory`] when a step does not fit,
    /// [`Error::Device`] when the device failed.
    pub fn measure<B, S>(self, subject: &S, device: &B::Device) -> Result<(BTreeMap<String, Stage>, TrainingFigures)>
    where
        B: AutodiffBackend,
        S: Subject<B::InnerBackend, Pipeline: Trainable<B>>,
    {
        let pipeline = subject.pipeline();
        self.check_size(pipeline.bucket_step())?;
        let spec = self.spec();
        Trainable::<B>::memory(pipeline, &spec, self.left).check()?;
        let pairs = first_pairs::<B, S::Pipeline>(pipeline, &spec);
        let trained_parameters = pairs.values().map(|pair| pair.a.len() + pair.b.len()).sum();
        let mut trainer = Trainer::<B, S::Pipeline>::new(pipeline, &pairs, &spec)?;
        let cache = self.cache::<B, S>(subject)?;
        finish::<B>(device)?;
        let durations = self.steps(&mut trainer, &cache)?;
        let peak_memory = peak_memory();

        let passes = subject.training_operations(self.picture, RANK) * f64::from(self.batch);
        let whole = passes.forward + passes.backward;
        let operations = |stage: &str| match stage {
            "train_step" => Some(whole),
            "train_forward" => Some(passes.forward),
            "train_backward" => Some(passes.backward),
            _ => None,
        };
        let stages: BTreeMap<String, Stage> = durations
            .into_iter()
            .map(|(stage, times)| (stage.to_owned(), Stage::of(times, operations(stage))))
            .collect();
        let step = stages.get("train_step").copied().unwrap_or_default();
        let figures = TrainingFigures {
            batch: self.batch,
            rank: spec.rank,
            trained_parameters,
            steps_per_second: 1000.0 / step.median_ms,
            forward_tflop: passes.forward / 1e12,
            backward_tflop: passes.backward / 1e12,
            share_of_calibration: step.tflops.unwrap_or_default() / self.calibration_tflops,
            peak_memory,
        };
        Ok((stages, figures))
    }

    fn check_size(&self, multiple: u32) -> Result<()> {
        if self.picture.is_made_of(multiple) {
            return Ok(());
        }
        Err(Error::Input(format!(
            "{} x {} is asked for; a training of this model brings pictures to multiples of {multiple}.",
            self.picture.width, self.picture.height
        )))
    }

    /// The edge of a square of as many pixels as the picture has.
    fn edge_of_square(&self) -> u32 {
        (f64::from(self.picture.width) * f64::from(self.picture.height)).sqrt().ceil() as u32
    }

    /// A training as anybody's, but for what does not matter to a step.
    fn spec(&self) -> TrainingSpec {
        TrainingSpec {
            directory: PathBuf::new(),
            pictures: Vec::new(),
            trigger_word: String::new(),
            epochs: 1,
            rank: RANK as u32,
            alpha: RANK as f64,
            layers: TrainedLayers::All,
            learning_rate: 1e-4,
            batch_size: self.batch,
            resolution: Some(self.edge_of_square()),
            seed: 0,
            validation_share: 0.0,
            repeats: 1,
            sample_prompts: Vec::new(),
            sample_seed: 0,
            samples_strength: 1.0,
            init_lora: None,
            checkpointing: Some(false),
            metadata: BTreeMap::new(),
        }
    }

    /// A drawn picture and a text, as a training caches them.
    fn cache<B, S>(&self, subject: &S) -> Result<Cache<B::InnerBackend>>
    where
        B: AutodiffBackend,
        S: Subject<B::InnerBackend, Pipeline: Trainable<B>>,
    {
        let Picture { width, height, .. } = self.picture;
        let mut rgb = vec![0; width as usize * height as usize * 3];
        ChaCha8Rng::seed_from_u64(0).fill_bytes(&mut rgb);
        let drawn = image::Picture { width, height, rgb };
        let (shown, frame) = bucketing::view(&drawn, (width, height), 0, 0);
        let (latents, grid) = subject.pipeline().encode_picture(&shown);
        let view = View { latents, grid, frame, text: 0 };
        Ok(Cache { learnt: vec![view], held_out: Vec::new(), texts: vec![subject.cached_text()?] })
    }

    /// Makes the steps. Those of the first time fill caches and compile kernels, and do not count.
    fn steps<B: AutodiffBackend, P: Trainable<B>>(
        &self,
        trainer: &mut Trainer<'_, B, P>,
        cache: &Cache<B::InnerBackend>,
    ) -> Result<Durations> {
        trainer.waits = true;
        let views = vec![&cache.learnt[0]; self.batch as usize];
        let each = self.picture.steps;
        let steps = each * (self.repeats + 1);
        let mut durations = Durations::new();
        for step in 0..steps {
            let begun = Instant::now();
            let times = trainer.step(cache, &views, (step, steps))?.times;
            let whole = milliseconds(begun);
            if step < each {
                continue;
            }
            let of = |duration: Duration| duration.as_secs_f64() * 1000.0;
            let parts = [
                ("train_step", whole),
                ("train_forward", of(times.forward)),
                ("train_backward", of(times.backward)),
                ("train_optimiser", of(times.optimiser)),
            ];
            for (stage, milliseconds) in parts {
                durations.entry(stage).or_default().push(milliseconds);
            }
        }
        Ok(durations)
    }
}

//! Training of LoRAs: low-rank pairs beside a frozen network, from ten to thirty pictures. What differs between families
//! of models is behind one trait, with a file for each of them; everything else is the same for all.

pub(crate) mod bucketing;
pub(crate) mod cache;
mod checkpoint;
mod continued;
mod dataset;
mod flux2;
mod layers;
pub mod loss;
mod memory;
mod optimiser;
mod run;
pub(crate) mod sdxl;
mod spec;
#[cfg(test)]
mod tests;
pub(crate) mod trainable;
pub(crate) mod trainer;
mod validation;

pub use continued::check_continued;
pub use layers::TrainedLayers;
pub use memory::MemoryEstimate;
pub use spec::{TrainingPicture, TrainingReport, TrainingSpec};

use crate::{
    error::Result,
    model::{Model, ModelFacts, Pipeline, PipelineWork},
    progress::Sink,
};
use burn::tensor::backend::AutodiffBackend;

impl Model {
    /// Trains a LoRA and leaves an adapter, sample pictures and a loss on held-out pictures for every epoch in the spec's
    /// directory. A training that was interrupted goes on from its last checkpoint, and on the processor ends with the same
    /// bits as one that was not.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for what is out of bounds, [`Error::Image`](crate::Error::Image) for a picture
    /// that cannot be read, [`Error::Memory`](crate::Error::Memory) where it cannot fit,
    /// [`Error::Stopped`](crate::Error::Stopped) when the sink says so.
    pub fn train(&self, spec: &TrainingSpec, sink: &mut dyn Sink) -> Result<TrainingReport> {
        spec.check()?;
        self.with_pipeline(Training { spec, facts: self.facts(), memory_left: self.memory_left(), sink })
    }

    /// Estimates what a training takes beside the model's weights.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for what is out of bounds.
    pub fn training_memory(&self, spec: &TrainingSpec) -> Result<MemoryEstimate> {
        spec.check()?;
        self.with_pipeline(Estimating { spec, memory_left: self.memory_left() })
    }
}

struct Training<'a> {
    spec: &'a TrainingSpec,
    facts: &'a ModelFacts,
    memory_left: Option<u64>,
    sink: &'a mut dyn Sink,
}

impl PipelineWork for Training<'_> {
    type Output = TrainingReport;

    fn run<B: AutodiffBackend>(self, pipeline: &Pipeline<B::InnerBackend>) -> Result<TrainingReport> {
        let Self { spec, facts, memory_left, sink } = self;
        match pipeline {
            Pipeline::Flux2(pipeline) => run::run::<B, _>(pipeline.as_ref(), spec, facts, memory_left, sink),
            Pipeline::Sdxl(pipeline) => run::run::<B, _>(pipeline.as_ref(), spec, facts, memory_left, sink),
        }
    }
}

struct Estimating<'a> {
    spec: &'a TrainingSpec,
    memory_left: Option<u64>,
}

impl PipelineWork for Estimating<'_> {
    type Output = MemoryEstimate;

    fn run<B: AutodiffBackend>(self, pipeline: &Pipeline<B::InnerBackend>) -> Result<MemoryEstimate> {
        Ok(match pipeline {
            Pipeline::Flux2(pipeline) => run::memory::<B, _>(pipeline.as_ref(), self.spec, self.memory_left),
            Pipeline::Sdxl(pipeline) => run::memory::<B, _>(pipeline.as_ref(), self.spec, self.memory_left),
        })
    }
}

//! Training of LoRAs: low-rank pairs beside a frozen transformer, from ten to thirty pictures.

mod bucketing;
mod cache;
mod checkpoint;
mod dataset;
pub mod loss;
mod memory;
mod optimiser;
mod run;
mod spec;
mod trainer;
mod validation;

pub use memory::{MemoryEstimate, estimate};
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
        self.with_pipeline(Training { spec, facts: self.facts(), sink })
    }
}

struct Training<'a> {
    spec: &'a TrainingSpec,
    facts: &'a ModelFacts,
    sink: &'a mut dyn Sink,
}

impl PipelineWork for Training<'_> {
    type Output = TrainingReport;

    fn run<B: AutodiffBackend>(self, pipeline: &Pipeline<B::InnerBackend>) -> Result<TrainingReport> {
        run::run::<B>(pipeline.trainable()?, self.spec, self.facts, self.sink)
    }
}

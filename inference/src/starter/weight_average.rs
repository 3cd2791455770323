//! A moving average of a module's weights: what is rendered with is smoother than what is trained (Polyak and Juditsky,
//! 1992).

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId},
    tensor::{Tensor, TensorData, backend::Backend},
};

/// The average.
#[derive(Default)]
pub struct WeightAverage {
    values: HashMap<ParamId, Vec<f32>>,
    updates: u32,
}

impl WeightAverage {
    /// Moves the average towards the weights of now; `keep` is what stays of it, less at first.
    pub fn update<B: Backend, M: Module<B>>(&mut self, module: &M, keep: f32) {
        let updates = self.updates as f32;
        let keep = keep.min((1.0 + updates) / (10.0 + updates));
        self.updates = self.updates.saturating_add(1);
        module.visit(&mut Towards { values: &mut self.values, keep });
    }

    /// Goes on from an average that was kept, which is long past its beginning.
    pub fn resume<B: Backend, M: Module<B>>(&mut self, average: &M) {
        self.update(average, 0.0);
        self.updates = u32::MAX / 2;
    }

    /// The module with the average as its weights.
    pub fn apply<B: Backend, M: Module<B>>(&self, module: M) -> M {
        module.map(&mut Replace { values: &self.values })
    }
}

struct Towards<'a> {
    values: &'a mut HashMap<ParamId, Vec<f32>>,
    keep: f32,
}

impl<B: Backend> ModuleVisitor<B> for Towards<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let data = param.val().into_data();
        let now = data.iter::<f32>();
        match self.values.get_mut(&param.id) {
            None => {
                self.values.insert(param.id, now.collect());
            }
            Some(values) => {
                for (value, now) in values.iter_mut().zip(now) {
                    *value = now + (*value - now) * self.keep;
                }
            }
        }
    }
}

struct Replace<'a> {
    values: &'a HashMap<ParamId, Vec<f32>>,
}

impl<B: Backend> ModuleMapper<B> for Replace<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let Some(values) = self.values.get(&param.id) else { return param };
        let shape = param.shape();
        let device = param.val().device();
        param.map(|_| Tensor::from_data(TensorData::new(values.clone(), shape), &device))
    }
}

//! A moving average of a module's weights: what is rendered with is smoother than what is trained (Polyak and Juditsky,
//! 1992).

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId},
    tensor::{Tensor, backend::Backend},
};

/// The average, which stays where the weights are.
pub struct WeightAverage<B: Backend> {
    /// Each parameter in one row.
    values: HashMap<ParamId, Tensor<B, 1>>,
    updates: u32,
}

impl<B: Backend> Default for WeightAverage<B> {
    fn default() -> Self {
        Self { values: HashMap::new(), updates: 0 }
    }
}

impl<B: Backend> WeightAverage<B> {
    /// Moves the average towards the weights of now; `keep` is what stays of it, less at first.
    pub fn update<M: Module<B>>(&mut self, module: &M, keep: f32) {
        let updates = self.updates as f32;
        let keep = keep.min((1.0 + updates) / (10.0 + updates));
        self.updates = self.updates.saturating_add(1);
        module.visit(&mut Towards { values: &mut self.values, keep });
    }

    /// Goes on from an average that was kept, which is long past its beginning.
    pub fn resume<M: Module<B>>(&mut self, average: &M) {
        self.update(average, 0.0);
        self.updates = u32::MAX / 2;
    }

    /// The module with the average as its weights.
    pub fn apply<M: Module<B>>(&self, module: M) -> M {
        module.map(&mut Replace { values: &self.values })
    }
}

struct Towards<'a, B: Backend> {
    values: &'a mut HashMap<ParamId, Tensor<B, 1>>,
    keep: f32,
}

impl<B: Backend> ModuleVisitor<B> for Towards<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let now = param.val();
        let now = now.clone().reshape([now.shape().num_elements()]);
        let moved = match self.values.remove(&param.id) {
            None => now,
            Some(average) => now.clone() + (average - now).mul_scalar(self.keep),
        };
        self.values.insert(param.id, moved);
    }
}

struct Replace<'a, B: Backend> {
    values: &'a HashMap<ParamId, Tensor<B, 1>>,
}

impl<B: Backend> ModuleMapper<B> for Replace<'_, B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let Some(average) = self.values.get(&param.id).cloned() else { return param };
        let shape = param.shape();
        param.map(|_| average.reshape(shape))
    }
}

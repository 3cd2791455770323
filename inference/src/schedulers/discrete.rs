//! What the schedulers over the discrete noise levels of a training share: their configuration, and which levels a
//! number of steps passes through. `scheduling_euler_discrete.py` and `scheduling_euler_ancestral_discrete.py`.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use super::{euler_ancestral, euler_discrete};
use crate::error::{Error, Result};

/// `scheduler/scheduler_config.json`. Keys are those of diffusers; of those that it does not use itself the ones of other
/// schedulers are passed over, and any other is refused, because it may change the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiscreteConfig {
    /// `EulerDiscreteScheduler` or `EulerAncestralDiscreteScheduler`.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// Times of training.
    #[serde(default = "thousand")]
    pub num_train_timesteps: u32,
    /// Variance that the first time adds.
    #[serde(default = "beta_start")]
    pub beta_start: f64,
    /// Variance that the last time adds.
    #[serde(default = "beta_end")]
    pub beta_end: f64,
    /// `scaled_linear` or `linear`.
    #[serde(default = "linear")]
    pub beta_schedule: String,
    /// What the network predicts: `epsilon` (the noise) or `v_prediction`.
    #[serde(default = "epsilon")]
    pub prediction_type: String,
    /// How noise levels between two times are found: `linear`.
    #[serde(default = "linear")]
    pub interpolation_type: String,
    /// How steps are spread over the times: `leading`, `trailing` or `linspace`.
    #[serde(default = "linspace")]
    pub timestep_spacing: String,
    /// Added to the times of the leading spacing.
    #[serde(default)]
    pub steps_offset: u32,
    /// Every other key.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

/// Keys that say nothing about these schedulers' results: who wrote the file, and settings of other schedulers, which
/// published folders carry along.
const WITHOUT_EFFECT: &[&str] = &[
    "_diffusers_version",
    "_name_or_path",
    "clip_sample",
    "clip_sample_range",
    "sample_max_value",
    "set_alpha_to_one",
    "skip_prk_steps",
    "thresholding",
    "dynamic_thresholding_ratio",
];

/// Keys whose only supported value stands beside them; `null` is one as well.
const ONLY: &[(&str, &str)] = &[
    ("final_sigmas_type", "zero"),
    ("timestep_type", "discrete"),
    ("trained_betas", ""),
    ("sigma_min", ""),
    ("sigma_max", ""),
];

/// Switches that must be off.
const OFF: &[&str] = &["rescale_betas_zero_snr", "use_beta_sigmas", "use_exponential_sigmas", "use_karras_sigmas"];

/// What a network predicts of a noisy picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// The noise: `epsilon`.
    Noise,
    /// Noise and picture, each times what the other has in the noisy picture: `v_prediction`.
    Velocity,
}

/// The noise levels of a number of steps.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseLevels {
    /// The time that the network is told at each step.
    pub times: Vec<f32>,
    /// Noise over signal before each step, and 0 after the last.
    pub sigmas: Vec<f32>,
    /// What noise of variance one is multiplied with before the first step.
    pub initial: f32,
}

/// The network's prediction at one noise level, read as the schedulers need it.
pub(super) struct Reading<B: Backend> {
    /// The latents that the end is expected to have.
    pub estimate: Tensor<B, 4>,
    /// The direction away from them, over the noise level.
    pub derivative: Tensor<B, 4>,
}

impl DiscreteConfig {
    /// Whether noise is added again after every step.
    pub fn is_ancestral(&self) -> bool {
        self.class_name == euler_ancestral::CLASS_NAME
    }

    /// What the network predicts; [`Self::check`] refuses what is neither.
    pub fn prediction(&self) -> Prediction {
        if self.prediction_type == "v_prediction" { Prediction::Velocity } else { Prediction::Noise }
    }

    /// Refuses what would change the schedule in a way that is not implemented.
    ///
    /// # Errors
    /// [`Error::Config`] with the setting's name.
    pub fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::Config(format!("The scheduler's {what}.")));
        let known: [(&str, &str, &[&str]); 5] = [
            ("_class_name", &self.class_name, &[euler_discrete::CLASS_NAME, euler_ancestral::CLASS_NAME]),
            ("beta_schedule", &self.beta_schedule, &["scaled_linear", "linear"]),
            ("prediction_type", &self.prediction_type, &["epsilon", "v_prediction"]),
            ("interpolation_type", &self.interpolation_type, &["linear"]),
            ("timestep_spacing", &self.timestep_spacing, &["leading", "trailing", "linspace"]),
        ];
        if let Some((key, value, choices)) = known.iter().find(|(_, value, choices)| !choices.contains(value)) {
            return refuse(format!("`{key}` is `{value}`, which is not supported; choose {}", choices.join(" or ")));
        }
        for (key, value) in self.rest.iter().filter(|(_, value)| !value.is_null()) {
            if OFF.contains(&key.as_str()) {
                if value != false {
                    return refuse(format!("`{key}` is not supported; set it to false"));
                }
            } else if let Some((_, only)) = ONLY.iter().find(|(name, _)| name == key) {
                if value != only {
                    let only = if only.is_empty() { "null" } else { only };
                    return refuse(format!("`{key}` is {value}, which is not supported; {only} is"));
                }
            } else if !WITHOUT_EFFECT.contains(&key.as_str()) {
                return refuse(format!("`{key}` is not understood; it may change the result"));
            }
        }
        if self.num_train_timesteps < 2 {
            return refuse("`num_train_timesteps` must be at least 2".to_owned());
        }
        Ok(())
    }

    /// The share of the picture, squared, that is left after each time of training.
    pub fn signal(&self) -> Vec<f32> {
        let count = self.num_train_timesteps;
        let is_scaled = self.beta_schedule == "scaled_linear";
        let ends = [self.beta_start, self.beta_end].map(|end| if is_scaled { end.sqrt() } else { end } as f32);
        let step = (ends[1] - ends[0]) / (count - 1) as f32;
        let mut product = 1.0f64;
        (0..count)
            .map(|index| {
                // From both ends to the middle, as the reference's rounding has it.
                let even = if index < count / 2 {
                    ends[0] + step * index as f32
                } else {
                    ends[1] - step * (count - 1 - index) as f32
                };
                let beta = if is_scaled { even * even } else { even };
                product *= f64::from(1.0 - beta);
                product as f32
            })
            .collect()
    }

    /// The noise levels of so many steps.
    ///
    /// # Errors
    /// [`Error::Input`] for no steps, or more than there are times.
    pub fn levels(&self, steps: u32) -> Result<NoiseLevels> {
        if steps == 0 || steps > self.num_train_timesteps {
            return Err(Error::Input(format!(
                "{steps} steps are asked for; ask for 1 to {}.",
                self.num_train_timesteps
            )));
        }
        let times = self.times(steps);
        let noise: Vec<f32> = self.signal().into_iter().map(|signal| ((1.0 - signal) / signal).sqrt()).collect();
        let mut sigmas: Vec<f32> = times.iter().map(|time| between(&noise, f64::from(*time))).collect();
        let largest = sigmas.iter().copied().fold(0.0, f32::max);
        let initial = if self.timestep_spacing == "leading" { (largest * largest + 1.0).sqrt() } else { largest };
        sigmas.push(0.0);
        Ok(NoiseLevels { times, sigmas, initial })
    }

    /// The time of each step, from late to early (Table 2 of Lin et al., "Common Diffusion Noise Schedules and Sample
    /// Steps are Flawed", 2023).
    fn times(&self, steps: u32) -> Vec<f32> {
        let count = self.num_train_timesteps;
        match self.timestep_spacing.as_str() {
            "leading" => {
                let ratio = count / steps;
                (0..steps).rev().map(|step| (step * ratio + self.steps_offset) as f32).collect()
            }
            "trailing" => {
                let first = f64::from(count);
                // The step as the reference's table rounds it: it decides times that lie half-way.
                let step = (first - first / f64::from(steps)) - first;
                (0..steps).map(|index| (first + f64::from(index) * step).round_ties_even() as f32 - 1.0).collect()
            }
            _ => {
                let last = f64::from(count - 1);
                let step = if steps > 1 { last / f64::from(steps - 1) } else { 0.0 };
                (0..steps).rev().map(|index| (f64::from(index) * step) as f32).collect()
            }
        }
    }

    /// Reads a prediction for latents at a noise level.
    pub(super) fn read<B: Backend>(&self, latents: Tensor<B, 4>, predicted: Tensor<B, 4>, sigma: f32) -> Reading<B> {
        if self.prediction() == Prediction::Noise {
            let estimate = latents - predicted.clone().mul_scalar(sigma);
            return Reading { estimate, derivative: predicted };
        }
        let total = sigma * sigma + 1.0;
        let estimate = predicted.mul_scalar(-sigma / total.sqrt()) + latents.clone().mul_scalar(1.0 / total);
        let derivative = (latents - estimate.clone()).div_scalar(sigma);
        Reading { estimate, derivative }
    }
}

impl NoiseLevels {
    /// What the latents are divided by before a step, so that the network sees a variance of one.
    pub fn scale(&self, step: usize) -> f32 {
        (self.sigmas[step] * self.sigmas[step] + 1.0).sqrt()
    }
}

/// A value of a table at a place between two of its entries, on the line through them; the ends reach outwards.
fn between(table: &[f32], place: f64) -> f32 {
    let place = place.clamp(0.0, (table.len() - 1) as f64);
    let low = place.floor() as usize;
    let (a, b) = (f64::from(table[low]), f64::from(table[(low + 1).min(table.len() - 1)]));
    (a + (b - a) * (place - low as f64)) as f32
}

fn thousand() -> u32 {
    1000
}

fn beta_start() -> f64 {
    0.0001
}

fn beta_end() -> f64 {
    0.02
}

fn linear() -> String {
    "linear".to_owned()
}

fn epsilon() -> String {
    "epsilon".to_owned()
}

fn linspace() -> String {
    "linspace".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(class: &str, spacing: &str) -> DiscreteConfig {
        let text = serde_json::json!({
            "_class_name": class, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
            "steps_offset": 1, "timestep_spacing": spacing, "use_karras_sigmas": false, "skip_prk_steps": true,
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn sdxl_begins_and_ends_where_it_was_published() {
        let levels = config(euler_discrete::CLASS_NAME, "leading").levels(30).unwrap();
        assert_eq!((levels.times[0], levels.times[29], levels.times.len()), (958.0, 1.0, 30));
        assert!((levels.sigmas[0] - 11.4).abs() < 0.2 && levels.sigmas[30] == 0.0, "{levels:?}");
        assert!(levels.initial > levels.sigmas[0]);
    }

    #[test]
    fn turbo_begins_at_the_last_time() {
        let levels = config(euler_ancestral::CLASS_NAME, "trailing").levels(4).unwrap();
        assert_eq!(levels.times, [999.0, 749.0, 499.0, 249.0]);
        assert!((levels.sigmas[0] - 14.6146).abs() < 1e-3, "{levels:?}");
        assert!((levels.initial - levels.sigmas[0]).abs() < f32::EPSILON);
    }

    #[test]
    fn times_that_lie_half_way_are_rounded_as_the_reference_rounds_them() {
        let levels = config(euler_ancestral::CLASS_NAME, "trailing").levels(48).unwrap();
        assert_eq!(levels.times[..4], [999.0, 978.0, 957.0, 936.0]);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        config(euler_discrete::CLASS_NAME, "leading").check().unwrap();
        let changes = [
            ("use_karras_sigmas", serde_json::json!(true)),
            ("interpolation_type", serde_json::json!("log_linear")),
            ("final_sigmas_type", serde_json::json!("sigma_min")),
            ("prediction_type", serde_json::json!("sample")),
            ("_class_name", serde_json::json!("DDIMScheduler")),
            ("brand_new_switch", serde_json::json!(1)),
        ];
        for (key, value) in changes {
            let mut changed = serde_json::to_value(config(euler_discrete::CLASS_NAME, "leading")).unwrap();
            changed[key] = value;
            let refusal = serde_json::from_value::<DiscreteConfig>(changed).unwrap().check().unwrap_err().to_string();
            assert!(refusal.contains(key), "{refusal}");
        }
    }
}

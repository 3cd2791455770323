//! Flow matching with Euler steps: `scheduling_flow_match_euler_discrete.py`, with FLUX.2's empirical shift.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// `scheduler/scheduler_config.json`. Keys are those of diffusers; a key that is not known here is refused, because it may
/// change the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowMatchEulerConfig {
    /// `FlowMatchEulerDiscreteScheduler`.
    #[serde(rename = "_class_name", default = "class_name")]
    pub class_name: String,
    /// Version that wrote the file.
    #[serde(rename = "_diffusers_version", default, skip_serializing_if = "Option::is_none")]
    pub diffusers_version: Option<String>,
    /// Times of training.
    #[serde(default = "thousand")]
    pub num_train_timesteps: u32,
    /// Shift where it does not depend on the size.
    #[serde(default = "one")]
    pub shift: f32,
    /// Whether the shift depends on the size.
    #[serde(default)]
    pub use_dynamic_shifting: bool,
    /// `exponential` or `linear`.
    #[serde(default = "exponential")]
    pub time_shift_type: String,
    /// Where the schedule ends, if it is stretched.
    #[serde(default)]
    pub shift_terminal: Option<f32>,
    /// Shift of the smallest size in other families; FLUX.2's is its own.
    #[serde(default)]
    pub base_shift: Option<f64>,
    /// Shift of the largest size in other families.
    #[serde(default)]
    pub max_shift: Option<f64>,
    /// Tokens of the smallest size in other families.
    #[serde(default)]
    pub base_image_seq_len: Option<u32>,
    /// Tokens of the largest size in other families.
    #[serde(default)]
    pub max_image_seq_len: Option<u32>,
    /// Not supported.
    #[serde(default)]
    pub use_karras_sigmas: Option<bool>,
    /// Not supported.
    #[serde(default)]
    pub use_exponential_sigmas: Option<bool>,
    /// Not supported.
    #[serde(default)]
    pub use_beta_sigmas: Option<bool>,
    /// Not supported.
    #[serde(default)]
    pub use_flow_sigmas: Option<bool>,
    /// Not supported.
    #[serde(default)]
    pub invert_sigmas: Option<bool>,
    /// Not supported.
    #[serde(default)]
    pub stochastic_sampling: Option<bool>,
}

fn class_name() -> String {
    "FlowMatchEulerDiscreteScheduler".to_owned()
}

fn thousand() -> u32 {
    1000
}

fn one() -> f32 {
    1.0
}

fn exponential() -> String {
    "exponential".to_owned()
}

impl FlowMatchEulerConfig {
    /// The noise levels of a schedule, from 1 to 0: one more than steps. `tokens` is the number of picture tokens. Computed
    /// in f32 as the reference does, because the sinusoids of the time magnify a difference a thousandfold.
    ///
    /// # Errors
    /// For settings that are not supported, by name.
    pub fn sigmas(&self, steps: u32, tokens: usize) -> Result<Vec<f32>> {
        self.check()?;
        let last = 1.0 / f64::from(steps);
        let step = if steps > 1 { (last - 1.0) / f64::from(steps - 1) } else { 0.0 };
        let even = (0..steps).map(|index| (1.0 + step * f64::from(index)) as f32);
        let mu = empirical_mu(tokens, steps);
        let shifted = even.map(|sigma| match (self.use_dynamic_shifting, self.time_shift_type.as_str()) {
            (true, "linear") => shift_by(mu as f32, sigma),
            (true, _) => shift_by(mu.exp() as f32, sigma),
            (false, _) => self.shift * sigma / (1.0 + (self.shift - 1.0) * sigma),
        });
        let mut sigmas: Vec<f32> = shifted.collect();
        // Zero stands for none in the reference.
        if let (Some(terminal), Some(last)) = (self.shift_terminal.filter(|end| *end != 0.0), sigmas.last().copied()) {
            let scale = (1.0 - last) / (1.0 - terminal);
            sigmas.iter_mut().for_each(|sigma| *sigma = 1.0 - (1.0 - *sigma) / scale);
        }
        sigmas.push(0.0);
        Ok(sigmas)
    }

    /// The time that the model is told of a noise level, 0 to 1.
    pub fn time(&self, sigma: f32) -> f32 {
        sigma * self.num_train_timesteps as f32 / 1000.0
    }

    /// Refuses what would change the schedule in a way that is not implemented.
    ///
    /// # Errors
    /// [`Error::Config`] with the setting's name.
    pub fn check(&self) -> Result<()> {
        if self.class_name != class_name() {
            return Err(Error::Config(format!(
                "The scheduler `{}` is not supported for FLUX.2; `{}` is.",
                self.class_name,
                class_name()
            )));
        }
        if !["exponential", "linear"].contains(&self.time_shift_type.as_str()) {
            return Err(Error::Config(format!(
                "The scheduler's `time_shift_type` is `{}`; exponential and linear exist.",
                self.time_shift_type
            )));
        }
        let switches = [
            ("use_karras_sigmas", self.use_karras_sigmas),
            ("use_exponential_sigmas", self.use_exponential_sigmas),
            ("use_beta_sigmas", self.use_beta_sigmas),
            ("use_flow_sigmas", self.use_flow_sigmas),
            ("invert_sigmas", self.invert_sigmas),
            ("stochastic_sampling", self.stochastic_sampling),
        ];
        match switches.iter().find(|(_, on)| *on == Some(true)) {
            Some((name, _)) => {
                Err(Error::Config(format!("The scheduler's `{name}` is not supported. Set it to false.")))
            }
            None => Ok(()),
        }
    }
}

/// Moves a noise level towards 1.
fn shift_by(shift: f32, sigma: f32) -> f32 {
    shift / (shift + (1.0 / sigma - 1.0))
}

/// FLUX.2's shift, fitted between schedules of 10 and 200 steps.
fn empirical_mu(tokens: usize, steps: u32) -> f64 {
    let tokens = tokens as f64;
    let at_200 = 0.000_169_27 * tokens + 0.456_666_66;
    if tokens > 4300.0 {
        return at_200;
    }
    let at_10 = 8.738_095_24e-5 * tokens + 1.898_333_33;
    let slope = (at_200 - at_10) / 190.0;
    slope * f64::from(steps) + at_200 - 200.0 * slope
}

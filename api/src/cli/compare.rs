//! `atelier compare`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use atelier_worker::inference::{
    Control, Progress, Sink,
    compare::{Comparison, ComparisonGrid, ComparisonSpec, PROMPTS, SEEDS, STRENGTHS, compare},
};
use clap::Parser;
use indicatif::ProgressBar;

use super::say;
use crate::config::DeviceSettings;

/// Measure what a LoRA does to models: a fixed grid of prompts, seeds and strengths, with it and without.
///
/// Says, for every model that could take it, the share of its keys that are understood, how far it moves the pictures, how much
/// of the prompts is kept, and which strengths are safe. With `--clip` prompts are judged by CLIP; without, by how different
/// pictures of different prompts still are.
#[derive(Parser, Debug)]
pub struct Compare {
    /// The LoRA, a `.safetensors` file
    lora: PathBuf,

    /// A model folder; name as many as you like
    #[arg(long = "model", value_name = "DIR", required = true)]
    models: Vec<PathBuf>,

    /// Words that call the LoRA's style up, before every prompt
    #[arg(long, default_value = "")]
    trigger: String,

    /// A prompt instead of the fixed ones; name two or more
    #[arg(long = "prompt")]
    prompts: Vec<String>,

    /// A strength instead of the fixed ones
    #[arg(long = "strength", value_name = "STRENGTH", allow_negative_numbers = true)]
    strengths: Vec<f64>,

    /// Denoising steps [default: the model's own]
    #[arg(long)]
    steps: Option<u32>,

    /// Folder of a CLIP model as transformers writes it
    #[arg(long, value_name = "DIR")]
    clip: Option<PathBuf>,

    /// Where sheets of the pictures go, one a model
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print one line of JSON a model
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    device: DeviceSettings,
}

impl Compare {
    /// Measures and prints; status 1 when no model can take the LoRA.
    ///
    /// # Errors
    /// When the file is no LoRA that is understood, or a folder holds no model.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let or = |given: Vec<String>, fixed: &[&str]| {
            if given.is_empty() { fixed.iter().map(|one| (*one).to_owned()).collect() } else { given }
        };
        let grid = ComparisonGrid {
            lora: self.lora,
            prompts: or(self.prompts, &PROMPTS),
            trigger: self.trigger,
            strengths: if self.strengths.is_empty() { STRENGTHS.to_vec() } else { self.strengths },
            seeds: SEEDS.to_vec(),
            steps: self.steps,
        };
        let spec = ComparisonSpec {
            grid,
            models: self.models,
            clip: self.clip,
            device: self.device.device.clone(),
            precision: self.device.precision(),
        };
        let bar = ProgressBar::new(0);
        let compared = compare(&spec, &mut Bar(&bar))?;
        bar.finish_and_clear();
        let mut fits = false;
        for (one, number) in compared.into_iter().zip(1..) {
            fits |= one.comparison.mismatch.is_none();
            if self.json {
                say(serde_json::to_string(&one.comparison)?);
            } else {
                table(&one.comparison);
            }
            if let (Some(folder), Some(sheet)) = (&self.out, one.sheet) {
                std::fs::create_dir_all(folder).with_context(|| format!("`{}` cannot be made.", folder.display()))?;
                let file = folder.join(format!("comparison-{number}.png"));
                let written = std::fs::write(&file, sheet.encode_png(&[]));
                written.with_context(|| format!("`{}` cannot be written.", file.display()))?;
            }
        }
        Ok(if fits { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

struct Bar<'a>(&'a ProgressBar);

impl Sink for Bar<'_> {
    fn report(&mut self, progress: &Progress) -> Control {
        if let Progress::Sampling { done, total, .. } = progress {
            self.0.set_length(u64::from(*total));
            self.0.set_position(u64::from(*done));
        }
        Control::Continue
    }
}

/// Prints a comparison for a person.
fn table(comparison: &Comparison) {
    say(&comparison.model);
    if let Some(mismatch) = &comparison.mismatch {
        say(format!("  {mismatch}"));
        return;
    }
    say(format!("  {:.0} % of the LoRA's keys are understood.", 100.0 * comparison.matched_share));
    let judge = if comparison.by_clip { "by CLIP" } else { "without CLIP" };
    say(format!("  strength   effect   prompts kept ({judge})"));
    for found in &comparison.strengths {
        say(format!("  {:>8} {:>8.2} {:>8.0} %", found.strength, found.effect, 100.0 * found.retention));
    }
    say(match comparison.safe_range {
        Some((low, high)) if low < high => format!("  Strengths of {low} to {high} are safe."),
        Some((only, _)) => format!("  A strength of {only} is safe."),
        None => "  No strength of these is safe.".to_owned(),
    });
}

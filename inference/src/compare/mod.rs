//! What a LoRA does to a model, measured: pictures of a fixed grid of prompts, seeds and strengths, with it and without.
//!
//! - **Effect**: how far pictures lie from those of the same prompt and seed without the LoRA, measured by how far pictures of
//!   two seeds lie from each other without it. 0 is no effect; at 1 a picture is as different as another picture.
//! - **Prompt retention**: how much of what a prompt says still shows. With CLIP, adherence to the prompts over adherence
//!   without the LoRA. Without CLIP, how different pictures of two prompts and one seed still are, over how different they were
//!   without: a LoRA that draws the same whatever is asked for comes to 0. That measure does not know what a prompt means.
//! - **Safe range**: the strengths, without a gap, at which the effect is seen, the prompts are kept and no picture is washed
//!   out or blackened.

mod distance;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::distance::{LabPicture, mean};
use crate::{
    device::DeviceName,
    dtype::Precision,
    error::{Error, Result},
    image::Picture,
    lora::{Base, LoraReport, fits, inspect},
    model::{Model, ModelFacts, facts},
    progress::{Control, Progress, Sink},
    quality::{Row, contact_sheet},
    render::{LoraUse, RenderRequest},
    scoring::{Measures, Scorer},
};

/// What is drawn where nobody says otherwise: things, places, light and composition that models of every kind know.
pub const PROMPTS: [&str; 4] =
    ["a red fox in the snow", "a blue house beside a green tree", "a portrait of an old man", "a yellow boat at night"];

/// The strengths of the grid.
pub const STRENGTHS: [f64; 6] = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0];

/// The seeds of the grid.
pub const SEEDS: [u64; 2] = [11, 12];

/// An effect below this is not seen.
const LEAST_EFFECT: f64 = 0.05;

/// The retention that is asked of a safe strength.
const LEAST_RETENTION: f64 = 0.7;

/// How much more of a picture may be black or white than without the LoRA.
const MOST_LOST: f64 = 0.25;

/// What is drawn on each model.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparisonGrid {
    /// The LoRA.
    pub lora: PathBuf,
    /// Prompts: two or more.
    pub prompts: Vec<String>,
    /// Words that call the LoRA's style up; they stand before every prompt, without the LoRA as well.
    pub trigger: String,
    /// Strengths, in whatever order: they are drawn rising, each once.
    pub strengths: Vec<f64>,
    /// Seeds: two or more.
    pub seeds: Vec<u64>,
    /// Denoising steps; the model's own without it.
    pub steps: Option<u32>,
}

impl ComparisonGrid {
    fn check(&self) -> Result<()> {
        if self.prompts.len() < 2 || self.seeds.len() < 2 || self.strengths.is_empty() {
            let sentence = "A comparison takes two prompts, two seeds and a strength at least; give more.";
            return Err(Error::Input(sentence.to_owned()));
        }
        if let Some(strength) = self.strengths.iter().find(|strength| !strength.is_finite()) {
            return Err(Error::Input(format!("A strength of {strength} is no number; give others.")));
        }
        Ok(())
    }

    /// The strengths, rising and each once: a safe range is one without a gap, which only neighbours show.
    fn rising_strengths(&self) -> Vec<f64> {
        let mut strengths = self.strengths.clone();
        strengths.sort_by(f64::total_cmp);
        strengths.dedup();
        strengths
    }
}

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparisonSpec {
    /// What is drawn.
    pub grid: ComparisonGrid,
    /// Model folders.
    pub models: Vec<PathBuf>,
    /// A CLIP folder that prompt retention is measured with.
    pub clip: Option<PathBuf>,
    /// Where.
    pub device: DeviceName,
    /// In which numbers.
    pub precision: Precision,
}

/// A LoRA on one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The model's folder.
    pub model: String,
    /// Why the model cannot take the LoRA; nothing was drawn then.
    pub mismatch: Option<String>,
    /// Share of the file's keys that were understood.
    pub matched_share: f64,
    /// Whether retention was measured by CLIP.
    pub by_clip: bool,
    /// What was found at each strength.
    pub strengths: Vec<StrengthFound>,
    /// The lowest and the highest safe strength; nothing where none is.
    pub safe_range: Option<(f64, f64)>,
}

/// What a strength does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrengthFound {
    /// The strength.
    pub strength: f64,
    /// See the module.
    pub effect: f64,
    /// See the module; 1 is all.
    pub retention: f64,
    /// How much more of the pictures is black or white than without the LoRA.
    pub lost: f64,
}

impl StrengthFound {
    fn is_safe(&self) -> bool {
        self.effect >= LEAST_EFFECT && self.retention >= LEAST_RETENTION && self.lost <= MOST_LOST
    }
}

/// A comparison and a sheet of its pictures: a row without the LoRA, then one a strength.
pub struct Compared {
    /// What was found.
    pub comparison: Comparison,
    /// The pictures; none where the model cannot take the LoRA.
    pub sheet: Option<Picture>,
}

/// Compares on every model, one after the other.
///
/// # Errors
/// [`Error::Lora`] when the file is no LoRA that is understood, [`Error::Input`] for a grid that is too small or has a strength
/// that is no number,
/// [`Error::Stopped`] when the sink says so, and those of loading a model.
pub fn compare(spec: &ComparisonSpec, sink: &mut dyn Sink) -> Result<Vec<Compared>> {
    spec.grid.check()?;
    let report = inspect(&spec.grid.lora)?;
    let scorer = match &spec.clip {
        Some(folder) => Scorer::load(folder, &spec.device, spec.precision)?,
        None => Scorer::without_weights(),
    };
    spec.models.iter().map(|folder| on(spec, folder, &report, &scorer, sink)).collect()
}

fn on(
    spec: &ComparisonSpec,
    folder: &Path,
    report: &LoraReport,
    scorer: &Scorer,
    sink: &mut dyn Sink,
) -> Result<Compared> {
    if let Err(mismatch) = belongs(report, &facts(folder)?) {
        let comparison = Comparison { mismatch: Some(mismatch.to_string()), ..begun(report, scorer) };
        let comparison = Comparison { model: folder.display().to_string(), ..comparison };
        return Ok(Compared { comparison, sheet: None });
    }
    let model = Model::load(folder, &spec.device, spec.precision)?;
    let mut compared = compare_on(&model, &spec.grid, report, scorer, sink)?;
    compared.comparison.model = folder.display().to_string();
    Ok(compared)
}

fn begun(report: &LoraReport, scorer: &Scorer) -> Comparison {
    Comparison {
        model: String::new(),
        mismatch: None,
        matched_share: report.matched_share,
        by_clip: scorer.has_clip(),
        strengths: Vec::new(),
        safe_range: None,
    }
}

/// Compares on a model that is loaded already, whose folder the comparison does not name. Retention is measured by CLIP where
/// the scorer has it.
///
/// # Errors
/// As [`compare`].
pub fn compare_on(
    model: &Model,
    grid: &ComparisonGrid,
    report: &LoraReport,
    scorer: &Scorer,
    sink: &mut dyn Sink,
) -> Result<Compared> {
    grid.check()?;
    let mut comparison = begun(report, scorer);
    comparison.mismatch = belongs(report, model.facts()).err().map(|error| error.to_string());
    if comparison.mismatch.is_some() {
        return Ok(Compared { comparison, sheet: None });
    }
    let strengths = grid.rising_strengths();
    let total = (grid.prompts.len() * (strengths.len() + 1)) as u32;
    let mut drawing = Drawing { grid, model, sink, done: 0, total };
    let without = drawing.draw(None)?;
    let mut rows = vec![row("without".to_owned(), &without)];
    let base = Unadapted::of(grid, scorer, &without)?;
    for strength in strengths {
        let with = drawing.draw(Some(strength))?;
        comparison.strengths.push(base.against(grid, scorer, strength, &with)?);
        rows.push(row(format!("{strength}"), &with));
    }
    comparison.safe_range = safe_range(&comparison.strengths);
    Ok(Compared { comparison, sheet: Some(contact_sheet(&rows)) })
}

fn belongs(report: &LoraReport, facts: &ModelFacts) -> Result<()> {
    let lora = Base { family: &report.family, hidden_width: report.hidden_width, context_width: report.context_width };
    let model = Base { family: &facts.family, hidden_width: facts.hidden_width, context_width: facts.context_width };
    fits(lora, model)
}

/// Pictures by prompt, and within a prompt by seed.
type Drawn = Vec<Vec<Picture>>;

fn row(title: String, drawn: &Drawn) -> Row {
    Row { title, pictures: drawn.iter().flatten().cloned().collect() }
}

/// Draws the grid.
struct Drawing<'a> {
    grid: &'a ComparisonGrid,
    model: &'a Model,
    sink: &'a mut dyn Sink,
    done: u32,
    /// Prompts, each counted once a strength and once without the LoRA.
    total: u32,
}

impl Drawing<'_> {
    /// All prompts and seeds at one strength, or without the LoRA.
    fn draw(&mut self, strength: Option<f64>) -> Result<Drawn> {
        let grid = self.grid;
        let facts = self.model.facts();
        let loras = strength.map(|strength| LoraUse { path: grid.lora.clone(), strength });
        let loras: Vec<LoraUse> = loras.into_iter().collect();
        let mut drawn = Vec::with_capacity(grid.prompts.len());
        for prompt in &grid.prompts {
            let trigger = grid.trigger.trim();
            let request = RenderRequest {
                prompt: if trigger.is_empty() { prompt.clone() } else { format!("{trigger}, {prompt}") },
                negative_prompt: String::new(),
                width: facts.native_width,
                height: facts.native_height,
                steps: grid.steps.unwrap_or(facts.default_steps),
                guidance: facts.default_guidance,
                seeds: grid.seeds.clone(),
                loras: loras.clone(),
                merges_loras: false,
                preview_every: None,
                references: Vec::new(),
                start: None,
                size_conditioning: None,
            };
            let step = Progress::Sampling { epoch: 0, done: self.done, total: self.total };
            let rendered = self.model.render(&request, &mut Passing { sink: &mut *self.sink, step })?;
            drawn.push(rendered.into_iter().map(|one| one.picture).collect());
            self.done += 1;
        }
        Ok(drawn)
    }
}

/// To the listener a prompt is one thing.
struct Passing<'a> {
    sink: &'a mut dyn Sink,
    step: Progress,
}

impl Sink for Passing<'_> {
    fn report(&mut self, _rendering: &Progress) -> Control {
        self.sink.report(&self.step)
    }
}

/// What pictures without the LoRA are measured by.
struct Unadapted {
    pictures: Vec<Vec<LabPicture>>,
    /// Between two seeds of a prompt.
    between_seeds: f64,
    /// Between two prompts of a seed, or adherence where CLIP is there.
    prompts: f64,
    lost: f64,
}

impl Unadapted {
    fn of(grid: &ComparisonGrid, scorer: &Scorer, drawn: &Drawn) -> Result<Self> {
        let pictures: Vec<Vec<LabPicture>> = drawn.iter().map(|row| row.iter().map(LabPicture::of).collect()).collect();
        let between_seeds = mean(pictures.iter().flat_map(|row| pairs(row)).map(|(one, other)| one.distance(other)));
        let prompts = prompts(grid, scorer, drawn, &pictures)?;
        if between_seeds <= 0.0 || (!scorer.has_clip() && prompts <= 0.0) {
            return Err(Error::Input(
                "Without the LoRA the model's pictures are the same for every seed, or do not follow their prompts, so that nothing can be measured against them. Give seeds and prompts that differ."
                    .to_owned(),
            ));
        }
        Ok(Self { prompts, lost: lost(drawn), between_seeds, pictures })
    }

    fn against(&self, grid: &ComparisonGrid, scorer: &Scorer, strength: f64, drawn: &Drawn) -> Result<StrengthFound> {
        let pictures: Vec<Vec<LabPicture>> = drawn.iter().map(|row| row.iter().map(LabPicture::of).collect()).collect();
        let same = self.pictures.iter().flatten().zip(pictures.iter().flatten());
        let moved = mean(same.map(|(one, other)| one.distance(other)));
        let kept = prompts(grid, scorer, drawn, &pictures)?;
        Ok(StrengthFound {
            strength,
            effect: moved / self.between_seeds,
            // By CLIP a model may follow no prompt even without the LoRA: then there is nothing that it could lose.
            retention: if self.prompts > 0.0 { kept.max(0.0) / self.prompts } else { 1.0 },
            lost: (lost(drawn) - self.lost).max(0.0),
        })
    }
}

/// How much prompts show: adherence by CLIP, else how different pictures of two prompts and one seed are.
fn prompts(grid: &ComparisonGrid, scorer: &Scorer, drawn: &Drawn, pictures: &[Vec<LabPicture>]) -> Result<f64> {
    if !scorer.has_clip() {
        let columns = (0..grid.seeds.len()).map(|seed| pictures.iter().map(|row| &row[seed]).collect::<Vec<_>>());
        let distances: Vec<f64> = columns
            .flat_map(|column| pairs(&column).map(|(one, other)| one.distance(other)).collect::<Vec<_>>())
            .collect();
        return Ok(mean(distances));
    }
    let mut adherence = Vec::new();
    for (prompt, row) in grid.prompts.iter().zip(drawn) {
        for picture in row {
            adherence.extend(scorer.score(picture, Some(prompt))?.adherence);
        }
    }
    Ok(mean(adherence))
}

/// All pairs of a list.
fn pairs<T>(all: &[T]) -> impl Iterator<Item = (&T, &T)> {
    all.iter().enumerate().flat_map(move |(place, one)| all[place + 1..].iter().map(move |other| (one, other)))
}

/// Share of the pictures that is black or white.
fn lost(drawn: &Drawn) -> f64 {
    mean(drawn.iter().flatten().map(|picture| {
        let measures = Measures::of(picture);
        measures.crushed + measures.clipped
    }))
}

/// The longest run of safe strengths.
fn safe_range(found: &[StrengthFound]) -> Option<(f64, f64)> {
    let runs = found.chunk_by(|one, other| one.is_safe() == other.is_safe()).filter(|run| run[0].is_safe());
    let longest = runs.max_by_key(|run| run.len())?;
    Some((longest.first()?.strength, longest.last()?.strength))
}

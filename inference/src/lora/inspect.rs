//! What a LoRA file says of itself, and what its tensors say.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    adapter::{alpha, most_frequent},
    air::{AirName, air_name},
    formats::{self, Survey, peft::StatedAlphas},
    hashes::{Hashes, hashes},
    metadata::{TrainingRecord, declared, training_record, trigger_words},
    read,
    save::Layout,
};
use crate::{
    error::{Error, Result},
    weights::safetensors::MappedFile,
};

/// Keys that a problem names; the others are counted.
const NAMED_KEYS: usize = 5;

/// A report on a LoRA file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraReport {
    /// `flux2`, `sdxl` or `sd1`, detected from the tensors.
    pub family: String,
    /// `klein-4b`, `klein-9b`, `dev`, or `width-192`, … for other widths; `base` for SDXL and SD 1.
    pub variant: String,
    /// What the metadata declares.
    pub declared: Option<String>,
    /// Width of the text context; 0 where no pair shows it and the network's width implies none.
    pub context_width: u32,
    /// Width of the network's streams; 0 where no pair shows it, and for SDXL.
    pub hidden_width: u32,
    /// Rank of most pairs.
    pub rank: u32,
    /// Alpha at that rank.
    pub alpha: f64,
    /// Layout of its keys.
    pub layout: Layout,
    /// Tensors.
    pub tensors: usize,
    /// Modules that are changed.
    pub modules: usize,
    /// Share of keys that were understood, 0 to 1.
    pub matched_share: f64,
    /// Keys that were not.
    pub unmatched: Vec<String>,
    /// Trigger words from the metadata.
    pub trigger_words: Vec<String>,
    /// The AIR name that the metadata gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub air_name: Option<AirName>,
    /// Hashes.
    pub hashes: Hashes,
    /// Bytes.
    pub size: u64,
    /// What is odd about it, in sentences.
    pub problems: Vec<String>,
    /// What the metadata says of its training.
    pub training: TrainingRecord,
    /// The header's metadata.
    pub metadata: BTreeMap<String, String>,
}

/// Inspects a file: the header first, then its tensors once for their hashes and once for values that are no numbers.
///
/// # Errors
/// [`Error::Lora`] for what is no LoRA or of a kind that is not supported, [`Error::Weights`] for what is damaged,
/// [`Error::Io`] when the file cannot be read.
pub fn inspect(path: &Path) -> Result<LoraReport> {
    let file = MappedFile::open(path)?;
    let survey = formats::survey(file.header())?;
    let metadata = file.header().metadata.clone();
    let alphas = StatedAlphas::read(&metadata)?;
    let rank = most_frequent(survey.groups.iter().map(|group| group.rank));
    let usual = survey.groups.iter().find(|group| group.rank == rank);
    let scale = usual.map(|group| read::scale(&file, group, &alphas)).transpose()?.unwrap_or(1.0);
    Ok(LoraReport {
        family: survey.facts.family.to_string(),
        variant: survey.facts.variant.clone(),
        declared: declared(&metadata),
        context_width: survey.facts.context_width,
        hidden_width: survey.facts.hidden_width,
        rank: rank as u32,
        alpha: alpha(scale, rank),
        layout: survey.layout,
        tensors: survey.keys,
        modules: survey.groups.iter().map(|group| group.mapping.modules.len()).sum(),
        matched_share: 1.0 - survey.unmatched.len() as f64 / survey.keys.max(1) as f64,
        trigger_words: trigger_words(&metadata),
        air_name: air_name(&metadata),
        hashes: hashes(path, file.header().length)?,
        size: std::fs::metadata(path).map_err(Error::io(path))?.len(),
        problems: problems(&file, &survey)?,
        unmatched: survey.unmatched,
        training: training_record(&metadata),
        metadata,
    })
}

fn problems(file: &MappedFile, survey: &Survey) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let unmatched = survey.unmatched.len();
    if unmatched > 0 {
        let named = survey.unmatched.iter().take(NAMED_KEYS).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = unmatched.saturating_sub(NAMED_KEYS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        problems.push(format!(
            "{unmatched} of its {} keys are not understood and have no effect: {named}{more}.",
            survey.keys
        ));
    }
    for group in &survey.groups {
        for key in [&group.down, &group.up] {
            if file.floats(key)?.iter().any(|value| !value.is_finite()) {
                problems.push(format!(
                    "The tensor `{key}` holds values that are no numbers, so pictures cannot be made with it."
                ));
            }
        }
    }
    if survey.facts.is_like_flux1 {
        problems.push(
            "It adapts only layers that FLUX.1 has in the same shape, so it may have been made for FLUX.1.".to_owned(),
        );
    }
    if survey.groups.iter().any(|group| group.mapping.swaps_halves) {
        problems.push(
            "It adapts the last modulation, whose halves programs order differently; it is read in FLUX.2's own order."
                .to_owned(),
        );
    }
    Ok(problems)
}

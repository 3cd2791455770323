//! The header's metadata: modelspec 1.0.1 (<https://github.com/Stability-AI/ModelSpec>) and kohya's `ss_*`, as other
//! programs read and write them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    adapter::Adapter,
    formats::{
        detect::{AdapterFacts, Family},
        peft,
    },
};

/// The keys under which trigger words are found, the best first.
const TRIGGER_KEYS: &[&str] = &["modelspec.trigger_phrase", "ss_trigger_words", "trigger_words", "trigger_word"];

/// The keys that declare a base, the best first.
const BASE_KEYS: &[&str] = &["modelspec.architecture", "ss_base_model_version", "ss_sd_model_name"];

/// Keys that are true of one file only, and not of a conversion of it.
const OF_ONE_FILE: &[&str] =
    &["sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256", peft::CONFIGURATION_KEY, "format"];

/// What the network was made with beside its rank and alpha, a JSON object, as kohya calls it.
pub const NETWORK_ARGUMENTS: &str = "ss_network_args";

/// The [arguments](NETWORK_ARGUMENTS) of a training of these layers.
pub fn network_arguments(layers: &str) -> String {
    serde_json::json!({ "layers": layers }).to_string()
}

/// Trigger words that a header names.
pub fn trigger_words(metadata: &BTreeMap<String, String>) -> Vec<String> {
    let text = TRIGGER_KEYS.iter().find_map(|key| metadata.get(*key).filter(|text| !text.trim().is_empty()));
    let words = text.into_iter().flat_map(|text| text.split(',')).map(str::trim);
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What a header declares to be made for.
pub fn declared(metadata: &BTreeMap<String, String>) -> Option<String> {
    BASE_KEYS.iter().find_map(|key| metadata.get(*key).filter(|text| !text.trim().is_empty())).cloned()
}

/// What a header says of the training. Each is as the file's trainer wrote it, and nothing is where it is not said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// Name of the output (`ss_output_name`).
    pub output_name: Option<String>,
    /// Pictures (`ss_num_train_images`).
    pub pictures: Option<u64>,
    /// Optimiser steps (`ss_steps`).
    pub steps: Option<u64>,
    /// Epochs (`ss_epoch`).
    pub epochs: Option<u64>,
    /// Learning rate (`ss_learning_rate`).
    pub learning_rate: Option<f64>,
    /// Pixels (`ss_resolution`), such as `512` or `(1024, 1024)`.
    pub resolution: Option<String>,
    /// How often each tag stood in the captions, all data sets together (`ss_tag_frequency`).
    pub tags: BTreeMap<String, u64>,
}

/// Reads what a header says of the training.
pub fn training_record(metadata: &BTreeMap<String, String>) -> TrainingRecord {
    let text = |key: &str| {
        metadata.get(key).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty() && text != "None")
    };
    let count = |key: &str| text(key)?.parse().ok();
    TrainingRecord {
        output_name: text("ss_output_name"),
        pictures: count("ss_num_train_images"),
        steps: count("ss_steps"),
        epochs: count("ss_epoch"),
        learning_rate: text("ss_learning_rate")
            .and_then(|text| text.parse().ok())
            .filter(|rate: &f64| rate.is_finite()),
        resolution: text("ss_resolution"),
        tags: tags(metadata.get("ss_tag_frequency").map(String::as_str).unwrap_or_default()),
    }
}

/// Tags of all data sets together. Text of another form says nothing of tags.
fn tags(text: &str) -> BTreeMap<String, u64> {
    let sets: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_str(text).unwrap_or_default();
    let mut tags: BTreeMap<String, u64> = BTreeMap::new();
    for (tag, count) in sets.into_values().flatten() {
        let sum = tags.entry(tag).or_default();
        *sum = sum.saturating_add(count);
    }
    tags
}

/// The header's metadata for a file with an adapter whose tensors have the SHA-256 `tensors`: the adapter's own, with
/// the hashes of this file, without what was true of another one, and with modelspec's obligatory keys where they
/// were missing.
pub fn of_file(adapter: &Adapter, tensors: &str) -> BTreeMap<String, String> {
    let mut metadata = adapter.metadata.clone();
    OF_ONE_FILE.iter().for_each(|key| drop(metadata.remove(*key)));
    let base = Base::of(&adapter.facts);
    let title = metadata.get("ss_output_name").cloned().unwrap_or_else(|| "LoRA".to_owned());
    let missing = [
        ("modelspec.sai_model_spec", "1.0.1".to_owned()),
        ("modelspec.architecture", format!("{}/lora", base.architecture)),
        ("modelspec.implementation", base.implementation.to_owned()),
        ("modelspec.title", title),
        ("ss_base_model_version", base.version),
        ("ss_network_module", "networks.lora".to_owned()),
        ("ss_network_dim", adapter.rank().to_string()),
        ("ss_network_alpha", adapter.alpha().to_string()),
    ];
    for (key, text) in missing {
        metadata.entry(key.to_owned()).or_insert(text);
    }
    metadata.insert("modelspec.hash_sha256".to_owned(), format!("0x{tensors}"));
    metadata.insert("sshs_model_hash".to_owned(), tensors.to_owned());
    metadata.insert("format".to_owned(), "pt".to_owned());
    metadata
}

/// What a header calls the model that a LoRA was made for.
struct Base {
    /// modelspec's architecture.
    architecture: String,
    /// modelspec's implementation: where the model's code was published.
    implementation: &'static str,
    /// kohya's version.
    version: String,
}

impl Base {
    /// Names of SDXL and Stable Diffusion 1 are those of kohya sd-scripts, `library/sai_model_spec.py` and
    /// `library/sdxl_model_util.py`.
    fn of(facts: &AdapterFacts) -> Self {
        match facts.family {
            Family::Flux2 => {
                let architecture = match facts.variant.as_str() {
                    published @ ("dev" | "klein-4b" | "klein-9b") => format!("Flux.2-{published}"),
                    _ => format!("Flux.2-{}-{}", facts.hidden_width, facts.context_width),
                };
                let version = architecture.to_lowercase();
                Self { architecture, implementation: "https://github.com/black-forest-labs/flux2", version }
            }
            Family::Sdxl => Self {
                architecture: "stable-diffusion-xl-v1-base".to_owned(),
                implementation: "https://github.com/Stability-AI/generative-models",
                version: "sdxl_base_v1-0".to_owned(),
            },
            Family::Sd1 => Self {
                architecture: "stable-diffusion-v1".to_owned(),
                implementation: "diffusers",
                version: "sd_v1".to_owned(),
            },
        }
    }
}

/// What is written into the header of a trained LoRA, beside what the caller gives.
pub fn of_training(facts: &TrainingFacts<'_>) -> BTreeMap<String, String> {
    let tags = serde_json::json!({ facts.title: facts.tags }).to_string();
    let texts = [
        ("modelspec.title", facts.title.to_owned()),
        ("modelspec.trigger_phrase", facts.trigger_word.to_owned()),
        ("ss_output_name", facts.title.to_owned()),
        ("ss_network_dim", facts.rank.to_string()),
        ("ss_network_alpha", facts.alpha.to_string()),
        (NETWORK_ARGUMENTS, facts.network_arguments.to_owned()),
        ("ss_num_train_images", facts.pictures.to_string()),
        ("ss_steps", facts.steps.to_string()),
        ("ss_epoch", facts.epoch.to_string()),
        ("ss_learning_rate", facts.learning_rate.to_string()),
        ("ss_resolution", facts.resolution.to_string()),
        ("ss_tag_frequency", if facts.tags.is_empty() { String::new() } else { tags }),
    ];
    texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| (key.to_owned(), text)).collect()
}

/// Facts of a training, for the header. Architecture and hashes are added when the file is written.
#[derive(Clone, Copy, Debug)]
pub struct TrainingFacts<'a> {
    /// What people call the LoRA.
    pub title: &'a str,
    /// The word that calls the style up; empty when there is none.
    pub trigger_word: &'a str,
    /// Rank.
    pub rank: usize,
    /// Alpha.
    pub alpha: f64,
    /// [What the network was made with](NETWORK_ARGUMENTS) beside them; empty when nobody knows.
    pub network_arguments: &'a str,
    /// Pictures trained on.
    pub pictures: usize,
    /// Optimiser steps so far.
    pub steps: u32,
    /// Epochs so far.
    pub epoch: u32,
    /// Learning rate at its peak.
    pub learning_rate: f64,
    /// Pixels.
    pub resolution: u32,
    /// How often each tag stands in the captions.
    pub tags: &'a BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_reads_back_as_it_was_written() {
        let tags = BTreeMap::from([("kettle".to_owned(), 3)]);
        let facts = TrainingFacts {
            title: "Ink wash",
            trigger_word: "inkw",
            rank: 8,
            alpha: 4.0,
            network_arguments: "{}",
            pictures: 16,
            steps: 320,
            epoch: 10,
            learning_rate: 4e-4,
            resolution: 64,
            tags: &tags,
        };
        let metadata = of_training(&facts);
        let record = training_record(&metadata);
        assert_eq!((record.pictures, record.steps, record.epochs), (Some(16), Some(320), Some(10)));
        assert_eq!((record.learning_rate, record.resolution.as_deref()), (Some(4e-4), Some("64")));
        assert_eq!((record.tags, trigger_words(&metadata)), (tags, vec!["inkw".to_owned()]));
        assert_eq!(
            training_record(&BTreeMap::from([("ss_steps".to_owned(), "None".to_owned())])),
            TrainingRecord::default()
        );
    }
}

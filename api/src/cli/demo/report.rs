//! What is left of the demo: the pictures that were made, report.json, the contact sheet, and a table for people.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use atelier_worker::inference::{
    Picture,
    quality::{Row, contact_sheet, style_distance, style_statistics},
};
use bytes::Bytes;
use serde::Serialize;

use super::pictures::SourcePicture;

/// The edge to which training pictures are brought for the contact sheet, in pixels: as large as it shows any.
const SHEET_EDGE: u32 = 264;

/// What came of the demo, in the order in which it is written.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Id of the LoRA.
    pub lora: String,
    /// Id of its version.
    pub version: String,
    /// Pictures trained on and held out together.
    pub images: u32,
    /// How often each was seen.
    pub epochs: u32,
    /// Optimiser steps.
    pub steps: u32,
    /// Seconds of training.
    pub training_seconds: f64,
    /// Progress events that arrived while it was trained.
    pub progress_events: u64,
    /// Held-out loss without the LoRA.
    pub validation_loss_base: Option<f64>,
    /// Held-out loss with it.
    pub validation_loss_lora: Option<f64>,
    /// Files of its previews.
    pub previews: Vec<String>,
    /// How it was found.
    pub search: Search,
    /// Milliseconds from the answer to its publication until a search found it.
    pub index_visible_ms: f64,
    /// Milliseconds from asking for its publication until a follower was told.
    pub notification_ms: f64,
    /// Files of the pictures that were generated.
    pub generated: Generated,
    /// How far their styles lie from that of the training pictures.
    pub style_distance: StyleDistance,
}

/// A search that found the LoRA.
#[derive(Clone, Debug, Serialize)]
pub struct Search {
    /// The words.
    pub query: String,
    /// At which place it stood, from 1.
    pub rank: usize,
    /// Milliseconds that the search took.
    pub ms: f64,
}

/// Files of generated pictures, from the same prompts and seeds.
#[derive(Clone, Debug, Serialize)]
pub struct Generated {
    /// Without the LoRA.
    pub base: Vec<String>,
    /// With it.
    pub lora: Vec<String>,
}

/// Distances of colour and texture from the training pictures; 0 is their own style.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StyleDistance {
    /// Of the pictures without the LoRA.
    pub base: f64,
    /// Of those with it.
    pub lora: f64,
}

impl Report {
    /// The report as one line of JSON.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn line(&self) -> anyhow::Result<String> {
        serde_json::to_string(self).context("The report cannot be written as JSON.")
    }

    /// Writes report.json.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn write(&self, out: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("The report cannot be written as JSON.")?;
        let file = out.join("report.json");
        tokio::fs::write(&file, text + "\n").await.with_context(|| unwritable(&file))
    }

    /// The report for people.
    pub fn table(&self, name: &str, out: &Path) -> String {
        let loss = |loss: Option<f64>| loss.map_or_else(|| "not measured".to_owned(), |loss| format!("{loss:.4}"));
        let (search, distance) = (&self.search, self.style_distance);
        let files = ["contact-sheet.png", "report.json"].map(|file| out.join(file).display().to_string());
        let rows = [
            ("LoRA", format!("{name}  {}", self.lora)),
            (
                "trained on",
                [count(self.images, "picture"), count(self.epochs, "epoch"), count(self.steps, "step")].join(", "),
            ),
            ("training took", format!("{:.0} s, {} progress events", self.training_seconds, self.progress_events)),
            ("held-out loss", format!("{} without the LoRA", loss(self.validation_loss_base))),
            ("", format!("{} with it", loss(self.validation_loss_lora))),
            ("follower told", format!("{:.0} ms after it was published", self.notification_ms)),
            ("found", format!("{:.0} ms after it was published", self.index_visible_ms)),
            ("", format!("“{}” finds it at place {} in {:.0} ms", search.query, search.rank, search.ms)),
            ("style distance", format!("{:.2} without the LoRA", distance.base)),
            ("", format!("{:.2} with it; 0 is the style of the training pictures", distance.lora)),
            ("written", files.join("  ")),
        ];
        let lines: Vec<String> = rows.iter().map(|(title, text)| format!("  {title:<16}{text}")).collect();
        format!("\n{}", lines.join("\n"))
    }
}

/// So many of something.
fn count(number: u32, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A span as milliseconds, to a tenth.
pub fn milliseconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 10_000.0).round() / 10.0
}

/// Makes the folder for the results, and makes sure that it can be written and is not the folder of the pictures.
///
/// # Errors
/// A sentence that says why it cannot.
pub fn prepare(out: &Path, images: Option<&Path>) -> anyhow::Result<()> {
    if out.exists() && !out.is_dir() {
        bail!("`{}` is a file, not a folder. Name another with `--out`.", out.display());
    }
    std::fs::create_dir_all(out).with_context(|| unwritable(out))?;
    tempfile::tempfile_in(out).with_context(|| unwritable(out))?;
    let place = |folder: &Path| folder.canonicalize().ok();
    if images.is_some_and(|images| place(images) == place(out)) {
        bail!("The pictures that are made would be trained on the next time. Name another folder with `--out`.");
    }
    Ok(())
}

fn unwritable(path: &Path) -> String {
    format!(
        "`{}` cannot be written. Check who may write there and that the disk has room, or name another folder with \
         `--out`.",
        path.display()
    )
}

/// The folder in which pictures are kept.
#[derive(Debug)]
pub struct Album<'a> {
    out: &'a Path,
}

impl<'a> Album<'a> {
    /// Pictures are kept in this folder.
    pub fn new(out: &'a Path) -> Self {
        Self { out }
    }

    /// Keeps a picture. Gives its file's path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep(&self, name: &str, bytes: &Bytes) -> anyhow::Result<String> {
        let file: PathBuf = self.out.join(name);
        tokio::fs::write(&file, bytes).await.with_context(|| unwritable(&file))?;
        Ok(file.display().to_string())
    }
}

/// Measures two rows of generated pictures against the training pictures, and writes the contact sheet. Blocks.
///
/// # Errors
/// When a picture cannot be read, or the sheet cannot be written.
pub fn compare(
    training: &[SourcePicture],
    base: Vec<Bytes>,
    lora: Vec<Bytes>,
    out: &Path,
) -> anyhow::Result<StyleDistance> {
    let base = decode(&base)?;
    let lora = decode(&lora)?;
    let (width, height) =
        base.first().map(|picture| (picture.width, picture.height)).context("Nothing was generated.")?;
    // One after the other: decoded, they are large.
    let (mut compared, mut shown) = (Vec::with_capacity(training.len()), Vec::with_capacity(training.len()));
    for picture in training {
        let decoded = Picture::decode(&picture.read()?)?;
        compared.push(decoded.resized_covering(width, height));
        shown.push(decoded.resized_covering(SHEET_EDGE, SHEET_EDGE));
    }
    let own = style_statistics(&compared);
    let distance = |row: &[Picture]| -> f64 { style_distance(&own, &style_statistics(row)) };
    let distances = StyleDistance { base: distance(&base), lora: distance(&lora) };
    let row = |title: String, pictures| Row { title, pictures };
    let sheet = contact_sheet(&[
        row(format!("Training pictures ({})", training.len()), shown),
        row(format!("Without the LoRA: style distance {:.2}", distances.base), base),
        row(format!("With the LoRA, same prompts and seeds: style distance {:.2}", distances.lora), lora),
    ]);
    let file = out.join("contact-sheet.png");
    std::fs::write(&file, sheet.encode_png(&[])).with_context(|| unwritable(&file))?;
    Ok(distances)
}

fn decode(row: &[Bytes]) -> anyhow::Result<Vec<Picture>> {
    row.iter().map(|bytes| Picture::decode(bytes).context("A generated picture cannot be read.")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::pictures::Material;

    fn report() -> Report {
        Report {
            lora: "lora_1".to_owned(),
            version: "version_1".to_owned(),
            images: 12,
            epochs: 8,
            steps: 64,
            training_seconds: 61.5,
            progress_events: 99,
            validation_loss_base: Some(0.8),
            validation_loss_lora: None,
            previews: vec!["out/preview-1.png".to_owned()],
            search: Search { query: "ink".to_owned(), rank: 1, ms: 3.1 },
            index_visible_ms: 80.0,
            notification_ms: 12.5,
            generated: Generated { base: vec!["b".to_owned()], lora: vec!["l".to_owned()] },
            style_distance: StyleDistance { base: 2.0, lora: 1.0 },
        }
    }

    #[test]
    fn the_line_has_its_keys_in_their_order() {
        let expected = r#"{"lora":"lora_1","version":"version_1","images":12,"epochs":8,"steps":64,"training_seconds":61.5,"progress_events":99,"validation_loss_base":0.8,"validation_loss_lora":null,"previews":["out/preview-1.png"],"search":{"query":"ink","rank":1,"ms":3.1},"index_visible_ms":80.0,"notification_ms":12.5,"generated":{"base":["b"],"lora":["l"]},"style_distance":{"base":2.0,"lora":1.0}}"#;
        assert_eq!(report().line().unwrap(), expected);
        let table = report().table("Ink", Path::new("out"));
        assert!(table.contains("not measured with it") && table.contains("out/report.json"), "{table}");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_said_before_anything_begins() {
        let folder = tempfile::tempdir().unwrap();
        prepare(&folder.path().join("a/b"), Some(folder.path())).unwrap();
        assert!(prepare(folder.path(), Some(folder.path())).is_err());
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(prepare(&file, None).unwrap_err().to_string().contains("is a file"));
        assert!(prepare(&file.join("below"), None).unwrap_err().to_string().contains("--out"));
    }

    #[test]
    fn the_training_pictures_have_their_own_style() {
        let out = tempfile::tempdir().unwrap();
        let training = Material::bundled().pictures;
        let grey = vec![Bytes::from(Picture::filled(64, 64, [128; 3]).encode_png(&[]))];
        let same = training.iter().map(|picture| picture.read().unwrap()).collect();
        let distance = compare(&training, grey, same, out.path()).unwrap();
        assert!(distance.lora < 0.1 * distance.base, "{distance:?}");
        assert!(out.path().join("contact-sheet.png").is_file());
    }
}

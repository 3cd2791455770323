//! `atelier models verify`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use atelier_domain::ports::inspector::{inspect, model_folder};
use atelier_worker::inference::weights::{folder::weight_files, safetensors::read_header};
use clap::Parser;
use serde_json::json;

use super::{named, say, start_log};
use crate::{
    config::HouseSettings,
    house::{self, HouseUse},
    hub::{MODEL_INDEX, Manifest, Problem, Progress, parts},
};

/// Check a base model.
#[derive(Parser, Debug)]
pub struct Verify {
    /// Name or id of the base model
    #[arg(value_name = "NAME|ID")]
    model: String,

    /// Write JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    house: HouseSettings,
}

/// What was found.
struct Findings {
    /// What the files were compared with.
    basis: String,
    problems: Vec<Problem>,
}

impl Verify {
    /// Checks; status 1 when something is wrong.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        start_log(&self.house.log)?;
        let house = house::open(&self.house, String::new(), HouseUse::Administer).await?;
        let model = named(&house, &self.model).await?;
        let folder = model_folder(&house.settings.models, &model.folder);
        let mut findings = match Manifest::read(&folder)? {
            Some(manifest) => compared(&manifest, &folder).await,
            None => looked_at(folder.clone()).await?,
        };
        let path = folder.clone();
        if let Err(rejected) = inspect(&house.inspector, move |inspector| inspector.model(&path)).await? {
            findings.problems.push(Problem::new(".", rejected.0));
        }
        let Findings { basis, problems } = findings;
        if self.json {
            let report = json!({
                "name": model.name, "folder": folder, "basis": basis, "ok": problems.is_empty(), "problems": problems,
            });
            say(serde_json::to_string_pretty(&report)?);
        } else {
            for Problem { file, problem } in &problems {
                say(format!("{file}: {problem}"));
            }
            say(conclusion(&model.name, &folder, &basis, problems.len()));
        }
        Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn conclusion(name: &str, folder: &Path, basis: &str, problems: usize) -> String {
    let folder = folder.display();
    match problems {
        0 => format!("`{name}` in {folder} is whole: {basis}."),
        _ => format!(
            "`{name}` in {folder} is damaged: problems found: {problems}. If it was downloaded, give `atelier models pull` \
             again: what is damaged is downloaded anew."
        ),
    }
}

/// A folder that was downloaded: every byte of it is known.
async fn compared(manifest: &Manifest, folder: &Path) -> Findings {
    let problems = manifest.problems(folder, &Progress::of_standard_error()).await;
    let basis = format!(
        "{} files have the sizes and SHA-256 of {} at {}",
        manifest.files.len(),
        manifest.repository,
        manifest.commit
    );
    Findings { basis, problems }
}

/// A folder that was added: nobody knows what its bytes should be, but weights that were cut off are found.
async fn looked_at(folder: PathBuf) -> anyhow::Result<Findings> {
    tokio::task::spawn_blocking(move || {
        let mut files = Vec::new();
        let mut problems = Vec::new();
        collect(&folder, &mut files, &mut problems);
        files.sort();
        let weights: Vec<&PathBuf> =
            files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "safetensors")).collect();
        for file in &weights {
            if let Err(error) = read_header(file) {
                problems.push(Problem::new(shown(&folder, file), error.to_string()));
            }
        }
        for part in parts_with_weights(&folder) {
            if let Err(error) = weight_files(&folder.join(&part)) {
                problems.push(Problem::new(part, error.to_string()));
            }
        }
        let basis = format!(
            "its configurations are understood and {} .safetensors files are as long as their headers say; there is no \
             manifest to compare bytes with",
            weights.len()
        );
        Ok(Findings { basis, problems })
    })
    .await?
}

/// The parts of a model that have a network in them. An index that is not understood is said elsewhere.
fn parts_with_weights(folder: &Path) -> Vec<String> {
    let index = std::fs::read(folder.join(MODEL_INDEX)).unwrap_or_default();
    let mut found = parts(&index).unwrap_or_default();
    found.retain(|part| !part.starts_with("tokenizer") && folder.join(part).join("config.json").is_file());
    found
}

/// Every file below a folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(Problem::new(folder.display().to_string(), format!("It cannot be read: {error}.")));
            return;
        }
    };
    for entry in entries {
        match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
            Ok((path, kind)) if kind.is_dir() => collect(&path, files, problems),
            Ok((path, _)) => files.push(path),
            Err(error) => {
                problems.push(Problem::new(folder.display().to_string(), format!("It cannot be read: {error}.")));
            }
        }
    }
}

fn shown(folder: &Path, file: &Path) -> String {
    file.strip_prefix(folder).unwrap_or(file).display().to_string()
}

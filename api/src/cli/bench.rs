//! `atelier bench`.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use atelier_search::{LoraIndex, bench as search_bench};
use atelier_worker::inference::bench::{self, Architecture, BenchReport, BenchSpec, Stage};
use clap::{Parser, Subcommand};
use serde::Serialize;

mod marketplace;

use super::{bench_notifications::Notifications, say};
use crate::{
    config::{
        DeviceSettings,
        location::{SearchLocation, Secret},
    },
    house,
};

/// Measure this machine.
#[derive(Parser, Debug)]
pub struct Bench {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Subcommand, Debug)]
enum BenchCommand {
    /// How fast a model generates, stage by stage, and learns
    Inference(Inference),
    /// How well and how fast LoRAs are found in a synthetic catalogue
    Search(Search),
    /// How fast the marketplace's page is answered while people arrive
    Marketplace(marketplace::Marketplace),
    /// How fast the followers of a publication are told
    Notifications(Notifications),
}

/// How well and how fast LoRAs are found in a synthetic catalogue whose right answers are known.
///
/// The catalogue is indexed from nothing, in a folder or under a name of its own that is deleted afterwards; then its
/// queries are run. Quality is the mean reciprocal rank of what should be found among the first ten.
#[derive(Parser, Debug)]
struct Search {
    /// Folder with `loras.jsonl` and `queries.jsonl`
    #[arg(long, value_name = "DIR")]
    catalog: PathBuf,

    /// `embedded`, or the address of a Meilisearch server
    #[arg(long, value_name = "ENGINE", default_value = "embedded", value_parser = SearchLocation::parse)]
    engine: SearchLocation,

    /// Key that the Meilisearch server is shown
    #[arg(long, env = "ATELIER_SEARCH_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<Secret>,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// How fast a model generates, stage by stage: text, each step, decoding, the PNG file; with `--train`, how fast a LoRA is
/// trained on it.
///
/// Without `--folder` the weights are drawn in the published sizes, so that nothing need be fetched. Text begins with token
/// ids.
#[derive(Parser, Debug)]
struct Inference {
    /// starter, klein-4b, klein-9b, dev, sdxl or sdxl-turbo
    #[arg(long = "arch", default_value = "starter")]
    architecture: Architecture,

    /// A model folder to measure instead
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,

    /// Pixels across and down, as 1024x1024 [default: the model's own]
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<(u32, u32)>,

    /// Denoising steps, and steps of the training with --train [default: the model's own]
    #[arg(long)]
    steps: Option<u32>,

    /// LoRAs of rank 16 beside every layer; pictures are made with and without them by turns
    #[arg(long, default_value_t = 0)]
    lora: u32,

    /// Measure steps of a LoRA training as well, of rank 16 on the layers that are trained
    #[arg(long)]
    train: bool,

    /// Pictures a step of the training
    #[arg(long, default_value_t = 1, requires = "train")]
    batch: u32,

    /// How often everything is done, after once that does not count; on a card after a few times
    #[arg(long, default_value_t = 5)]
    repeats: u32,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    device: DeviceSettings,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    parsed.ok_or_else(|| format!("`{text}` is no size; say it as 1024x768"))
}

impl Bench {
    /// Measures and prints.
    ///
    /// # Errors
    /// When the device is missing or fails, the folder holds no model, the size is none of its model's, or the catalogue
    /// or the search engine cannot be used.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            BenchCommand::Inference(inference) => inference.run(),
            BenchCommand::Search(search) => super::block_on(search.run()),
            BenchCommand::Marketplace(marketplace) => super::block_on(marketplace.run()),
            BenchCommand::Notifications(notifications) => super::block_on(notifications.run()),
        }
    }
}

impl Search {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let folder = tempfile::tempdir()?;
        let (name, report) = match &self.engine {
            SearchLocation::Embedded => {
                let index = house::open_embedded_index(folder.path().to_owned()).await?;
                ("embedded", search_bench::run(Arc::new(index), &self.catalog, Some(folder.path())).await?)
            }
            SearchLocation::Meilisearch(url) => {
                let name = format!("atelier_bench_{}", std::process::id());
                let index = Arc::new(house::open_meilisearch(url, self.key.as_ref(), &name, folder.path()).await?);
                let report = search_bench::run(Arc::clone(&index) as Arc<dyn LoraIndex>, &self.catalog, None).await;
                // Whatever came of it, nothing of the catalogue stays on the server.
                index.delete().await?;
                ("meilisearch", report?)
            }
        };
        if self.json {
            say(serde_json::to_string(&Judged { engine: name, report })?);
        } else {
            search_table(name, &report);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A report with the engine that it is of.
#[derive(Serialize)]
struct Judged {
    engine: &'static str,
    #[serde(flatten)]
    report: search_bench::Report,
}

fn search_table(engine: &str, report: &search_bench::Report) {
    say(format!("{engine}: {} LoRAs, {:.0} a second", report.documents, report.documents_per_second));
    say("kind       queries   MRR@10   p50 ms   p99 ms");
    for (kind, figures) in &report.kinds {
        let search_bench::KindReport { queries, mrr_at_10, p50_ms, p99_ms } = figures;
        say(format!("{kind:<10} {queries:>7} {mrr_at_10:>8.3} {p50_ms:>8.2} {p99_ms:>8.2}"));
    }
    for (what, size) in [("of memory were in use at most", report.memory_mb), ("lie on the disk", report.disk_mb)] {
        if let Some(size) = size {
            say(format!("{size:.0} MB {what}."));
        }
    }
}

impl Inference {
    fn run(self) -> anyhow::Result<ExitCode> {
        let report = bench::bench(&BenchSpec {
            architecture: self.architecture,
            folder: self.folder,
            width: self.size.map(|(width, _)| width),
            height: self.size.map(|(_, height)| height),
            steps: self.steps,
            loras: self.lora,
            training_batch: self.train.then_some(self.batch),
            repeats: self.repeats,
            device: self.device.device.clone(),
            precision: self.device.precision(),
        })?;
        if self.json {
            say(serde_json::to_string(&report)?);
        } else {
            table(&report);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The stages, in the order in which they are printed.
const STAGES: [&str; 9] =
    ["text", "step", "decode", "png", "total", "train_step", "train_forward", "train_backward", "train_optimiser"];

/// A stage as a row of the table.
fn row(name: &str, stage: &Stage) -> String {
    let tflops = stage.tflops.map(|tflops| format!("{tflops:.3}")).unwrap_or_default();
    format!("{name:<15} {:>10.2} {:>9.2} {tflops:>10}", stage.median_ms, stage.p95_ms)
}

/// Prints a report for a person.
fn table(report: &BenchReport) {
    say(format!(
        "{} on {} ({} threads): {} x {}, {} steps, {} LoRAs, {:.1} million parameters",
        report.model,
        report.device,
        report.threads,
        report.width,
        report.height,
        report.steps,
        report.loras,
        report.parameters as f64 / 1e6
    ));
    say("stage            median ms    p95 ms    TFLOP/s");
    for name in STAGES {
        let Some(stage) = report.stages.get(name) else { continue };
        say(row(name, stage));
        if name == "step" {
            for (step, number) in report.each_step.iter().zip(1..) {
                say(row(&format!("  step {number}"), step));
            }
        }
    }
    say(format!(
        "A step reaches {:.0} % of a matrix product's {:.3} TFLOP/s.",
        100.0 * report.share_of_calibration,
        report.calibration_tflops
    ));
    if let Some(swap) = report.lora_swap_ms {
        say(format!("LoRAs are exchanged in {swap:.2} ms."));
    }
    if let Some(overhead) = report.lora_overhead {
        say(format!("A step takes {:.1} % longer with them.", 100.0 * overhead));
    }
    if let Some(training) = &report.training {
        say(format!(
            "A training makes {:.3} steps a second of {} pictures, at {:.0} % of a matrix product; {:.1} million numbers of rank \
             {} are learnt.",
            training.steps_per_second,
            training.batch,
            100.0 * training.share_of_calibration,
            training.trained_parameters as f64 / 1e6,
            training.rank
        ));
    }
    if let Some(peak) = report.peak_memory {
        say(format!("At most {} MiB of memory were in use.", peak >> 20));
    }
    if let Some(used) = report.card_memory {
        say(format!("{} MiB of the card's memory are in use.", used >> 20));
    }
}

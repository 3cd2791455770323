//! Measures the embedded engine on a catalogue: `cargo run --release --example bench_search -- CATALOG`.
//!
//! The last line is the report as JSON.

use std::{io::Write as _, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use atelier_search::{EmbeddedIndex, bench};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let catalog = std::env::args_os().nth(1).map(PathBuf::from).context("Give the folder of a catalogue.")?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_owned();
    let index = tokio::task::spawn_blocking(move || EmbeddedIndex::open(&path)).await??;
    let report = bench::run(Arc::new(index), &catalog, Some(folder.path())).await?;
    let mut out = std::io::stdout().lock();
    for (kind, figures) in &report.kinds {
        let bench::KindReport { queries, mrr_at_10, p50_ms, p99_ms } = figures;
        writeln!(out, "{kind:8} {queries:5} queries  MRR@10 {mrr_at_10:.3}  p50 {p50_ms:6.2} ms  p99 {p99_ms:6.2} ms")?;
    }
    let mut line = serde_json::to_value(&report)?;
    line["engine"] = "embedded".into();
    writeln!(out, "{line}")?;
    Ok(())
}

//! Reports on LoRA files and writes each in every layout: `lora_layouts OUT LORA…` leaves `OUT/<n>.<LAYOUT>.safetensors`
//! and prints one JSON line a file. `tests/reference/lora_layouts.py` loads what this writes into the reference
//! implementation.

#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use atelier_inference::{Error, Layout, convert, inspect};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(out) = arguments.next() else {
        eprintln!("Give a folder to write to, and LoRA files.");
        return ExitCode::FAILURE;
    };
    for (number, file) in arguments.enumerate() {
        if let Err(error) = every_layout(number, &file, &out) {
            eprintln!("{}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn every_layout(number: usize, file: &std::path::Path, out: &std::path::Path) -> Result<(), Error> {
    std::fs::create_dir_all(out).map_err(Error::io(out))?;
    let report = inspect(file)?;
    // Black Forest Labs' layout is for their own models.
    let layouts: &[Layout] = match report.family.as_str() {
        "flux2" => &[Layout::Bfl, Layout::Diffusers, Layout::Kohya],
        _ => &[Layout::Diffusers, Layout::Kohya],
    };
    let mut left_out = Vec::new();
    for layout in layouts {
        let file_of_layout = out.join(format!("{number}.{layout}.safetensors"));
        left_out.extend(convert(file, *layout, &BTreeMap::new(), &file_of_layout)?);
    }
    let facts = serde_json::json!({
        "file": file, "family": report.family, "variant": report.variant, "layout": report.layout, "rank": report.rank,
        "alpha": report.alpha, "modules": report.modules, "tensors": report.tensors, "matched_share": report.matched_share,
        "problems": report.problems, "left_out": left_out,
    });
    println!("{facts}");
    Ok(())
}

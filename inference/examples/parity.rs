//! Repeats parity cases and prints one line of JSON for each:
//!
//! ```text
//! cargo run --release -p atelier-inference --example parity -- [--device cpu] [--dtype f32] CASE…
//! ```

use std::{io::Write, path::Path};

use atelier_inference::{DeviceName, Precision, parity};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut device, mut precision, mut cases) = (DeviceName::Cpu, Precision::F32, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--device" => device = arguments.next().unwrap_or_default().parse()?,
            "--dtype" => precision = arguments.next().unwrap_or_default().parse()?,
            _ => cases.push(argument),
        }
    }
    let mut all = true;
    for case in cases {
        let report = parity(Path::new(&case), &device, precision)?;
        all &= report.ok;
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?;
    }
    if all { Ok(()) } else { Err("Not every case is equal to the reference.".into()) }
}

//! Asks a starter model for captions that it was not trained on, and reads from its pictures whether it obeyed:
//!
//! ```text
//! cargo run --release -p atelier-inference --example obedience -- FOLDER [--seed N] [--guidance G] [--steps S]
//!     [--count N] [--sheet FILE.png] [--trained FIRST:COUNT]…
//! cargo run --release -p atelier-inference --example obedience -- FOLDER --drawn [--seed N] [--count N]
//!     [--sheet FILE.png]
//! ```
//!
//! `FOLDER` holds the model. `--trained` names seeds of scenes that it was trained on, beside those of the model that
//! ships. With `--drawn` nobody is asked: the captions' own drawings, as the model's autoencoder shows them, are read
//! instead, and it is said how many of each other's drawings are refused, which measures the reader. `--sheet` writes
//! the pictures of every kind, each wrong one with its caption. The last line is JSON.

#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use atelier_inference::{
    Precision,
    flux2::pipeline::Flux2Pipeline,
    quality::{Row, contact_sheet},
    starter::obedience::{
        Answer, Asking, Kind, SeedRange, TRAINED, Tally, ask, autoencoded, drawings, measure, questions,
    },
};
use burn::backend::Flex;

/// Edge of drawings, in pixels.
const SIZE: u32 = 64;

/// With `--drawn`, how many drawings of others each question is shown.
const OTHERS: usize = 12;

/// What is to be done.
struct Wishes {
    folder: PathBuf,
    seed: u64,
    guidance: Option<f64>,
    steps: Option<u32>,
    count: usize,
    sheet: Option<PathBuf>,
    trained: Vec<SeedRange>,
    drawn: bool,
}

fn wishes(mut arguments: impl Iterator<Item = String>) -> Result<Wishes, Box<dyn std::error::Error>> {
    let folder = arguments.next().ok_or("Say the folder of the model.")?.into();
    let (guidance, steps, sheet, trained) = (None, None, None, TRAINED.to_vec());
    let mut wishes = Wishes { folder, seed: 1, guidance, steps, count: 120, sheet, trained, drawn: false };
    while let Some(name) = arguments.next() {
        if name == "--drawn" {
            wishes.drawn = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("`{name}` wants a value."))?;
        match name.as_str() {
            "--seed" => wishes.seed = value.parse()?,
            "--guidance" => wishes.guidance = Some(value.parse()?),
            "--steps" => wishes.steps = Some(value.parse()?),
            "--count" => wishes.count = value.parse()?,
            "--sheet" => wishes.sheet = Some(value.into()),
            "--trained" => {
                let (first, count) = value.split_once(':').ok_or("`--trained` wants FIRST:COUNT.")?;
                wishes.trained.push(SeedRange::with_studies(first.parse()?, count.parse()?));
            }
            _ => return Err(format!("`{name}` is not known.").into()),
        }
    }
    Ok(wishes)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wishes = wishes(std::env::args().skip(1))?;
    let device = Default::default();
    let pipeline = Flux2Pipeline::<Flex>::load(&wishes.folder, Precision::F32, &device)?;
    let questions = questions(wishes.seed, wishes.count, &wishes.trained);
    let started = Instant::now();
    let pictures = if wishes.drawn {
        autoencoded(&pipeline.autoencoder, &drawings(&questions, wishes.seed, SIZE), &device)
    } else {
        let asking = Asking { steps: wishes.steps, guidance: wishes.guidance, seed: wishes.seed };
        ask(&pipeline, &questions, asking)?
    };
    let seconds = started.elapsed().as_secs_f64();
    println!("{} pictures in {seconds:.1} s", pictures.len());
    let answers = Answer::all(&questions, &pictures);
    for answer in answers.iter().filter(|answer| !answer.verdict.right) {
        println!("{}", title(answer));
    }
    if let Some(sheet) = &wishes.sheet {
        write_sheet(sheet, &answers)?;
    }
    let tally = Tally::of(&answers);
    println!("{tally}");
    if wishes.drawn {
        println!("Refused, of the drawings for other questions:\n{}", measure(&questions, &pictures, OTHERS).others);
    }
    println!("{}", tally.to_json());
    Ok(())
}

fn title(answer: &Answer) -> String {
    let Answer { question, verdict, .. } = answer;
    let kind = question.kind.word();
    match verdict.right {
        true => format!("{kind}: {}", question.prompt),
        false => format!("WRONG {kind}: {} [asked {}, seen {}]", question.prompt, question.wanted, verdict.seen),
    }
}

/// Of every kind the right pictures in one row and each wrong one in a row of its own.
fn write_sheet(file: &Path, answers: &[Answer]) -> Result<(), Box<dyn std::error::Error>> {
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let of_kind = || answers.iter().filter(|answer| answer.question.kind == kind);
        let right = of_kind().filter(|answer| answer.verdict.right).map(|answer| answer.picture.clone()).collect();
        rows.push(Row { title: format!("{}, right", kind.word()), pictures: right });
        let wrong = of_kind().filter(|answer| !answer.verdict.right);
        rows.extend(wrong.map(|answer| Row { title: title(answer), pictures: vec![answer.picture.clone()] }));
    }
    std::fs::write(file, contact_sheet(&rows).encode_png(&[]))?;
    Ok(())
}

//! The starter model that ships obeys its captions: it is asked for captions outside its training list, and plain image
//! analysis reads the pictures back. And its autoencoder gives photographs back.

use std::{path::Path, time::Instant};

use atelier_inference::{
    Picture, Precision,
    flux2::pipeline::Flux2Pipeline,
    image::Part,
    starter::{
        autoencoder_training::psnr,
        obedience::{Answer, Asking, TRAINED, Tally, ask, questions},
        pictures::to_tensor,
    },
};
use burn::backend::Flex;

/// How many captions it is asked for.
const ASKED: usize = 120;

/// The share of its pictures that must show what their caption says.
const REQUIRED: f64 = 0.9;

/// The edge of the pictures that it draws, in pixels.
const EDGE: u32 = 64;

/// How near photographs must come back on average, in decibels of the peak signal-to-noise ratio.
const REQUIRED_PSNR: f64 = 24.0;

/// The model that ships.
fn starter() -> Flux2Pipeline<Flex> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("starter");
    Flux2Pipeline::load(&folder, Precision::F32, &Default::default()).expect("the starter model")
}

#[test]
fn photographs_come_back_from_the_latents_of_the_starter_model() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photographs/photographs.png");
    let row = Picture::decode(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(row.height, EDGE);
    let places = (0..row.width).step_by(EDGE as usize);
    let photographs: Vec<Picture> =
        places.map(|left| row.cropped(Part { left, top: 0, width: EDGE, height: EDGE })).collect();
    assert_eq!(photographs.len(), 10);
    let mean = psnr(&starter().autoencoder, &to_tensor(&photographs, &Default::default()));
    assert!(mean >= REQUIRED_PSNR, "photographs come back at {mean:.1} dB on average");
}

#[test]
fn the_starter_model_obeys_its_captions() {
    let pipeline = starter();
    let questions = questions(1, ASKED, TRAINED);
    assert_eq!(questions.len(), ASKED);
    let started = Instant::now();
    let pictures = ask(&pipeline, &questions, Asking { steps: None, guidance: None, seed: 1 }).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let answers = Answer::all(&questions, &pictures);
    for answer in answers.iter().filter(|answer| !answer.verdict.right) {
        let Answer { question, verdict, .. } = answer;
        println!("{}: {} [asked {}, seen {}]", question.kind.word(), question.prompt, question.wanted, verdict.seen);
    }
    let tally = Tally::of(&answers);
    println!("{tally}{ASKED} pictures in {seconds:.1} s");
    assert!(tally.right() >= REQUIRED, "{:.1} % of its pictures are right:\n{tally}", 100.0 * tally.right());
}

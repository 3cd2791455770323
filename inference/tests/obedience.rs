//! The starter model that ships obeys its captions: it is asked for captions outside its training list, and plain image
//! analysis reads the pictures back.

use std::{path::Path, time::Instant};

use atelier_inference::{
    Precision,
    flux2::pipeline::Flux2Pipeline,
    starter::obedience::{Answer, Asking, TRAINED, Tally, ask, questions},
};
use burn::backend::Flex;

/// How many captions it is asked for.
const ASKED: usize = 120;

/// The share of its pictures that must show what their caption says.
const REQUIRED: f64 = 0.9;

#[test]
fn the_starter_model_obeys_its_captions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("starter");
    let pipeline = Flux2Pipeline::<Flex>::load(&folder, Precision::F32, &Default::default()).unwrap();
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

//! What holds of every rendering, on a tiny model with drawn weights.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use atelier_inference::{
    Control, DeviceName, Error, LoraUse, Model, Picture, Precision, Progress, Quiet, RenderRequest, Rendered, Sink,
};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity").join(name)
}

fn model(name: &str) -> Model {
    Model::load(&case(name).join("model"), &DeviceName::Cpu, Precision::F32).unwrap()
}

fn request(loras: Vec<LoraUse>) -> RenderRequest {
    RenderRequest {
        prompt: "a red fox".to_owned(),
        negative_prompt: "snow".to_owned(),
        width: 32,
        height: 48,
        steps: 3,
        guidance: 3.0,
        seeds: vec![7, 8],
        loras,
        preview_every: None,
    }
}

fn rgb(rendered: &[Rendered]) -> Vec<&[u8]> {
    rendered.iter().map(|one| one.picture.rgb.as_slice()).collect()
}

#[test]
fn the_same_request_gives_the_same_pictures_and_other_seeds_others() {
    let model = model("klein-lora-bfl");
    let render = |request: &RenderRequest| model.render(request, &mut Quiet).unwrap();
    let first = render(&request(Vec::new()));
    assert_eq!(rgb(&first), rgb(&render(&request(Vec::new()))));
    assert_ne!(first[0].picture.rgb, first[1].picture.rgb);
    assert_eq!((first[0].picture.width, first[0].picture.height), (32, 48));
    let other_negative = render(&RenderRequest { negative_prompt: "city".to_owned(), ..request(Vec::new()) });
    assert_ne!(rgb(&first), rgb(&other_negative));
}

#[test]
fn loras_add_up_and_leave_nothing_behind() {
    let model = model("klein-lora-bfl");
    let with = |strengths: &[f64]| {
        let path = case("klein-lora-bfl").join("lora.safetensors");
        let loras = strengths.iter().map(|strength| LoraUse { path: path.clone(), strength: *strength }).collect();
        model.render(&request(loras), &mut Quiet).unwrap()
    };
    let base = with(&[]);
    assert_ne!(rgb(&with(&[1.0])), rgb(&base));
    assert_ne!(rgb(&with(&[-1.0])), rgb(&with(&[1.0])));
    assert_eq!(rgb(&with(&[0.0])), rgb(&base));
    assert!(furthest(&with(&[0.3, 0.5]), &with(&[0.8])) <= 1);
    assert!(furthest(&with(&[0.7, -0.7]), &base) <= 1);
    assert_eq!(rgb(&with(&[])), rgb(&base));
}

/// The largest difference of two numbers in two lists of pictures.
fn furthest(a: &[Rendered], b: &[Rendered]) -> u8 {
    let pairs = a.iter().zip(b).flat_map(|(a, b)| a.picture.rgb.iter().zip(&b.picture.rgb));
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn a_lora_of_another_model_is_refused() {
    let lora = LoraUse { path: case("klein-lora-bfl").join("lora.safetensors"), strength: 1.0 };
    let error = model("klein-training").render(&request(vec![lora]), &mut Quiet).unwrap_err();
    assert!(matches!(error, Error::Lora(_)), "{error}");
}

/// Keeps what it hears, and stops after so many steps.
struct Listener {
    stop_after: u32,
    steps: Vec<u32>,
    previews: Vec<Picture>,
}

impl Sink for Listener {
    fn report(&mut self, progress: &Progress) -> Control {
        if let Progress::Rendering { step, .. } = progress {
            self.steps.push(*step);
        }
        if self.steps.len() as u32 >= self.stop_after { Control::Stop } else { Control::Continue }
    }

    fn preview(&mut self, picture: &Picture) {
        self.previews.push(picture.clone());
    }
}

#[test]
fn it_stops_when_told_and_shows_what_it_has() {
    let model = model("klein-lora-bfl");
    let request = RenderRequest { preview_every: Some(1), steps: 5, ..request(Vec::new()) };
    let mut listener = Listener { stop_after: 2, steps: Vec::new(), previews: Vec::new() };
    let stopped = model.render(&request, &mut listener);
    assert!(matches!(stopped, Err(Error::Stopped)));
    assert_eq!(listener.steps, [1, 2]);
    assert_eq!(listener.previews.len(), 2);
    assert_ne!(listener.previews[0].rgb, listener.previews[1].rgb);
}

#[test]
fn what_is_out_of_bounds_is_said() {
    let model = model("klein-lora-bfl");
    let wrong = [
        RenderRequest { width: 33, ..request(Vec::new()) },
        RenderRequest { height: 0, ..request(Vec::new()) },
        RenderRequest { width: 1 << 20, ..request(Vec::new()) },
        RenderRequest { steps: 0, ..request(Vec::new()) },
        RenderRequest { seeds: Vec::new(), ..request(Vec::new()) },
        RenderRequest { guidance: f64::NAN, ..request(Vec::new()) },
    ];
    for request in wrong {
        let error = model.render(&request, &mut Quiet).unwrap_err();
        assert!(matches!(error, Error::Input(_)), "{error}");
    }
}

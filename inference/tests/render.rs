//! What holds of every rendering, on a tiny model with drawn weights.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use atelier_inference::{
    Control, DeviceName, Error, Layout, LoraUse, Model, Picture, Precision, Progress, Quiet, RenderRequest, Rendered,
    Sink, facts,
    lora::{Adapter, LowRankPair, save::save},
    weights::safetensors::MappedFile,
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
        merges_loras: false,
        preview_every: None,
        references: Vec::new(),
        start: None,
        size_conditioning: None,
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

#[test]
fn loras_that_are_merged_give_the_same_pictures_and_leave_the_model_as_it_was() {
    let model = model("klein-lora-bfl");
    let lora = |strength| LoraUse { path: case("klein-lora-bfl").join("lora.safetensors"), strength };
    let draw =
        |loras, merges_loras| model.render(&RenderRequest { merges_loras, ..request(loras) }, &mut Quiet).unwrap();
    let (base, beside) = (draw(vec![], false), draw(vec![lora(0.9), lora(-0.2)], false));
    let merged = draw(vec![lora(0.9), lora(-0.2)], true);
    assert!(furthest(&merged, &beside) <= 1 && furthest(&merged, &base) > 1);
    assert_eq!(rgb(&draw(vec![], true)), rgb(&base));
}

#[test]
fn loras_of_convolutions_change_what_their_weights_would() {
    let case = case("sdxl");
    let unet = MappedFile::open(&case.join("model/unet/diffusion_pytorch_model.safetensors")).unwrap();
    let convolutions = unet.header().tensors.iter().filter(|(_, entry)| entry.shape.len() == 4);
    let numbers = |count: usize, seed: usize| {
        (0..count).map(|place| ((place * 7919 + seed * 104_729) % 2003) as f32 / 10_000.0 - 0.1).collect()
    };
    let pairs = convolutions.enumerate().map(|(seed, (key, entry))| {
        let &[outputs, channels, height, width] = &entry.shape[..] else { panic!("a convolution has four axes") };
        let (rank, inputs) = (2, channels * height * width);
        let pair = LowRankPair {
            a: numbers(rank * inputs, seed),
            b: numbers(outputs * rank, seed + 1),
            rank,
            inputs,
            outputs,
            kernel: Some([height, width]),
            scale: 0.5,
        };
        (format!("unet.{}", key.strip_suffix(".weight").unwrap()), pair)
    });
    let pairs: BTreeMap<_, _> = pairs.collect();
    assert!(pairs.len() > 10, "{:?}", pairs.keys());
    let folder = tempfile::tempdir().unwrap();
    let model = model("sdxl");
    for layout in [Layout::Kohya, Layout::Diffusers] {
        let path = folder.path().join(format!("{layout}.safetensors"));
        save(&Adapter::of_sdxl(pairs.clone(), BTreeMap::new()), layout, &path).unwrap();
        let draw = |strength, merges_loras| {
            let loras = vec![LoraUse { path: path.clone(), strength }];
            model.render(&RenderRequest { merges_loras, ..request(loras) }, &mut Quiet).unwrap()
        };
        let (beside, merged) = (draw(1.0, false), draw(1.0, true));
        assert!(furthest(&beside, &draw(0.0, false)) > 1, "{layout}");
        assert!(furthest(&beside, &merged) <= 1, "{layout}");
    }
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
fn dev_is_told_by_its_folder_and_has_no_negative_prompt() {
    let model = model("dev-lora-training");
    let facts = model.facts();
    assert_eq!((facts.family.as_str(), facts.variant.as_str(), facts.distilled), ("flux2", "dev", false));
    assert_eq!((facts.default_steps, facts.default_guidance, facts.text_tokens), (50, 4.0, 512));
    let render = |request: RenderRequest| model.render(&request, &mut Quiet).unwrap();
    let first = render(request(Vec::new()));
    let other_negative = RenderRequest { negative_prompt: "city".to_owned(), ..request(Vec::new()) };
    assert_eq!(rgb(&first), rgb(&render(other_negative)));
    assert_ne!(rgb(&first), rgb(&render(RenderRequest { guidance: 9.0, ..request(Vec::new()) })));
}

#[test]
fn reference_pictures_have_an_effect_each() {
    let model = model("dev-several-references");
    let references = |colours: &[[u8; 3]]| {
        let references = colours.iter().map(|colour| Picture::filled(32, 48, *colour)).collect();
        model.render(&RenderRequest { references, ..request(Vec::new()) }, &mut Quiet).unwrap()
    };
    let (none, one, two) = (references(&[]), references(&[[200, 20, 20]]), references(&[[200, 20, 20], [0, 0, 90]]));
    assert_ne!(rgb(&none), rgb(&one));
    assert_ne!(rgb(&one), rgb(&two));
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
        RenderRequest { references: vec![Picture::filled(32, 32, [0; 3]); 11], ..request(Vec::new()) },
        RenderRequest { references: vec![Picture::filled(4, 32, [0; 3])], ..request(Vec::new()) },
        RenderRequest { guidance: f64::NAN, ..request(Vec::new()) },
    ];
    for request in wrong {
        let error = model.render(&request, &mut Quiet).unwrap_err();
        assert!(matches!(error, Error::Input(_)), "{error}");
    }
}

#[test]
fn sdxl_renders_and_says_what_it_is() {
    for (name, variant, steps, guidance) in [("sdxl", "base", 30, 5.0), ("sdxl-turbo", "turbo", 1, 0.0)] {
        let said = facts(&case(name).join("model")).unwrap();
        assert_eq!((said.family.as_str(), said.variant.as_str()), ("sdxl", variant));
        assert_eq!((said.default_steps, said.default_guidance, said.size_multiple), (steps, guidance, 8));
        let model = model(name);
        let render = |request: &RenderRequest| model.render(request, &mut Quiet).unwrap();
        let plain = RenderRequest { width: 40, ..request(Vec::new()) };
        let first = render(&plain);
        assert_eq!(rgb(&first), rgb(&render(&plain)));
        assert_ne!(first[0].picture.rgb, first[1].picture.rgb);
        assert_eq!((first[0].picture.width, first[0].picture.height), (40, 48));
        // A picture does not depend on those beside it, also where noise is drawn at every step.
        let alone = render(&RenderRequest { seeds: vec![8], ..plain.clone() });
        assert!(furthest(&alone, &first[1..]) <= 1);
        // No negative prompt is not the same as one, and without guidance there is none.
        let empty = RenderRequest { negative_prompt: String::new(), ..plain.clone() };
        assert_ne!(rgb(&render(&empty)), rgb(&first));
        let unguided = |request: &RenderRequest| render(&RenderRequest { guidance: 0.0, ..request.clone() });
        assert_eq!(rgb(&unguided(&empty)), rgb(&unguided(&plain)));
    }
}

#[test]
fn sdxl_takes_its_own_loras_only() {
    let lora = |name: &str, strength| LoraUse { path: case(name).join("lora.safetensors"), strength };
    let model = model("sdxl-turbo");
    let render = |loras| model.render(&request(loras), &mut Quiet);
    let base = render(Vec::new()).unwrap();
    assert_ne!(rgb(&render(vec![lora("sdxl-turbo", 1.0)]).unwrap()), rgb(&base));
    assert_eq!(rgb(&render(vec![lora("sdxl-turbo", 0.0)]).unwrap()), rgb(&base));
    let error = render(vec![lora("klein-lora-bfl", 1.0)]).unwrap_err();
    assert!(matches!(error, Error::Lora(_)), "{error}");
}

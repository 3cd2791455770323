//! Pictures that begin as a picture, against the reference implementation: `tests/reference/sdxl_start_case.py` wrote the
//! cases.

use std::path::{Path, PathBuf};

use burn::{backend::Flex, tensor::Tensor};

use super::{
    conditioning::{cut, whole},
    pipeline::{Denoising, SdxlPipeline},
};
use crate::{
    dtype::Precision,
    image::{Part, Picture},
    progress::{Control, Quiet},
    render::{RenderRequest, SizeConditioning, StartPicture},
    weights::{folder, tensor_file::TensorFile},
};

const SIZE: (u32, u32) = (64, 96);

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sdxl-start")
}

fn pipeline() -> SdxlPipeline<Flex> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity/sdxl/model");
    SdxlPipeline::load(&folder, Precision::F32, &Default::default()).unwrap()
}

fn picture(name: &str) -> Picture {
    Picture::decode(&std::fs::read(cases().join(name)).unwrap()).unwrap()
}

fn start(strength: f64, is_partial: bool) -> StartPicture {
    StartPicture { picture: picture("picture.png"), strength, mask: is_partial.then(|| picture("mask.png")) }
}

fn request(prompt: &str, start: StartPicture) -> RenderRequest {
    RenderRequest {
        prompt: prompt.to_owned(),
        negative_prompt: "city at night".to_owned(),
        width: start.picture.width,
        height: start.picture.height,
        steps: 3,
        guidance: 4.0,
        seeds: vec![1],
        loras: Vec::new(),
        merges_loras: false,
        preview_every: None,
        references: Vec::new(),
        start: Some(start),
        size_conditioning: None,
    }
}

#[test]
fn whole_and_partial_starts_are_drawn_as_the_reference_does() {
    let pipeline = pipeline();
    let stated: serde_json::Value = folder::read_json(&cases().join("cases.json")).unwrap();
    for (name, case) in stated.as_object().unwrap() {
        let file = TensorFile::read(&cases().join(format!("{name}.safetensors"))).unwrap();
        let number = |key: &str| case[key].as_f64().unwrap();
        let start = start(number("strength"), case["mask"] == true);
        let wanted = pipeline.encode_prompt("a red fox in the snow").unwrap();
        let unwanted = (number("guidance") > 1.0).then(|| pipeline.encode_prompt("city at night").unwrap());
        let latents = pipeline.denoise(Denoising {
            noise: file.tensor("noise", &Default::default()).unwrap(),
            start: Some(pipeline.start(&start, SIZE).unwrap()),
            wanted,
            unwanted,
            sizes: whole(SIZE.1, SIZE.0),
            steps: number("steps") as u32,
            guidance: number("guidance"),
            step_noise: &mut |_| unreachable!("the schedule adds no noise"),
            after_step: &mut |_, _, _| Control::Continue,
        });
        let expected: Tensor<Flex, 4> = file.tensor("latents", &Default::default()).unwrap();
        let far = (latents.unwrap() - expected).abs().max().into_scalar();
        assert!(far < 1e-4, "{name} lies {far} from the reference");
    }
}

#[test]
fn what_the_mask_keeps_is_kept_to_the_last_bit() {
    let start = start(0.8, true);
    let (below, mask) = (start.picture.clone(), start.mask.clone().unwrap());
    let rendered = pipeline().render(&request("a fox", start), &mut Quiet).unwrap();
    let pixels = |picture: &Picture| picture.rgb.chunks_exact(3).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let drawn = pixels(&rendered[0].picture);
    let compared = drawn.iter().zip(pixels(&below)).zip(pixels(&mask));
    let changed = compared.filter(|((drawn, below), _)| *drawn != below).map(|(_, mask)| mask[0]).collect::<Vec<_>>();
    assert!(changed.len() > 500, "only {} pixels were drawn", changed.len());
    assert!(changed.iter().all(|mask| *mask == 255), "pixels outside of the mask were drawn");
}

#[test]
fn a_picture_is_carried_on_beyond_its_edges() {
    let small = picture("picture.png");
    let start = StartPicture::around(&small, [16, 0, 8, 32]).unwrap();
    assert_eq!((start.picture.width, start.picture.height), (88, 128));
    let rendered = pipeline().render(&request("a fox", start), &mut Quiet).unwrap();
    assert_eq!(rendered[0].picture.cropped(Part { left: 16, top: 0, width: 64, height: 96 }), small);
    assert!(StartPicture::around(&small, [0; 4]).is_err() && StartPicture::around(&small, [u32::MAX; 4]).is_err());
}

#[test]
fn a_picture_is_drawn_as_if_it_were_cut_from_another() {
    let told = SizeConditioning { original_width: 1024, original_height: 512, crop_left: 16, crop_top: 8 };
    // `_get_add_time_ids`: original height and width, the crop's top and left, target height and width.
    assert_eq!(cut(&told, 96, 64), [512, 1024, 8, 16, 96, 64]);
    let pipeline = pipeline();
    let draw = |size_conditioning| {
        let request = RenderRequest { start: None, size_conditioning, ..request("a fox", start(0.5, false)) };
        pipeline.render(&request, &mut Quiet).unwrap()[0].picture.clone()
    };
    let whole = SizeConditioning { original_width: 64, original_height: 96, crop_left: 0, crop_top: 0 };
    assert_eq!(draw(None), draw(Some(whole)));
    assert_ne!(draw(None), draw(Some(told)));
}

#[test]
fn words_beyond_the_first_chunk_count() {
    let pipeline = pipeline();
    let long = "a red fox ".repeat(60);
    let [one, other, short] =
        pipeline.encode_long_prompts([&format!("{long} at night"), &format!("{long} at noon"), "a fox"]).unwrap();
    let [_, tokens, _] = one.context.dims();
    assert!(tokens > 77 && tokens.is_multiple_of(77) && short.context.dims() == one.context.dims());
    let far = |one: Tensor<Flex, 3>, other: Tensor<Flex, 3>| (one - other).abs().max().into_scalar();
    assert!(far(one.context, other.context) > 1e-3, "the last words change nothing");
    // A prompt that fits is what it always was.
    let [alone] = pipeline.encode_long_prompts(["a fox"]).unwrap();
    assert_eq!(far(alone.context, pipeline.encode_prompt("a fox").unwrap().context), 0.0);
}

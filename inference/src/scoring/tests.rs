//! CLIP against the reference implementation: `tests/reference/clip_case.py` wrote the case.

use std::path::{Path, PathBuf};

use burn::backend::Flex;

use super::{Scorer, clip::Clip};
use crate::{device::DeviceName, dtype::Precision, image::Picture, weights::tensor_file::TensorFile};

fn case() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clip")
}

fn picture(name: &str) -> Picture {
    Picture::decode(&std::fs::read(case().join(name)).unwrap()).unwrap()
}

#[test]
fn texts_and_pictures_are_embedded_as_the_reference_does() {
    let expected = TensorFile::read(&case().join("expected.safetensors")).unwrap();
    let clip = Clip::<Flex>::load(&case(), &Default::default()).unwrap();
    let prompts: Vec<String> =
        serde_json::from_str(&std::fs::read_to_string(case().join("prompts.json")).unwrap()).unwrap();
    let far = |found: Vec<f32>, name: String| {
        let wanted: Vec<f32> = expected.data(&name).unwrap().iter::<f32>().collect();
        assert_eq!(found.len(), wanted.len(), "{name}");
        let far = found.iter().zip(wanted).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        assert!(far < 1e-5, "{name} lies {far} from the reference");
    };
    for (number, prompt) in prompts.iter().enumerate() {
        let found = clip.embed_text(prompt).unwrap().into_data().iter::<f32>().collect();
        far(found, format!("text.{number}"));
    }
    for number in 0..3 {
        let found = clip.embed_picture(&picture(&format!("picture-{number}.png")));
        far(found.into_data().iter::<f32>().collect(), format!("picture.{number}"));
    }
}

#[test]
fn a_score_is_the_cosine_and_what_the_head_says_of_the_picture() {
    let expected = TensorFile::read(&case().join("expected.safetensors")).unwrap();
    let scorer = Scorer::load(&case(), &DeviceName::Cpu, Precision::F32).unwrap();
    let prompts: Vec<String> =
        serde_json::from_str(&std::fs::read_to_string(case().join("prompts.json")).unwrap()).unwrap();
    let score = scorer.score(&picture("picture-0.png"), Some(&prompts[0])).unwrap();
    let wanted = |name: &str| f64::from(expected.data(name).unwrap().iter::<f32>().next().unwrap());
    assert!((score.adherence.unwrap() - wanted("cosine")).abs() < 1e-5, "{score:?}");
    assert!((score.aesthetic.unwrap() - wanted("aesthetic")).abs() < 1e-4, "{score:?}");
}

#[test]
fn without_weights_nothing_is_said_of_what_a_picture_shows() {
    let score = Scorer::without_weights().score(&picture("picture-0.png"), Some("a fox")).unwrap();
    assert_eq!((score.adherence, score.aesthetic), (None, None));
    assert!(score.measures.sharpness > 0.0);
}

#[test]
fn a_head_that_does_not_fit_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for file in
        ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"]
    {
        std::fs::copy(case().join(file), folder.path().join(file)).unwrap();
    }
    assert!(Scorer::load(folder.path(), &DeviceName::Cpu, Precision::F32).is_ok(), "a head may be missing");
    std::fs::copy(case().join("expected.safetensors"), folder.path().join("aesthetic.safetensors")).unwrap();
    let error = Scorer::load(folder.path(), &DeviceName::Cpu, Precision::F32).err().unwrap().to_string();
    assert!(error.contains("aesthetic.safetensors"), "{error}");
}

//! `tests/reference/single_file_case.py` wrote the files, and had diffusers read them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use half::{bf16, f16};

use super::unpack;
use crate::{
    model::{Model, facts},
    weights::{folder::weight_files, safetensors::MappedFile},
};

fn model(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity").join(case).join("model")
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/single-file").join(name)
}

/// The tensors of a component, under the names of today.
fn tensors(folder: &Path, component: &str) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let mut tensors = BTreeMap::new();
    for weights in weight_files(&folder.join(component)).unwrap() {
        let mapped = MappedFile::open(&weights).unwrap();
        for (name, entry) in &mapped.header().tensors {
            let Some(plain) = super::sdxl::name_of_today(component, name) else { continue };
            tensors.insert(plain, (entry.shape.clone(), mapped.floats(name).unwrap()));
        }
    }
    tensors
}

#[test]
fn one_file_becomes_the_folder_that_it_was_made_of() {
    let out = tempfile::tempdir().unwrap();
    let half: fn(f32) -> f32 = |value| f16::from_f32(value).to_f32();
    let brain: fn(f32) -> f32 = |value| bf16::from_f32(value).to_f32();
    let cases: [(&str, &str, &[&str], _); 2] = [
        ("sdxl.safetensors", "sdxl", &["unet", "vae", "text_encoder", "text_encoder_2"], half),
        ("klein.safetensors", "klein", &["transformer"], brain),
    ];
    for (name, case, components, rounded) in cases {
        let (like, made) = (model(case), out.path().join(case));
        unpack(&file(name), &like, &made).unwrap();
        assert_eq!(facts(&made).unwrap(), facts(&like).unwrap());
        for component in components {
            let wanted = tensors(&like, component)
                .into_iter()
                .map(|(name, (shape, values))| (name, (shape, values.into_iter().map(rounded).collect::<Vec<_>>())));
            assert_eq!(tensors(&made, component), wanted.collect(), "{component} of {name}");
        }
        Model::load(&made, &Default::default(), Default::default()).unwrap();
        let again = unpack(&file(name), &like, &made).unwrap_err().to_string();
        assert!(again.contains("is there already"), "{again}");
    }
}

#[test]
fn what_is_another_model_is_refused_and_leaves_nothing() {
    let out = tempfile::tempdir().unwrap();
    let made = out.path().join("made");
    let refused = |name: &str, case: &str| {
        let refusal = unpack(&file(name), &model(case), &made).unwrap_err().to_string();
        assert!(!made.exists(), "{refusal}");
        refusal
    };
    assert!(refused("sdxl.safetensors", "klein").contains("not understood"));
    assert!(refused("klein.safetensors", "sdxl").contains("not understood"));
    // Another model of the same kind.
    let other = refused("klein.safetensors", "dev-several-references");
    assert!(other.contains("another model") || other.contains("missing"), "{other}");
}

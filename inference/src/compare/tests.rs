//! A LoRA on a model that it was made for and on one that it was not.

use std::path::{Path, PathBuf};

use super::{Comparison, ComparisonGrid, ComparisonSpec, StrengthFound, compare, safe_range};
use crate::{device::DeviceName, dtype::Precision, error::Error, progress::Quiet};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity").join(name)
}

fn grid() -> ComparisonGrid {
    ComparisonGrid {
        lora: case("klein-lora-bfl").join("lora.safetensors"),
        prompts: vec!["a red fox".to_owned(), "a blue house".to_owned()],
        trigger: String::new(),
        // Neither rising nor each once, as somebody may name them.
        strengths: vec![1.0, 0.0, 0.5, 1.0],
        seeds: vec![1, 2],
        steps: Some(2),
    }
}

fn spec(grid: ComparisonGrid, models: &[&str]) -> ComparisonSpec {
    ComparisonSpec {
        grid,
        models: models.iter().map(|name| case(name).join("model")).collect(),
        clip: None,
        device: DeviceName::Cpu,
        precision: Precision::F32,
    }
}

#[test]
fn the_effect_grows_with_the_strength_and_another_model_is_named() {
    let compared = compare(&spec(grid(), &["klein-lora-bfl", "sdxl"]), &mut Quiet).unwrap();
    let [fitting, other] = &compared[..] else { panic!("two models were asked for") };
    let Comparison { strengths, mismatch, matched_share, .. } = &fitting.comparison;
    assert_eq!((mismatch, *matched_share), (&None, 1.0));
    let drawn: Vec<f64> = strengths.iter().map(|found| found.strength).collect();
    assert_eq!(drawn, [0.0, 0.5, 1.0]);
    let effects: Vec<f64> = strengths.iter().map(|found| found.effect).collect();
    assert_eq!(effects[0], 0.0, "strength 0 changes nothing");
    assert!(0.0 < effects[1] && effects[1] < effects[2], "{effects:?}");
    assert!((strengths[0].retention - 1.0).abs() < 1e-9 && strengths[0].lost == 0.0, "{strengths:?}");
    assert!(fitting.sheet.is_some() && other.sheet.is_none());
    let mismatch = other.comparison.mismatch.as_deref().unwrap();
    assert!(mismatch.contains("SDXL"), "{mismatch}");
}

#[test]
fn with_clip_retention_is_adherence() {
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clip");
    let grid = ComparisonGrid { strengths: vec![0.0, 1.0], ..grid() };
    let spec = ComparisonSpec { clip: Some(clip), ..spec(grid, &["klein-lora-bfl"]) };
    let compared = compare(&spec, &mut Quiet).unwrap();
    let Comparison { strengths, by_clip, .. } = &compared[0].comparison;
    assert!(*by_clip && (strengths[0].retention - 1.0).abs() < 1e-6, "{strengths:?}");
}

#[test]
fn the_safe_range_is_the_longest_without_a_gap() {
    let found = |strength: f64, effect: f64, retention: f64| StrengthFound { strength, effect, retention, lost: 0.0 };
    let grid = [
        found(0.25, 0.01, 1.0),
        found(0.5, 0.2, 0.95),
        found(0.75, 0.4, 0.5),
        found(1.0, 0.6, 0.9),
        found(1.5, 0.8, 0.8),
        found(2.0, 2.0, 0.1),
    ];
    assert_eq!(safe_range(&grid), Some((1.0, 1.5)));
    assert_eq!(safe_range(&grid[..1]), None);
    let washed_out = StrengthFound { lost: 0.4, ..grid[3] };
    assert_eq!(safe_range(&[washed_out]), None);
}

#[test]
fn a_grid_that_says_nothing_is_refused() {
    let error = compare(&spec(ComparisonGrid { seeds: vec![1], ..grid() }, &["klein"]), &mut Quiet).err().unwrap();
    assert!(matches!(error, Error::Input(_)), "{error}");
    let no_number = ComparisonGrid { strengths: vec![1.0, f64::NAN], ..grid() };
    let error = compare(&spec(no_number, &["klein"]), &mut Quiet).err().unwrap();
    assert!(matches!(error, Error::Input(_)), "{error}");
    // The same seed twice: what the LoRA changes has nothing to be measured against.
    let error =
        compare(&spec(ComparisonGrid { seeds: vec![1, 1], ..grid() }, &["klein-lora-bfl"]), &mut Quiet).err().unwrap();
    assert!(error.to_string().contains("same for every seed"), "{error}");
}

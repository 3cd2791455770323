//! `atelier bench`, as its JSON is read by others.

use std::process::Command;

use serde_json::{Value, json};

#[test]
fn a_report_says_what_was_measured_of_generating_and_of_training() {
    let report =
        inference(&["--arch", "starter", "--steps", "2", "--repeats", "1", "--train", "--batch", "2", "--lora", "1"]);
    let stages =
        ["text", "step", "decode", "png", "total", "train_step", "train_forward", "train_backward", "train_optimiser"];
    for stage in stages {
        let stage = &report["stages"][stage];
        let (median, slow) = (number(&stage["median_ms"]), number(&stage["p95_ms"]));
        assert!(0.0 < median && median <= slow, "{report}");
    }
    for stage in ["step", "decode", "train_step", "train_forward", "train_backward"] {
        assert!(number(&report["stages"][stage]["tflops"]) > 0.0, "{report}");
    }
    let each_step = report["each_step"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(each_step.iter().filter(|step| number(&step["median_ms"]) > 0.0).count(), 2, "{report}");
    let training = &report["training"];
    assert_eq!((number(&training["batch"]), number(&training["rank"])), (2.0, 16.0));
    for field in ["trained_parameters", "steps_per_second", "forward_tflop", "backward_tflop", "share_of_calibration"] {
        assert!(number(&training[field]) > 0.0, "{report}");
    }
    assert!(report["lora_overhead"].is_number() && number(&report["lora_swap_ms"]) > 0.0, "{report}");
    assert!(number(&report["calibration_tflops"]) > 0.0 && number(&report["share_of_calibration"]) > 0.0, "{report}");
    #[cfg(target_os = "linux")]
    assert!(
        0.0 < number(&training["peak_memory"]) && training["peak_memory"].as_u64() <= report["peak_memory"].as_u64()
    );
}

#[test]
fn what_is_not_asked_for_is_not_reported() {
    let report = inference(&["--arch", "starter", "--steps", "1", "--repeats", "1"]);
    for field in ["training", "lora_overhead", "lora_swap_ms"] {
        assert_eq!(report[field], Value::Null, "{report}");
    }
    assert_eq!(report["stages"]["train_step"], Value::Null, "{report}");
}

#[test]
fn a_catalogue_is_searched_and_judged() {
    let catalog = tempfile::tempdir().unwrap();
    let lora = |number: usize, name: &str, medium: &str| {
        json!({
            "id": format!("lora-{number}"), "name": name, "description": format!("{medium} in a moody manner"),
            "tags": [medium], "triggerWords": ["x"], "creator": "kaven", "baseModel": "sdxl", "license": "cc0-1.0",
            "averageRating": 4.6, "ratingCount": 2, "downloads": 30, "createdAt": "2025-09-08T08:00:00Z",
        })
        .to_string()
    };
    let query = |kind: &str, words: &str, expected: &str| {
        json!({ "kind": kind, "q": words, "filter": {}, "expect": [expected] }).to_string()
    };
    let loras = [lora(1, "Kavimo posters", "ink wash"), lora(2, "Torvel posters", "gouache")];
    let queries = [query("exact", "Torvel posters", "lora-2"), query("typo", "kvaimo posters", "lora-1")];
    std::fs::write(catalog.path().join("loras.jsonl"), loras.join("\n")).unwrap();
    std::fs::write(catalog.path().join("queries.jsonl"), queries.join("\n")).unwrap();
    let report = bench(&["search", "--catalog", catalog.path().to_str().unwrap(), "--json"]);
    assert_eq!((&report["engine"], number(&report["documents"])), (&json!("embedded"), 2.0));
    for kind in ["exact", "typo"] {
        let kind = &report["kinds"][kind];
        assert!(number(&kind["mrr_at_10"]) == 1.0 && number(&kind["p50_ms"]) > 0.0, "{report}");
    }
    assert!(number(&report["documents_per_second"]) > 0.0 && number(&report["disk_mb"]) > 0.0, "{report}");
}

#[test]
fn followers_are_told_and_others_are_not_held_up() {
    let report = bench(&["notifications", "--followers", "1500", "--json"]);
    assert_eq!(
        (&report["engine"], &report["followers"], &report["notifications"]),
        (&json!("sqlite"), &json!(1500), &json!(1500))
    );
    // One for the event, two for the followers.
    assert_eq!(report["transactions"], 3, "{report}");
    for field in ["notifications_per_second", "longest_transaction_ms", "other_writes", "other_write_longest_ms"] {
        assert!(number(&report[field]) > 0.0, "{report}");
    }
}

fn inference(arguments: &[&str]) -> Value {
    bench(&[&["inference", "--json"], arguments].concat())
}

fn bench(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    let output = command.arg("bench").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

//! `atelier bench`, as its JSON is read by others.

use std::process::Command;

use serde_json::Value;

#[test]
fn a_report_says_what_was_measured_of_generating_and_of_training() {
    let report =
        bench(&["--arch", "starter", "--steps", "2", "--repeats", "1", "--train", "--batch", "2", "--lora", "1"]);
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
    let report = bench(&["--arch", "starter", "--steps", "1", "--repeats", "1"]);
    for field in ["training", "lora_overhead", "lora_swap_ms"] {
        assert_eq!(report[field], Value::Null, "{report}");
    }
    assert_eq!(report["stages"]["train_step"], Value::Null, "{report}");
}

fn bench(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    let output = command.args(["bench", "inference", "--json"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

//! The reference implementation's results, repeated: every folder under `tests/fixtures/parity` is a case. And that the
//! comparison notices when something is wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use atelier_inference::{DeviceName, Model, ParityReport, Precision, parity, single_file::unpack};
use safetensors::SafeTensors;
use serde_json::Value;
use tempfile::TempDir;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity")
}

fn repeat(case: &Path) -> ParityReport {
    parity(case, &DeviceName::Cpu, Precision::F32).unwrap_or_else(|error| panic!("{}: {error}", case.display()))
}

/// A copy of a case that may be changed.
fn copy_of(case: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&fixtures().join(case), copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Changes a JSON file in place.
fn edit(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    change(&mut value);
    fs::write(file, value.to_string()).unwrap();
}

/// Swaps the first two of a tensor's equal parts.
fn swap_parts(file: &Path, tensor: &str, parts: usize) {
    let mut bytes = fs::read(file).unwrap();
    let (start, length) = {
        let read = SafeTensors::deserialize(&bytes).unwrap();
        let data = read.tensor(tensor).unwrap().data().as_ptr_range();
        (data.start as usize - bytes.as_ptr() as usize, (data.end as usize - data.start as usize) / parts)
    };
    let (first, second) = bytes[start..start + 2 * length].split_at_mut(length);
    first.swap_with_slice(second);
    fs::write(file, bytes).unwrap();
}

#[test]
fn every_case_is_equal_to_the_reference() {
    let mut cases: Vec<PathBuf> = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 8, "cases are missing: {cases:?}");
    for case in cases {
        let report = repeat(&case);
        assert!(report.ok, "{report:#?}");
    }
}

#[test]
fn scale_and_shift_the_wrong_way_round_are_noticed() {
    for (tensor, parts) in [("single_stream_modulation.linear.weight", 3), ("norm_out.linear.weight", 2)] {
        let case = copy_of("klein");
        swap_parts(&case.path().join("model/transformer/diffusion_pytorch_model.safetensors"), tensor, parts);
        let report = repeat(case.path());
        assert!(!report.ok && report.max_abs["latents.3"] > 1e-2, "{tensor}: {report:#?}");
        assert!(report.max_abs["prompt_embeds"] < 1e-4, "the text encoder was not touched");
    }
}

/// `tests/reference/fp8_case.py` wrote the file, and had diffusers draw with what PyTorch makes of it.
#[test]
fn weights_of_eight_bits_are_read_as_the_reference_reads_them() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fp8");
    let case = copy_of("klein");
    let (model, made) = (case.path().join("model"), case.path().join("made"));
    unpack(&fixtures.join("klein.safetensors"), &model, &made).unwrap();
    fs::remove_dir_all(&model).unwrap();
    fs::rename(made, model).unwrap();
    let of_full_weights = repeat(case.path());
    assert!(!of_full_weights.ok && of_full_weights.max_abs["latents.3"] > 1e-3, "{of_full_weights:#?}");
    fs::copy(fixtures.join("expected.safetensors"), case.path().join("expected.safetensors")).unwrap();
    let report = repeat(case.path());
    assert!(report.ok, "{report:#?}");
    let weights = case.path().join("model/transformer/diffusion_pytorch_model.safetensors");
    for factor in ["single_transformer_blocks.0.attn.to_out", "norm_out.linear"] {
        swap_parts(&weights, &format!("{factor}.weight_scale"), 2);
        let report = repeat(case.path());
        assert!(!report.ok, "{factor}: {report:#?}");
        swap_parts(&weights, &format!("{factor}.weight_scale"), 2);
    }
}

#[test]
fn another_strength_is_noticed() {
    for case in ["klein-lora-diffusers", "klein-lora-bfl", "klein-lora-kohya", "sdxl-turbo"] {
        let case = copy_of(case);
        edit(&case.path().join("case.json"), |request| {
            let strength = request["lora"][0]["strength"].as_f64().unwrap();
            request["lora"][0]["strength"] = (strength * 1.1).into();
        });
        let report = repeat(case.path());
        assert!(!report.ok, "{report:#?}");
    }
}

#[test]
fn another_gradient_is_noticed() {
    let cases = [
        ("klein-training", "grad.transformer_blocks.0.attn.to_q.A"),
        ("sdxl", "grad.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.A"),
    ];
    for (name, gradient) in cases {
        let case = copy_of(name);
        swap_parts(&case.path().join("train.expected.safetensors"), gradient, 2);
        let report = repeat(case.path());
        assert!(!report.ok && report.max_abs["train.grad"] > 1e-2, "{report:#?}");
    }
}

#[test]
fn what_conditions_sdxl_is_noticed() {
    let changes: [(&str, Value); 3] =
        [("prompt", "a blue fox".into()), ("negative_prompt", "snow".into()), ("guidance_scale", 5.5.into())];
    for (key, value) in changes {
        let case = copy_of("sdxl");
        edit(&case.path().join("case.json"), |request| request[key] = value);
        let report = repeat(case.path());
        assert!(!report.ok && report.max_abs["latents.0"] > 1e-3, "{key}: {report:#?}");
    }
}

/// Published folders of SDXL keep their tokenizers as a vocabulary and merges, and say 2 where the text ends.
#[test]
fn sdxl_folders_in_the_older_form_give_the_same() {
    let case = copy_of("sdxl");
    for part in ["", "_2"] {
        let folder = case.path().join(format!("model/tokenizer{part}"));
        let whole = folder.join("tokenizer.json");
        let tokenizer: Value = serde_json::from_slice(&fs::read(&whole).unwrap()).unwrap();
        fs::remove_file(whole).unwrap();
        fs::write(folder.join("vocab.json"), tokenizer["model"]["vocab"].to_string()).unwrap();
        let merges = tokenizer["model"]["merges"].as_array().unwrap().iter();
        let pair = |merge: &Value| format!("{} {}\n", merge[0].as_str().unwrap(), merge[1].as_str().unwrap());
        let merges: String = merges.map(pair).collect();
        fs::write(folder.join("merges.txt"), format!("#version: 0.2\n{merges}")).unwrap();
        edit(&case.path().join(format!("model/text_encoder{part}/config.json")), |config| {
            config["eos_token_id"] = 2.into()
        });
    }
    let report = repeat(case.path());
    assert!(report.ok, "{report:#?}");
}

#[test]
fn another_guidance_is_noticed_where_it_is_embedded() {
    let case = copy_of("dev-lora-training");
    edit(&case.path().join("case.json"), |request| request["guidance_scale"] = 1.0.into());
    let report = repeat(case.path());
    assert!(!report.ok && report.max_abs["train.loss"] > 1e-5 && report.max_abs["latents.1"] > 1e-4, "{report:#?}");
}

#[test]
fn reference_pictures_in_another_order_are_noticed() {
    let case = copy_of("dev-several-references");
    edit(&case.path().join("case.json"), |request| request["image"].as_array_mut().unwrap().reverse());
    let report = repeat(case.path());
    assert!(!report.ok && report.max_abs["image"] < 1e-4 && report.max_abs["image_edit.image"] > 1e-4, "{report:#?}");
}

#[test]
fn a_case_is_not_judged_in_numbers_that_the_device_does_not_compute_in() {
    for precision in [Precision::Bf16, Precision::Fp8] {
        let error = parity(&fixtures().join("klein"), &DeviceName::Cpu, precision).unwrap_err().to_string();
        assert!(error.contains(precision.name()) && error.contains("`f32`"), "{error}");
        let loaded = Model::load(&fixtures().join("klein/model"), &DeviceName::Cpu, precision);
        assert_eq!(loaded.err().map(|error| error.to_string()), Some(error));
    }
}

#[test]
fn a_folder_without_a_case_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = parity(folder.path(), &DeviceName::Cpu, Precision::F32).unwrap_err().to_string();
    assert!(error.contains(&folder.path().display().to_string()) && error.contains("no parity case"), "{error}");
}

#[test]
fn a_key_of_the_language_model_that_is_not_known_is_refused_by_name() {
    let case = copy_of("dev-lora-training");
    edit(&case.path().join("model/text_encoder/config.json"), |config| {
        config["text_config"]["brand_new_switch"] = true.into()
    });
    let error = parity(case.path(), &DeviceName::Cpu, Precision::F32).unwrap_err().to_string();
    assert!(error.contains("brand_new_switch"), "{error}");
}

#[test]
fn layers_of_the_text_encoder_that_are_missing_or_left_over_are_listed() {
    let case = copy_of("dev-lora-training");
    let file = case.path().join("model/text_encoder/config.json");
    edit(&case.path().join("case.json"), |request| request["text_encoder_out_layers"] = vec![1, 2, 5].into());
    let error = parity(case.path(), &DeviceName::Cpu, Precision::F32).unwrap_err().to_string();
    assert!(error.contains("Hidden state 5"), "{error}");
    edit(&file, |config| config["text_config"]["num_hidden_layers"] = 5.into());
    let error = parity(case.path(), &DeviceName::Cpu, Precision::F32).unwrap_err().to_string();
    assert!(error.contains("layers.4.self_attn.o_proj.weight"), "{error}");
    edit(&case.path().join("case.json"), |request| request["text_encoder_out_layers"] = vec![1, 2, 3].into());
    edit(&file, |config| config["text_config"]["num_hidden_layers"] = 3.into());
    let error = parity(case.path(), &DeviceName::Cpu, Precision::F32).unwrap_err().to_string();
    assert!(error.contains("layers.3.self_attn.o_proj.weight"), "{error}");
}

#[test]
fn a_key_of_a_configuration_that_is_not_known_is_refused_by_name() {
    let cases = [
        ("klein", &["transformer/config", "text_encoder/config", "vae/config"][..]),
        (
            "sdxl",
            &[
                "unet/config",
                "text_encoder/config",
                "text_encoder_2/config",
                "vae/config",
                "scheduler/scheduler_config",
            ],
        ),
    ];
    for (name, files) in cases {
        for file in files {
            let case = copy_of(name);
            edit(&case.path().join(format!("model/{file}.json")), |config| config["brand_new_switch"] = true.into());
            let error = parity(case.path(), &DeviceName::Cpu, Precision::F32).unwrap_err().to_string();
            assert!(error.contains("brand_new_switch"), "{file}: {error}");
        }
    }
}

#[test]
fn keys_that_are_missing_or_left_over_are_listed() {
    let case = copy_of("klein");
    let file = case.path().join("model/transformer/config.json");
    edit(&file, |config| config["num_single_layers"] = 3.into());
    let error = parity(case.path(), &DeviceName::Cpu, Precision::F32).unwrap_err().to_string();
    assert!(error.contains("single_transformer_blocks.2.attn.to_out.weight"), "{error}");
    edit(&file, |config| config["num_single_layers"] = 1.into());
    let error = parity(case.path(), &DeviceName::Cpu, Precision::F32).unwrap_err().to_string();
    assert!(error.contains("single_transformer_blocks.1.attn.to_out.weight"), "{error}");
}

#[test]
fn keys_of_sdxl_that_are_missing_or_left_over_are_listed() {
    let case = copy_of("sdxl");
    let file = case.path().join("model/unet/config.json");
    for (layers, named) in
        [(3, "transformer_blocks.2.attn1.to_k.weight"), (1, "transformer_blocks.1.attn1.to_k.weight")]
    {
        edit(&file, |config| config["transformer_layers_per_block"][2] = layers.into());
        let error = parity(case.path(), &DeviceName::Cpu, Precision::F32).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

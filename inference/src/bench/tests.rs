//! What is measured is what is asked for, and operations are counted as published.

use std::path::Path;

use burn::backend::Flex;

use super::{Architecture, BenchSpec, bench, bench_within, memory::Needed, operations, published};
use crate::{
    device::DeviceName, dtype::Precision, error::Error, flux2::configs::Configs, memory::readable,
    sdxl::configs::Configs as SdxlConfigs,
};

#[test]
fn the_published_sizes_are_whole_and_take_the_known_operations() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["starter", "klein-4b", "klein-9b", "dev", "sdxl", "sdxl-turbo"] {
        let architecture: Architecture = name.parse().unwrap();
        assert_eq!(architecture.to_string(), name);
        let frame = folder.path().join(name);
        std::fs::create_dir(&frame).unwrap();
        published::write(architecture, &frame).unwrap();
        crate::model::facts(&frame).unwrap();
    }
    assert!("klein-5b".parse::<Architecture>().is_err());
    // What PyTorch's `FlopCounterMode` counts of diffusers' modules, beside the embeddings of time and size.
    let sdxl = SdxlConfigs::read(&folder.path().join("sdxl")).unwrap();
    let of_unet = operations::unet(&sdxl.unet, (128, 128), 77, 0).forward / 1e12;
    assert!((of_unet - 6.7612).abs() < 1e-3, "{of_unet}");
    let of_decoder = operations::decoder(&sdxl.autoencoder.shape(), (128, 128)) / 1e12;
    assert!((of_decoder - 10.4704).abs() < 1e-3, "{of_decoder}");
    let of_text = operations::clip_text_encoder(&sdxl.text_encoder, 77, false)
        + operations::clip_text_encoder(&sdxl.text_encoder_2, 77, true);
    assert!((of_text / 1e12 - 0.11005).abs() < 1e-4, "{of_text}");
    // A transformer takes about twice its parameters a token, and attention on top.
    let klein = Configs::read(&folder.path().join("klein-4b")).unwrap();
    let of_klein = operations::flux2_transformer(&klein.transformer, (512, 4096), 0).forward / 1e12;
    assert!((2.0 * 3.6e9 * 4608.0 / 1e12..2.0 * 6.0e9 * 4608.0 / 1e12).contains(&of_klein), "{of_klein}");
    // The same counter's figures of transformers' Qwen3 and Mistral, of as many layers as FLUX.2 needs.
    for (name, tflop) in [("klein-4b", 2.90635), ("dev", 17.20134)] {
        let configs = Configs::read(&folder.path().join(name)).unwrap();
        let layers = configs.text_layers().into_iter().max().unwrap();
        let of_text = operations::text_decoder(&configs.text_encoder.decoder(), 512, layers) / 1e12;
        assert!((of_text - tflop).abs() < 1e-4, "{name}: {of_text}");
    }
    // The same counter's figures of a step with `peft`'s pairs of rank 16 beside the layers that are trained.
    let of_training = operations::unet(&sdxl.unet, (128, 128), 77, 16);
    assert!((of_training.forward / 1e12 - 6.8523).abs() < 1e-3, "{of_training:?}");
    assert!((of_training.backward / 1e12 - 7.4949).abs() < 1e-3, "{of_training:?}");
    let of_training = operations::flux2_transformer(&klein.transformer, (512, 4096), 16);
    assert!((of_training.forward / 1e12 - 35.0001).abs() < 1e-3, "{of_training:?}");
    assert!((of_training.backward / 1e12 - 41.6752).abs() < 1e-3, "{of_training:?}");
}

fn spec() -> BenchSpec {
    BenchSpec {
        architecture: Architecture::Starter,
        folder: None,
        width: Some(64),
        height: Some(48),
        steps: Some(3),
        loras: 1,
        training_batch: None,
        repeats: 1,
        device: DeviceName::Cpu,
        precision: Precision::F32,
    }
}

#[test]
fn every_stage_is_measured_from_token_ids_to_the_file() {
    let spec = spec();
    let report = bench(&spec).unwrap();
    assert_eq!(report.stages.keys().collect::<Vec<_>>(), ["decode", "png", "step", "text", "total"]);
    let milliseconds = |stage: &str| report.stages[stage].median_ms;
    for stage in ["text", "step", "decode", "png"] {
        assert!(0.0 < milliseconds(stage) && milliseconds(stage) <= milliseconds("total"), "{report:?}");
    }
    for stage in ["text", "step", "decode"] {
        assert!(report.stages[stage].tflops.is_some_and(|tflops| tflops > 0.0), "{report:?}");
    }
    assert_eq!(report.each_step.len(), 3);
    assert!(report.each_step.iter().all(|step| step.median_ms > 0.0 && step.tflops.is_some()), "{report:?}");
    assert!(report.stages["png"].tflops.is_none(), "a PNG file is made of whole numbers");
    assert!(report.share_of_calibration > 0.0 && report.lora_swap_ms.is_some() && report.parameters > 3_000_000);
    assert!(report.lora_overhead.is_some_and(f64::is_finite) && report.training.is_none());
    assert!(bench(&BenchSpec { loras: 0, ..spec.clone() }).unwrap().lora_overhead.is_none());
    assert!(bench(&BenchSpec { width: Some(65), ..spec.clone() }).is_err());
    assert!(bench(&BenchSpec { steps: Some(0), ..spec.clone() }).is_err());
    let error = bench(&BenchSpec { precision: Precision::Bf16, ..spec.clone() }).unwrap_err();
    assert!(error.to_string().contains("computes in `f32`"), "{error}");
    assert!(bench(&BenchSpec { repeats: 0, ..spec }).is_err());
}

#[test]
fn steps_of_a_training_are_measured_in_whole_and_in_parts() {
    for (case, width, height) in [("klein-training", 64, 48), ("sdxl", 64, 128)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity").join(case).join("model");
        let spec = BenchSpec {
            folder: Some(folder),
            width: Some(width),
            height: Some(height),
            steps: Some(2),
            loras: 0,
            training_batch: Some(3),
            ..spec()
        };
        let report = bench(&spec).unwrap();
        let milliseconds = |stage: &str| report.stages[stage].median_ms;
        let parts = ["train_forward", "train_backward", "train_optimiser"];
        for stage in parts {
            assert!(0.0 < milliseconds(stage) && milliseconds(stage) < milliseconds("train_step"), "{report:?}");
        }
        assert!(report.stages.contains_key("step"), "{report:?}");
        let training = report.training.unwrap();
        assert_eq!((training.batch, training.rank), (3, 16));
        assert!(training.trained_parameters > 0 && training.forward_tflop > 0.0, "{training:?}");
        assert!((training.steps_per_second * milliseconds("train_step") / 1000.0 - 1.0).abs() < 1e-6, "{training:?}");
        assert!(
            training.backward_tflop > training.forward_tflop && training.share_of_calibration > 0.0,
            "{training:?}"
        );
    }
    // Wide or tall by half a bucket's step.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity/sdxl/model");
    let error = bench(&BenchSpec { folder: Some(folder), training_batch: Some(1), ..spec() }).unwrap_err();
    assert!(error.to_string().contains("multiples of"), "{error}");
    assert!(bench(&BenchSpec { training_batch: Some(0), ..spec() }).is_err());
    // More pictures a step than any machine's memory holds.
    let error = bench(&BenchSpec { width: Some(64), height: Some(64), training_batch: Some(1 << 30), ..spec() });
    assert!(matches!(error, Err(Error::Memory(_))), "{error:?}");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    published::write(Architecture::Klein4B, folder.path()).unwrap();
    let of = |spec: &BenchSpec| Needed::of::<Flex>(spec, folder.path(), &Default::default()).unwrap();
    let klein = BenchSpec { architecture: Architecture::Klein4B, width: None, height: None, loras: 0, ..spec() };
    let needed = of(&klein);
    // 3.9 billion numbers of the transformer, 3.1 of the layers of the text encoder that are needed, 0.1 of the autoencoder.
    assert!((26_000_000_000..30_000_000_000).contains(&needed.weights), "{needed:?}");
    let larger = of(&BenchSpec { width: Some(2048), height: Some(2048), ..klein.clone() });
    assert!(larger.weights == needed.weights && larger.activations > 3 * needed.activations, "{larger:?}");
    assert!(of(&BenchSpec { loras: 2, ..klein.clone() }).weights > needed.weights);
    let error = bench_within(&klein, Some(8 << 30)).unwrap_err();
    let both = ["8.0 GiB are free", &readable(needed.weights + needed.activations)].map(str::to_owned);
    assert!(both.iter().all(|number| error.to_string().contains(number)), "{error}");
    // A folder's weights count as they lie there.
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("starter");
    let error = bench_within(&BenchSpec { folder: Some(starter), ..spec() }, Some(1 << 20)).unwrap_err();
    assert!(matches!(error, Error::Memory(_)), "{error}");
    let error = bench(&BenchSpec { width: Some(4160), ..spec() }).unwrap_err();
    assert!(matches!(error, Error::Input(_)) && error.to_string().contains("4096"), "{error}");
}

//! What is measured is what is asked for, and operations are counted as published.

use super::{Architecture, BenchSpec, bench, operations, published};
use crate::{device::DeviceName, dtype::Precision, flux2::configs::Configs, sdxl::configs::Configs as SdxlConfigs};

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
    let of_unet = operations::unet(&sdxl.unet, (128, 128), 77) / 1e12;
    assert!((of_unet - 6.7612).abs() < 1e-3, "{of_unet}");
    let of_decoder = operations::decoder(&sdxl.autoencoder.shape(), (128, 128)) / 1e12;
    assert!((of_decoder - 10.4704).abs() < 1e-3, "{of_decoder}");
    // A transformer takes about twice its parameters a token, and attention on top.
    let klein = Configs::read(&folder.path().join("klein-4b")).unwrap();
    let of_klein = operations::flux2_transformer(&klein.transformer, (512, 4096)) / 1e12;
    assert!((2.0 * 3.6e9 * 4608.0 / 1e12..2.0 * 6.0e9 * 4608.0 / 1e12).contains(&of_klein), "{of_klein}");
}

#[test]
fn every_stage_is_measured_from_token_ids_to_the_file() {
    let spec = BenchSpec {
        architecture: Architecture::Starter,
        folder: None,
        width: Some(64),
        height: Some(48),
        steps: Some(3),
        loras: 1,
        repeats: 1,
        device: DeviceName::Cpu,
        precision: Precision::F32,
    };
    let report = bench(&spec).unwrap();
    assert_eq!(report.stages.keys().collect::<Vec<_>>(), ["decode", "png", "step", "text", "total"]);
    let milliseconds = |stage: &str| report.stages[stage].median_ms;
    for stage in ["text", "step", "decode", "png"] {
        assert!(0.0 < milliseconds(stage) && milliseconds(stage) <= milliseconds("total"), "{report:?}");
    }
    assert!(report.share_of_calibration > 0.0 && report.lora_swap_ms.is_some() && report.parameters > 3_000_000);
    assert!(bench(&BenchSpec { width: Some(65), ..spec.clone() }).is_err());
    assert!(bench(&BenchSpec { repeats: 0, ..spec }).is_err());
}

//! RRDBNet against the reference implementation (`tests/reference/rrdbnet_case.py` wrote the cases), and what is promised of
//! larger pictures.

use std::path::{Path, PathBuf};

use burn::{backend::Flex, tensor::Tensor};

use super::{
    LONGEST_EDGE, Upscaler, UpscalingMethod,
    rrdbnet::{RrdbNet, RrdbNetShape},
};
use crate::{
    device::DeviceName,
    error::Error,
    image::{Part, Picture},
    progress::Control,
    weights::{
        module_file::{self, Stored},
        safetensors::{StoredTensor, write},
        tensor_file::TensorFile,
    },
};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rrdbnet").join(name)
}

fn go_on(_: u32, _: u32) -> Control {
    Control::Continue
}

/// Soft colours with fine lines.
fn picture(width: u32, height: u32) -> Picture {
    let colour = |x: u32, y: u32| {
        let wave = |scale: f32, shift: f32| {
            ((x as f32 / scale + shift).sin() * (y as f32 / (scale + 3.0)).cos() * 90.0 + 128.0) as u8
        };
        let line = if (x + 2 * y).is_multiple_of(17) { 70 } else { 0 };
        [wave(9.0, 0.0) | line, wave(14.0, 1.0), wave(23.0, 2.0) ^ line]
    };
    Picture::new(width, height, (0..height).flat_map(|y| (0..width).flat_map(move |x| colour(x, y))).collect()).unwrap()
}

#[test]
fn the_network_is_the_references() {
    for (name, scale) in [("x4", 4), ("x2", 2)] {
        let network = RrdbNet::<Flex>::load(&case(&format!("{name}.safetensors")), &Default::default()).unwrap();
        assert_eq!(network.scale(), scale);
        let expected = TensorFile::read(&case(&format!("{name}.expected.safetensors"))).unwrap();
        let input: Tensor<Flex, 4> = expected.tensor("input", &Default::default()).unwrap();
        let wanted: Tensor<Flex, 4> = expected.tensor("output", &Default::default()).unwrap();
        let far = (network.forward(input) - wanted).abs().max().into_scalar();
        assert!(far < 1e-5, "{name} lies {far} from the reference");
    }
}

#[test]
fn tiles_leave_no_seams() {
    let upscaler = Upscaler::load(&case("x2.safetensors"), &DeviceName::Cpu).unwrap();
    let network = RrdbNet::<Flex>::load(&case("x2.safetensors"), &Default::default()).unwrap();
    // Wider than two tiles, and odd.
    let picture = picture(421, 67);
    let mut heard = Vec::new();
    let tiled = upscaler.upscale(&picture, 842, 134, &mut |done, of| {
        heard.push((done, of));
        Control::Continue
    });
    let tiled = tiled.unwrap();
    assert_eq!((tiled.method, heard.last()), (UpscalingMethod::RrdbNet, Some(&(3, 3))));
    let padded = super::padded(&picture, 2);
    let input = super::to_tensor::<Flex>([&padded], &Default::default()).add_scalar(1.0).div_scalar(2.0);
    let whole = crate::starter::pictures::from_tensor(network.forward(input).mul_scalar(2.0).sub_scalar(1.0));
    let whole = whole[0].cropped(Part { left: 0, top: 0, width: 842, height: 134 });
    let far = tiled.picture.rgb.iter().zip(&whole.rgb).map(|(one, other)| one.abs_diff(*other)).max();
    assert!(far <= Some(1), "tiles differ from the whole by {far:?}");
}

#[test]
fn the_result_says_whether_the_network_ran() {
    let upscaler = Upscaler::load(&case("x4.safetensors"), &DeviceName::Cpu).unwrap();
    let picture = picture(40, 24);
    let mut tiles = 0;
    let mut run = |upscaler: &Upscaler, width: u32, height: u32| {
        tiles = 0;
        let upscaled = upscaler.upscale(&picture, width, height, &mut |_, _| {
            tiles += 1;
            Control::Continue
        });
        (upscaled.unwrap(), tiles)
    };
    let (same, tiles) = run(&upscaler, 40, 24);
    assert_eq!((same.method, tiles), (UpscalingMethod::Lanczos, 0));
    assert!(same.picture == picture, "nothing was to grow");
    let (larger, tiles) = run(&upscaler, 41, 24);
    assert_eq!((larger.method, tiles), (UpscalingMethod::RrdbNet, 1));
    // A network that leaves the size as it is.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x1.safetensors");
    let shape = RrdbNetShape { features: 4, growth: 2, blocks: 2, unshuffle: 4 };
    let drawn = RrdbNet::<Flex>::new(shape, &Default::default());
    module_file::save::<Flex, _>(&drawn, &file, Stored::F32, Default::default()).unwrap();
    let upscaler = Upscaler::load(&file, &DeviceName::Cpu).unwrap();
    for (width, height) in [(40, 24), (60, 36)] {
        let (through, tiles) = run(&upscaler, width, height);
        assert_eq!((through.method, tiles), (UpscalingMethod::RrdbNet, 1));
        assert_eq!((through.picture.width, through.picture.height), (width, height));
    }
}

#[test]
fn what_is_put_together_is_less_than_twice_as_large_as_what_is_wanted() {
    // The published network, and a picture that is nearly large enough.
    assert_eq!(super::reduction(4000, 4, 4080), 2);
    for (edge, scale, wanted, by) in [(1024, 4, 4096, 1), (1024, 4, 4000, 1), (1024, 2, 4096, 1), (4000, 4, 4000, 4)] {
        assert_eq!(super::reduction(edge, scale, wanted), by);
    }
    let network = RrdbNet::<Flex>::load(&case("x4.safetensors"), &Default::default()).unwrap();
    let picture = picture(230, 40);
    let whole = super::pass(&network, &Default::default(), &picture, (920, 160), &mut go_on).unwrap();
    assert_eq!((whole.width, whole.height), (920, 160));
    let reduced = super::pass(&network, &Default::default(), &picture, (235, 100), &mut go_on).unwrap();
    assert_eq!((reduced.width, reduced.height), (460, 160));
    // Each pixel is the mean of those that it stands for.
    for (x, y) in [(0, 0), (197, 31), (459, 159)] {
        let (one, other) = (whole.pixel(2 * x, y), whole.pixel(2 * x + 1, y));
        for ((one, other), mean) in one.into_iter().zip(other).zip(reduced.pixel(x, y)) {
            assert!((f32::from(one) / 2.0 + f32::from(other) / 2.0 - f32::from(mean)).abs() <= 1.5, "at {x}, {y}");
        }
    }
}

#[test]
fn without_weights_it_is_lanczos_up_to_the_largest_size() {
    let picture = picture(64, 64);
    let larger = Upscaler::without_weights().upscale(&picture, LONGEST_EDGE, LONGEST_EDGE, &mut go_on).unwrap();
    assert_eq!((larger.picture.width, larger.picture.height), (LONGEST_EDGE, LONGEST_EDGE));
    assert_eq!(larger.method, UpscalingMethod::Lanczos);
    let small = crate::resample::lanczos(&larger.picture, 64, 64);
    let far: u64 = small.rgb.iter().zip(&picture.rgb).map(|(one, other)| u64::from(one.abs_diff(*other))).sum();
    assert!(
        (far as f64) < 4.0 * small.rgb.len() as f64,
        "on average {} tones away",
        far as f64 / small.rgb.len() as f64
    );
}

#[test]
fn sizes_out_of_bounds_and_other_networks_are_refused() {
    let upscaler = Upscaler::without_weights();
    for (width, height) in [(LONGEST_EDGE + 1, 64), (63, 64)] {
        let error = upscaler.upscale(&picture(64, 64), width, height, &mut go_on).unwrap_err();
        assert!(matches!(error, Error::Input(_)), "{error}");
    }
    let error = Upscaler::load(&case("x4.expected.safetensors"), &DeviceName::Cpu).err().unwrap().to_string();
    assert!(error.contains("conv_first"), "{error}");
    // Numbers of blocks that a file states are not believed.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gap.safetensors");
    for (number, missing) in [("2", 1), ("18446744073709551615", 1)] {
        let names = ["conv_first", "body.0.rdb1.conv1", &format!("body.{number}.rdb1.conv1")];
        let tensors = names.map(|name| StoredTensor::f32(format!("{name}.weight"), vec![1, 3, 3, 3], [0.0; 27]));
        write(&file, &tensors, &Default::default()).unwrap();
        let error = Upscaler::load(&file, &DeviceName::Cpu).err().unwrap().to_string();
        assert!(error.contains(&format!("body.{number}")) && error.contains(&format!("number {missing}")), "{error}");
    }
    let stopped = Upscaler::load(&case("x4.safetensors"), &DeviceName::Cpu).unwrap();
    let stopped = stopped.upscale(&picture(40, 40), 160, 160, &mut |_, _| Control::Stop);
    assert!(matches!(stopped, Err(Error::Stopped)));
}

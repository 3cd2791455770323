//! Weights of eight bits (FP8), as large models are often shared: every number takes a byte, E4M3 or E5M2 (Micikevicius et al.,
//! "FP8 Formats for Deep Learning", 2022), and what all of them are multiplied by stands beside them, so that they use the
//! format's whole range. ComfyUI's guide to quantization and Black Forest Labs' files call it `weight_scale`, older files
//! `scale_weight`, transformers' `weight_scale_inv`. Files without it hold plain numbers.

use std::collections::BTreeMap;

use float8::{F8E4M3, F8E5M2};
use safetensors::Dtype;
use serde::Deserialize;

use super::module_file;
use crate::error::{Error, Result};

/// What ends the name of a factor, where a weight's ends with `weight`.
const FACTORS: [&str; 3] = ["weight_scale", "scale_weight", "weight_scale_inv"];

/// What ends the names of things that are about numbers in eight bits, and that are not needed to read weights: factors of a
/// layer's input, for programs that multiply in eight bits, and marks of the format.
const NOT_NEEDED: [&str; 4] = ["input_scale", "scale_input", MARK, "scaled_fp8"];

/// What ends the name of a layer's own description.
const MARK: &str = "comfy_quant";

/// The key of metadata that describes all layers.
const DESCRIPTION: &str = "_quantization_metadata";

/// Whether numbers are stored in eight bits.
pub fn is_fp8(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F8_E4M3 | Dtype::F8_E5M2)
}

/// Numbers of eight bits, without the factor beside them.
pub fn floats(bytes: &[u8], dtype: Dtype) -> Vec<f32> {
    let number: fn(u8) -> f32 = match dtype {
        Dtype::F8_E5M2 => |byte| F8E5M2::from_bits(byte).to_f32(),
        _ => |byte| F8E4M3::from_bits(byte).to_f32(),
    };
    let numbers: [f32; 256] = std::array::from_fn(|byte| number(byte as u8));
    bytes.iter().map(|byte| numbers[usize::from(*byte)]).collect()
}

/// What stands beside weights of eight bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Companion {
    /// What the numbers of the weight of this name are multiplied by.
    FactorOf(String),
    /// Nothing that reading the weights needs.
    NotNeeded,
}

impl Companion {
    /// What a tensor of a name is, if it stands beside weights.
    pub fn of(name: &str) -> Option<Self> {
        let last = name.rsplit('.').next().unwrap_or(name);
        if FACTORS.contains(&last) {
            return Some(Self::FactorOf(format!("{}weight", &name[..name.len() - last.len()])));
        }
        NOT_NEEDED.contains(&last).then_some(Self::NotNeeded)
    }
}

/// The name of the factor beside a weight of this name.
pub fn factor_of(weight: &str) -> String {
    let module = weight.strip_suffix("weight").unwrap_or(weight);
    format!("{module}{}", FACTORS[0])
}

/// What the numbers of a weight are multiplied by: one factor for all, one a row, or one for each block of a matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Factor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Factor {
    /// Reads it, by its name, number format, shape and bytes.
    ///
    /// # Errors
    /// [`Error::Weights`] when it is stored otherwise than as F32, F16 or BF16.
    pub fn read(name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Result<Self> {
        if !matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(Error::Weights(format!(
                "The factor `{name}` is stored as {dtype}; F32, F16 and BF16 are read. Choose a checkpoint in FP8 with factors of a \
                 layer or of its rows, or one in BF16."
            )));
        }
        let values = module_file::floats(bytes, dtype);
        Ok(Self { shape: shape.to_vec(), values })
    }

    /// Makes sure that there are one factor, one a row, or one for each of the blocks that a weight's shape divides into.
    ///
    /// # Errors
    /// [`Error::Weights`] when there are not, by the weight's name.
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
        let [bands, pieces] = self.blocks();
        let rows = shape.first().copied().unwrap_or(1);
        let columns = shape.iter().skip(1).product::<usize>();
        let divide = bands > 0 && pieces > 0 && rows.is_multiple_of(bands) && columns.is_multiple_of(pieces);
        if divide && self.values.len() == bands * pieces && (pieces == 1 || shape.len() == 2) {
            return Ok(());
        }
        Err(Error::Weights(format!(
            "`{name}` has the shape {shape:?} and factors of the shape {:?}, which do not fit. Fetch the file again, or choose a \
             checkpoint in BF16.",
            self.shape
        )))
    }

    /// Multiplies the numbers of a weight that was [checked](Self::check); they lie row by row.
    pub fn apply(&self, shape: &[usize], numbers: &mut [f32]) {
        if numbers.is_empty() {
            return;
        }
        let [bands, pieces] = self.blocks();
        let columns = shape.iter().skip(1).product::<usize>();
        let height = shape.first().copied().unwrap_or(1) / bands;
        for (row, numbers) in numbers.chunks_exact_mut(columns).enumerate() {
            for (piece, numbers) in numbers.chunks_exact_mut(columns / pieces).enumerate() {
                let factor = self.values[row / height * pieces + piece];
                numbers.iter_mut().for_each(|number| *number *= factor);
            }
        }
    }

    /// One for each of so many rows, if it has not several for a row.
    pub fn of_rows(&self, rows: usize) -> Option<Vec<f32>> {
        let [bands, pieces] = self.blocks();
        (pieces == 1).then(|| (0..rows).map(|row| self.values[row / (rows / bands)]).collect())
    }

    /// Into how many blocks of rows and of columns a weight is divided.
    fn blocks(&self) -> [usize; 2] {
        match self.shape[..] {
            [bands, pieces] => [bands, pieces],
            // One for all or one a row, whatever axes of one follow.
            _ => [self.values.len(), 1],
        }
    }
}

/// What ComfyUI says of a layer.
#[derive(Deserialize)]
struct LayerDescription {
    format: String,
}

#[derive(Deserialize)]
struct Description {
    #[serde(default)]
    layers: BTreeMap<String, LayerDescription>,
}

/// Makes sure that layers which a file describes are in a format that is read.
///
/// # Errors
/// [`Error::Weights`] when one is not, by its name and format.
pub fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<()> {
    let described = metadata.get(DESCRIPTION).and_then(|text| serde_json::from_str::<Description>(text).ok());
    let mut layers = described.into_iter().flat_map(|description| description.layers);
    layers.try_for_each(|(layer, description)| check_format(&layer, &description.format))
}

/// The same of a layer's own description, if a tensor of this name is one.
///
/// # Errors
/// As [`check_metadata`].
pub fn check_mark(name: &str, bytes: &[u8]) -> Result<()> {
    let Some(layer) = name.strip_suffix(MARK).and_then(|layer| layer.strip_suffix('.')) else { return Ok(()) };
    let described = serde_json::from_slice::<LayerDescription>(bytes).ok();
    described.map_or(Ok(()), |description| check_format(layer, &description.format))
}

fn check_format(layer: &str, format: &str) -> Result<()> {
    if ["float8_e4m3fn", "float8_e5m2"].contains(&format) {
        return Ok(());
    }
    Err(Error::Weights(format!(
        "The layer `{layer}` is stored in the format `{format}`; of small formats float8_e4m3fn and float8_e5m2 are read. \
         Choose a checkpoint in FP8 or BF16."
    )))
}

#[cfg(test)]
mod tests {
    use burn::{backend::Flex, tensor::DType};
    use half::bf16;

    use super::*;
    use crate::{
        nn::linear::Linear,
        weights::{
            module_file::{Halves, load_keeping},
            safetensors::{StoredTensor, write},
        },
    };

    #[test]
    fn a_layer_is_filled_with_what_its_numbers_and_factors_come_to() {
        let numbers: Vec<u8> = (0..8 * 16).map(|place| (place * 37 % 127) as u8).collect();
        let factors: Vec<f32> = (1..=8).map(|row| row as f32 / 300.0).collect();
        let folder = tempfile::tempdir().unwrap();
        let layer = |tensors: &[StoredTensor<'_>], halves: Halves| {
            let file = folder.path().join("layer.safetensors");
            write(&file, tensors, &BTreeMap::new()).unwrap();
            let drawn = Linear::<Flex>::new(16, 8, false, &Default::default());
            load_keeping::<Flex, _>(drawn, &[file], halves, |name| Some(name.to_owned()))
        };
        let weight = StoredTensor {
            name: "weight".to_owned(),
            dtype: Dtype::F8_E4M3,
            shape: vec![8, 16],
            bytes: (&numbers).into(),
        };
        let factor = StoredTensor::f32("weight_scale".to_owned(), vec![8, 1], factors.clone());
        let stored = [factor.clone(), weight];
        let wanted: Vec<f32> = floats(&numbers, Dtype::F8_E4M3)
            .chunks(16)
            .zip(&factors)
            .flat_map(|(row, f)| row.iter().map(move |n| n * f))
            .collect();
        for (halves, dtype) in [(Halves::Widened, DType::F32), (Halves::Kept, DType::BF16)] {
            let weight = layer(&stored, halves).unwrap().weight.val();
            assert_eq!(weight.dtype(), dtype);
            let found: Vec<f32> = weight.into_data().iter::<f32>().collect();
            let rounded = |value: &f32| if dtype == DType::F32 { *value } else { bf16::from_f32(*value).to_f32() };
            assert_eq!(found, wanted.iter().map(rounded).collect::<Vec<_>>(), "{halves:?}");
        }
        let plain = StoredTensor::f32("weight".to_owned(), vec![8, 16], wanted);
        let refused = layer(&[plain, factor], Halves::Widened).unwrap_err().to_string();
        assert!(refused.contains("factors for `weight`"), "{refused}");
        let packed =
            StoredTensor { name: "weight".to_owned(), dtype: Dtype::U8, shape: vec![8, 16], bytes: (&numbers).into() };
        let refused = layer(&[packed], Halves::Widened).unwrap_err().to_string();
        assert!(refused.contains("stored as U8"), "{refused}");
    }

    #[test]
    fn numbers_are_those_of_the_formats() {
        let e4m3 = floats(&[0x00, 0x80, 0x01, 0x38, 0x7e, 0xfe, 0x08, 0xc4], Dtype::F8_E4M3);
        assert_eq!(e4m3, [0.0, -0.0, 2f32.powi(-9), 1.0, 448.0, -448.0, 2f32.powi(-6), -3.0]);
        let e5m2 = floats(&[0x00, 0x01, 0x3c, 0x7b, 0xfb, 0xc2], Dtype::F8_E5M2);
        assert_eq!(e5m2, [0.0, 2f32.powi(-16), 1.0, 57344.0, -57344.0, -3.0]);
        assert!(floats(&[0x7f], Dtype::F8_E4M3)[0].is_nan() && floats(&[0x7f], Dtype::F8_E5M2)[0].is_nan());
    }

    #[test]
    fn factors_are_of_all_of_rows_or_of_blocks() {
        let ones = |shape: &[usize]| vec![1.0f32; shape.iter().product()];
        let applied = |factors: &[usize], shape: &[usize]| {
            let values: Vec<f32> = (1..=factors.iter().product::<usize>()).map(|number| number as f32).collect();
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let factor = Factor::read("x.weight_scale", Dtype::F32, factors, &bytes).unwrap();
            factor.check("x.weight", shape).map_err(|error| error.to_string())?;
            let mut numbers = ones(shape);
            factor.apply(shape, &mut numbers);
            Ok::<_, String>(numbers)
        };
        assert_eq!(applied(&[], &[2, 2]).unwrap(), [1.0; 4]);
        assert_eq!(applied(&[2], &[2, 2]).unwrap(), [1.0, 1.0, 2.0, 2.0]);
        assert_eq!(applied(&[2, 1], &[2, 2]).unwrap(), [1.0, 1.0, 2.0, 2.0]);
        assert_eq!(applied(&[2, 1, 1, 1], &[2, 1, 1, 2]).unwrap(), [1.0, 1.0, 2.0, 2.0]);
        assert_eq!(applied(&[1, 2], &[2, 4]).unwrap(), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
        for (factors, shape) in [(&[3][..], &[2, 2][..]), (&[2, 3], &[2, 4]), (&[0], &[2, 2]), (&[1, 2], &[2, 2, 2])] {
            let refused = applied(factors, shape).unwrap_err();
            assert!(refused.contains("x.weight") && refused.contains("do not fit"), "{refused}");
        }
    }

    #[test]
    fn other_small_formats_are_refused_by_name() {
        let metadata = |format: &str| {
            let text = format!(r#"{{"format_version":"1.0","layers":{{"a.b":{{"format":"{format}"}}}}}}"#);
            check_metadata(&BTreeMap::from([(DESCRIPTION.to_owned(), text)]))
        };
        metadata("float8_e4m3fn").unwrap();
        let refused = metadata("nvfp4").unwrap_err().to_string();
        assert!(refused.contains("`a.b`") && refused.contains("`nvfp4`"), "{refused}");
        check_mark("a.b.comfy_quant", br#"{"format":"float8_e4m3fn"}"#).unwrap();
        let refused = check_mark("a.b.comfy_quant", br#"{"format":"int8_blockwise"}"#).unwrap_err().to_string();
        assert!(refused.contains("`a.b`") && refused.contains("`int8_blockwise`"), "{refused}");
    }
}

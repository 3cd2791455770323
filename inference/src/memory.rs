//! How much memory a device has, and how much of it the weights of a model folder take.

use std::path::Path;

use crate::{
    device::DeviceName,
    dtype::Precision,
    error::{Error, Result},
    weights::{folder, module_file::Halves, safetensors::MappedFile},
};

/// All memory of a device, in bytes; none where the system does not say. An operating system lives in a machine's memory as
/// well as models: what this says is not all there is to fill.
pub fn of_device(device: &DeviceName) -> Option<u64> {
    match device {
        DeviceName::Cpu => of_machine("MemTotal:"),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(number) => crate::cuda::memory(*number),
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda(_) => None,
    }
}

/// Memory of a card that is in use, by this process and by others, in bytes. Burn keeps what it once took, so that after
/// the work it is the most that was in use. None for the processor.
pub fn used_of_card(device: &DeviceName) -> Option<u64> {
    match device {
        DeviceName::Cpu => None,
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(number) => crate::cuda::used(*number),
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda(_) => None,
    }
}

/// What a device has left, in bytes, beside everything that is in use there, of others as well; none where the system does not say.
pub fn available(device: &DeviceName) -> Option<u64> {
    match device {
        DeviceName::Cpu => of_machine("MemAvailable:"),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(number) => crate::cuda::free(*number),
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda(_) => None,
    }
}

/// A number of bytes as people read it.
pub(crate) fn readable(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 { format!("{mebibytes:.0} MiB") } else { format!("{:.1} GiB", mebibytes / 1024.0) }
}

/// What the weights of a model folder take on a device, in bytes. Headers are read, and no weight.
///
/// # Errors
/// When a file of the folder is missing or damaged.
pub fn of_model(folder: &Path, device: &DeviceName, precision: Precision) -> Result<u64> {
    let number = match (device, precision) {
        (DeviceName::Cpu, _) | (_, Precision::F32) => 4,
        (DeviceName::Cuda(_), Precision::Bf16 | Precision::Fp8) => 2,
    };
    let takes_a_byte = |name: &str, shape: &[usize]| {
        matches!((device, precision), (DeviceName::Cuda(_), Precision::Fp8))
            && shape.len() == 2
            && name.contains("transformer_blocks.")
    };
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let component = entry.map_err(Error::io(folder))?.path();
        // A tokenizer's folder and a scheduler's hold no weights.
        let files = if component.is_dir() { folder::weight_files(&component).unwrap_or_default() } else { Vec::new() };
        let halves = Halves::of(&files);
        for file in files {
            let file = MappedFile::open(&file)?;
            bytes += file.header().tensors.iter().fold(0, |sum, (name, entry)| {
                let is_kept = *device == DeviceName::Cpu && halves.keeps(entry.dtype, &entry.shape);
                let number = if is_kept {
                    2
                } else if takes_a_byte(name, &entry.shape) {
                    1
                } else {
                    number
                };
                sum + entry.shape.iter().product::<usize>() as u64 * number
            });
        }
    }
    Ok(bytes)
}

/// A line of what Linux says about its memory, in bytes.
fn of_machine(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_four_bytes_a_number_on_the_processor_and_two_in_half_precision() {
        let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("starter");
        let here = of_model(&starter, &DeviceName::Cpu, Precision::Bf16).unwrap();
        let there = of_model(&starter, &DeviceName::Cuda(0), Precision::Bf16).unwrap();
        assert_eq!(here, 2 * there);
        // The starter's card counts 5.2 million numbers.
        assert!((18_000_000..24_000_000).contains(&here), "{here}");
        let in_eight_bits = of_model(&starter, &DeviceName::Cuda(0), Precision::Fp8).unwrap();
        assert!(in_eight_bits < there && in_eight_bits > there / 2, "{in_eight_bits} of {there}");
        assert!(of_model(Path::new("missing"), &DeviceName::Cpu, Precision::F32).is_err());
    }
}

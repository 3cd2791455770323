//! Devices, by name.

use std::{fmt, str::FromStr};

use burn::tensor::backend::Backend;

use crate::{dtype::Precision, error::Error, nn};

/// Where a model runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceName {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA card, by number.
    Cuda(usize),
}

impl DeviceName {
    /// Makes sure that the device is there, before any work is done for it.
    ///
    /// # Errors
    /// [`Error::Device`] with what is missing.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Cpu => Ok(()),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda(_) => Err(Self::without_cuda()),
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => crate::cuda::check(*number),
        }
    }

    /// Makes sure that the device computes in these numbers, before any work is done: what is asked for is what is reported.
    ///
    /// # Errors
    /// [`Error::Device`] with the numbers that it computes in.
    pub fn check_precision(&self, precision: Precision) -> Result<(), Error> {
        match (self, precision) {
            (Self::Cpu, Precision::Bf16 | Precision::Fp8) => Err(Error::Device(format!(
                "The processor computes in `f32`, and `{}` is asked for. Ask for `f32`, or for an NVIDIA card as `cuda:0`.",
                precision.name()
            ))),
            (Self::Cpu, Precision::F32) | (Self::Cuda(_), _) => Ok(()),
        }
    }

    /// Why a program that was built without CUDA has no such device.
    #[cfg(not(feature = "cuda"))]
    pub(crate) fn without_cuda() -> Error {
        Error::Device("This program was built without CUDA. Use `cpu`, or build it with `--features cuda`.".to_owned())
    }
}

/// Whether a backend computes on the processor.
pub(crate) fn is_processor<B: Backend>(device: &B::Device) -> bool {
    B::name(device).contains("flex")
}

/// Waits until a device has done what this thread told it.
///
/// # Errors
/// [`Error::Device`] when it failed.
pub(crate) fn finish<B: Backend>(device: &B::Device) -> Result<(), Error> {
    B::sync(device).map_err(|error| Error::Device(format!("The device failed: {error}.")))?;
    check_failures::<B>(device)
}

/// Makes sure that nothing failed of what a device was told and has done by now.
///
/// # Errors
/// [`Error::Device`] when something did.
pub(crate) fn check_failures<B: Backend>(device: &B::Device) -> Result<(), Error> {
    match nn::failure::<B>(device) {
        Some(failure) => Err(Error::Device(format!("The device failed: {failure}."))),
        None => Ok(()),
    }
}

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let unknown =
            || Error::Device(format!("`{name}` is no device. Use `cpu`, or `cuda:0` for the first NVIDIA card."));
        match name.split_once(':') {
            None if name == "cpu" => Ok(Self::Cpu),
            None if name == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", number)) => Ok(Self::Cuda(number.parse().map_err(|_| unknown())?)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => write!(formatter, "cpu"),
            Self::Cuda(number) => write!(formatter, "cuda:{number}"),
        }
    }
}

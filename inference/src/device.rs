//! Devices, by name.

use std::{fmt, str::FromStr};

use burn::tensor::backend::Backend;

use crate::error::Error;

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
            Self::Cuda(number) => cuda_card(*number),
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
    B::sync(device).map_err(|error| Error::Device(format!("The device failed: {error}.")))
}

/// Asks NVIDIA's driver for its cards. burn would ask it too, but panics where there is none.
#[cfg(feature = "cuda")]
#[allow(unsafe_code, reason = "a library that is loaded while running is called by its documented C interface")]
fn cuda_card(number: usize) -> Result<(), Error> {
    use libloading::{Library, Symbol};
    let missing =
        |_| Error::Device(format!("`cuda:{number}` needs NVIDIA's driver, and none is installed here. Use `cpu`."));
    let name = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };
    let mut cards = 0i32;
    let status = unsafe {
        let driver = Library::new(name).map_err(missing)?;
        let initialise: Symbol<unsafe extern "C" fn(u32) -> i32> = driver.get(b"cuInit\0").map_err(missing)?;
        let count: Symbol<unsafe extern "C" fn(*mut i32) -> i32> =
            driver.get(b"cuDeviceGetCount\0").map_err(missing)?;
        match initialise(0) {
            0 => count(&mut cards),
            failed => failed,
        }
    };
    if status != 0 {
        return Err(Error::Device(format!("NVIDIA's driver does not work here; it says error {status}. Use `cpu`.")));
    }
    if usize::try_from(cards).unwrap_or_default() <= number {
        return Err(Error::Device(format!(
            "`cuda:{number}` is not there: the driver has {cards} cards, counted from 0."
        )));
    }
    Ok(())
}

/// All memory of a card, in bytes, as NVIDIA's driver says it.
#[cfg(feature = "cuda")]
#[allow(unsafe_code, reason = "a library that is loaded while running is called by its documented C interface")]
pub(crate) fn cuda_memory(number: usize) -> Option<u64> {
    use libloading::{Library, Symbol};
    cuda_card(number).ok()?;
    let name = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };
    let (mut card, mut bytes) = (0i32, 0usize);
    // SAFETY: both functions are the driver's, with the signatures that it documents, and write where they are told.
    unsafe {
        let driver = Library::new(name).ok()?;
        let get: Symbol<unsafe extern "C" fn(*mut i32, i32) -> i32> = driver.get(b"cuDeviceGet\0").ok()?;
        let total: Symbol<unsafe extern "C" fn(*mut usize, i32) -> i32> = driver.get(b"cuDeviceTotalMem_v2\0").ok()?;
        if get(&mut card, i32::try_from(number).ok()?) != 0 || total(&mut bytes, card) != 0 {
            return None;
        }
    }
    u64::try_from(bytes).ok()
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

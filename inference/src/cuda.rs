//! NVIDIA's cards: whether one is there with what is needed to compute on it, and how burn is set up for it.
#![allow(unsafe_code, reason = "NVIDIA's libraries are called by their documented C interfaces")]

use std::sync::Once;

use burn::backend::cuda::CudaDevice;
use cubecl::{
    Runtime as _,
    config::{CubeClRuntimeConfig, RuntimeConfig},
    cuda::{CudaRuntime, install},
};
use cudarc::{
    driver::{result as driver, sys::is_culib_present as has_driver},
    nvrtc::sys::is_culib_present as has_compiler,
};

use crate::error::{Error, Result};

/// A header that kernels include: without it none of them is compiled.
const HEADER: &str = "include/cuda_fp16.h";

/// Makes sure that a card is there and can be computed on, and sets burn up for it. burn would find out too, but panics.
///
/// # Errors
/// [`Error::Device`] with what is missing.
pub(crate) fn check(number: usize) -> Result<()> {
    let fail = |why: String| Err(Error::Device(why));
    // SAFETY: these two only look whether a library can be loaded.
    let (has_driver, has_compiler) = unsafe { (has_driver(), has_compiler()) };
    if !has_driver {
        return fail(format!("`cuda:{number}` needs NVIDIA's driver, and none is installed here. Use `cpu`."));
    }
    let cards = match driver::init().and_then(|()| driver::device::get_count()) {
        Ok(cards) => usize::try_from(cards).unwrap_or_default(),
        Err(error) => return fail(format!("NVIDIA's driver does not work here; it says {error}. Use `cpu`.")),
    };
    if cards <= number {
        return fail(format!("`cuda:{number}` is not there: the driver has {cards} cards, counted from 0."));
    }
    let headers = install::cuda_path().map(|toolkit| toolkit.join(HEADER));
    if !has_compiler || !headers.is_some_and(|header| header.exists()) {
        return fail(format!(
            "`cuda:{number}` needs NVIDIA's run-time compiler (libnvrtc) and CUDA's headers, and they are not found here. Install \
             the CUDA toolkit; where it is not in /usr/local/cuda, name its folder in `CUDA_PATH`."
        ));
    }
    set_up();
    Ok(())
}

/// All memory of a card, in bytes, as NVIDIA's driver says it.
pub(crate) fn memory(number: usize) -> Option<u64> {
    check(number).ok()?;
    let device = driver::device::get(i32::try_from(number).ok()?).ok()?;
    // SAFETY: the device is the driver's own answer.
    let bytes = unsafe { driver::device::total_mem(device) }.ok()?;
    u64::try_from(bytes).ok()
}

/// Memory of a card that can still be filled, in bytes: what nobody has, and what burn keeps for later use of this thread.
pub(crate) fn free(number: usize) -> Option<u64> {
    let (free, _) = free_and_all(number)?;
    let kept = CudaRuntime::client(&CudaDevice::new(number)).memory_usage().ok()?;
    Some(free + kept.bytes_reserved.saturating_sub(kept.bytes_in_use + kept.bytes_padding))
}

/// Memory of a card that is in use, in bytes: of this process and of others, what burn keeps for later use included.
pub(crate) fn used(number: usize) -> Option<u64> {
    let (free, all) = free_and_all(number)?;
    all.checked_sub(free)
}

/// Memory of a card that nobody has, and all of it, in bytes.
fn free_and_all(number: usize) -> Option<(u64, u64)> {
    check(number).ok()?;
    let device = driver::device::get(i32::try_from(number).ok()?).ok()?;
    // SAFETY: the device is the driver's own answer, and so is the context, which lives as long as the process.
    unsafe { driver::ctx::set_current(driver::primary_ctx::retain(device).ok()?) }.ok()?;
    let (free, all) = driver::mem_get_info().ok()?;
    Some((u64::try_from(free).ok()?, u64::try_from(all).ok()?))
}

/// Lets burn keep compiled kernels where it keeps what it measured of them, so that only the first start waits for the compiler.
fn set_up() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
        config.compilation.cache.get_or_insert_with(Default::default);
        CubeClRuntimeConfig::set(config);
    });
}

//! Larger pictures: by RRDBNet where its weights are there, else by Lanczos and a sharpening that follows edges. The result
//! says which.

pub mod rrdbnet;
mod sharpening;
#[cfg(test)]
mod tests;
mod tiles;

use std::{fmt, path::Path};

use burn::{backend::Flex, tensor::backend::Backend};
use serde::{Deserialize, Serialize};

use self::{
    rrdbnet::RrdbNet,
    tiles::{Blend, tiles},
};
use crate::{
    device::DeviceName,
    error::{Error, Result},
    image::{Part, Picture},
    progress::Control,
    resample,
    starter::pictures::to_tensor,
};

/// The longest edge that pictures are scaled to, in pixels.
pub const LONGEST_EDGE: u32 = 4096;

/// Edge of the tiles that go through the network, in pixels, before they grow.
const TILE: u32 = 192;

/// How far tiles overlap, in pixels before they grow: what lies further away changes a pixel by less than a tone.
const OVERLAP: u32 = 32;

/// How a picture was made larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpscalingMethod {
    /// By RRDBNet.
    RrdbNet,
    /// By a Lanczos kernel and sharpening.
    Lanczos,
}

impl fmt::Display for UpscalingMethod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::RrdbNet => "RRDBNet",
            Self::Lanczos => "Lanczos with sharpened edges",
        })
    }
}

/// A picture that was made larger.
#[derive(Clone, Debug, PartialEq)]
pub struct Upscaled {
    /// The picture.
    pub picture: Picture,
    /// How.
    pub method: UpscalingMethod,
}

/// Makes pictures larger.
pub struct Upscaler {
    runner: Runner,
}

/// The network on one of the backends, or not there.
enum Runner {
    Without,
    Cpu(Box<RrdbNet<Flex>>, <Flex as burn::tensor::backend::BackendTypes>::Device),
    #[cfg(feature = "cuda")]
    Cuda(Box<RrdbNet<burn::backend::Cuda<f32>>>, burn::backend::cuda::CudaDevice),
}

/// Hears how many tiles are done of how many, and says whether to go on.
pub type AfterTile<'a> = dyn FnMut(u32, u32) -> Control + 'a;

impl Upscaler {
    /// One without a network.
    pub fn without_weights() -> Self {
        Self { runner: Runner::Without }
    }

    /// Loads a network from a `.safetensors` file in Real-ESRGAN's layout.
    ///
    /// # Errors
    /// When the device is missing, or the file is missing, damaged or holds another network.
    pub fn load(file: &Path, device: &DeviceName) -> Result<Self> {
        device.check()?;
        let runner = match device {
            DeviceName::Cpu => {
                let device = Default::default();
                Runner::Cpu(Box::new(RrdbNet::load(file, &device)?), device)
            }
            #[cfg(feature = "cuda")]
            DeviceName::Cuda(number) => {
                let device = burn::backend::cuda::CudaDevice::new(*number);
                Runner::Cuda(Box::new(RrdbNet::load(file, &device)?), device)
            }
            #[cfg(not(feature = "cuda"))]
            DeviceName::Cuda(_) => return Err(DeviceName::without_cuda()),
        };
        Ok(Self { runner })
    }

    /// The picture at `width` x `height`, which are no smaller than it is. Where there is nothing to grow, a network that makes
    /// pictures larger is not run; one that leaves their size as it is runs once.
    ///
    /// # Errors
    /// [`Error::Input`] for a size out of bounds, [`Error::Stopped`] when the listener says so.
    pub fn upscale(
        &self,
        picture: &Picture,
        width: u32,
        height: u32,
        after_tile: &mut AfterTile<'_>,
    ) -> Result<Upscaled> {
        check(picture, width, height)?;
        match &self.runner {
            Runner::Without => Ok(by_lanczos(picture, width, height)),
            Runner::Cpu(network, device) => by_network(network, device, picture, (width, height), after_tile),
            #[cfg(feature = "cuda")]
            Runner::Cuda(network, device) => by_network(network, device, picture, (width, height), after_tile),
        }
    }
}

fn check(picture: &Picture, width: u32, height: u32) -> Result<()> {
    if width > LONGEST_EDGE || height > LONGEST_EDGE {
        return Err(Error::Input(format!(
            "{width} x {height} is asked for; pictures are made larger up to {LONGEST_EDGE} x {LONGEST_EDGE}."
        )));
    }
    if width < picture.width || height < picture.height {
        return Err(Error::Input(format!(
            "{width} x {height} is asked for, and the picture has {} x {} already; ask for more.",
            picture.width, picture.height
        )));
    }
    Ok(())
}

fn by_lanczos(picture: &Picture, width: u32, height: u32) -> Upscaled {
    let larger = resample::lanczos(picture, width, height);
    let factor = width.div_ceil(picture.width).max(height.div_ceil(picture.height));
    let picture = if factor > 1 { sharpening::sharpened(&larger, factor) } else { larger };
    Upscaled { picture, method: UpscalingMethod::Lanczos }
}

/// Grows the picture through the network until it is large enough, then brings it to the size. A network that does not make
/// pictures larger, as those that take noise and blocks of JPEG away, runs once.
fn by_network<B: Backend>(
    network: &RrdbNet<B>,
    device: &B::Device,
    picture: &Picture,
    (width, height): (u32, u32),
    after_tile: &mut AfterTile<'_>,
) -> Result<Upscaled> {
    let is_large_enough = |picture: &Picture| picture.width >= width && picture.height >= height;
    let keeps_size = network.scale() == 1;
    if is_large_enough(picture) && !keeps_size {
        return Ok(by_lanczos(picture, width, height));
    }
    let mut grown = pass(network, device, picture, (width, height), after_tile)?;
    while !keeps_size && !is_large_enough(&grown) {
        grown = pass(network, device, &grown, (width, height), after_tile)?;
    }
    let picture = resample::lanczos(&grown, width, height);
    Ok(Upscaled { picture, method: UpscalingMethod::RrdbNet })
}

/// By which divisor of the network's scale an edge of what it makes can be reduced and still be no shorter than `wanted`: so what
/// is put together is less than twice as long as what is wanted, however long the network makes it.
fn reduction(edge: u32, scale: u32, wanted: u32) -> u32 {
    let is_enough =
        |by: &u32| scale.is_multiple_of(*by) && u64::from(scale / by) * u64::from(edge) >= u64::from(wanted);
    (1..=scale).rev().find(is_enough).unwrap_or(1)
}

/// The whole picture through the network once, tile by tile. What is larger than `wanted` by more than a divisor of the network's
/// scale is reduced by it, as the mean of its pixels, before tiles are put together.
fn pass<B: Backend>(
    network: &RrdbNet<B>,
    device: &B::Device,
    picture: &Picture,
    wanted: (u32, u32),
    after_tile: &mut AfterTile<'_>,
) -> Result<Picture> {
    let scale = network.scale();
    let (across, down) = (reduction(picture.width, scale, wanted.0), reduction(picture.height, scale, wanted.1));
    let (wider, higher) = (scale / across, scale / down);
    let padded = padded(picture, network.unshuffle as u32);
    let cut = tiles(padded.width, padded.height, TILE, OVERLAP, network.unshuffle as u32);
    let mut blend = Blend::new(wider * padded.width, higher * padded.height, wider.min(higher) * OVERLAP);
    for (tile, number) in cut.iter().zip(1..) {
        let part = padded.cropped(*tile);
        // The network takes 0 … 1, and pictures come as -1 … 1.
        let input = to_tensor::<B>([&part], device).add_scalar(1.0).div_scalar(2.0);
        let made = network.forward(input).clamp(0.0, 1.0).mul_scalar(255.0);
        let values: Vec<f32> = made.into_data().iter::<f32>().collect();
        let larger = Part {
            left: wider * tile.left,
            top: higher * tile.top,
            width: wider * tile.width,
            height: higher * tile.height,
        };
        let row = (scale * tile.width) as usize;
        let plane = row * (scale * tile.height) as usize;
        blend.add(larger, |x, y| {
            let rows = (y * down) as usize..((y + 1) * down) as usize;
            let columns = (x * across) as usize..((x + 1) * across) as usize;
            [0, 1, 2].map(|colour| {
                let of_row = |y: usize| &values[colour * plane + y * row..][columns.clone()];
                rows.clone().flat_map(of_row).sum::<f32>() / (across * down) as f32
            })
        });
        if after_tile(number, cut.len() as u32) == Control::Stop {
            return Err(Error::Stopped);
        }
    }
    Ok(blend.finish().cropped(Part { left: 0, top: 0, width: wider * picture.width, height: higher * picture.height }))
}

/// The picture with its last row and column repeated, so that its edges are multiples of a number.
fn padded(picture: &Picture, multiple: u32) -> Picture {
    let (width, height) = (picture.width.next_multiple_of(multiple), picture.height.next_multiple_of(multiple));
    if (width, height) == (picture.width, picture.height) {
        return picture.clone();
    }
    let pixel = |x: u32, y: u32| picture.pixel(x.min(picture.width - 1), y.min(picture.height - 1));
    let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
    Picture { width, height, rgb }
}

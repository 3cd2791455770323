//! What can be said of a picture's technical quality without any weights. None of it knows what the picture shows.

use serde::{Deserialize, Serialize};

use crate::{
    image::Picture,
    quality::{luma, sharpness},
};

/// Luma at which detail is lost, from below and from above.
const BLACK: f32 = 4.0;
const WHITE: f32 = 251.0;

/// Edge of JPEG's blocks, in pixels.
const BLOCK: usize = 8;

/// Technical measures of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// See [`sharpness`]: below 0.008 a picture is blurred, above 0.1 in focus.
    pub sharpness: f64,
    /// Mean luma, 0 to 1.
    pub brightness: f64,
    /// Share of the pixels that are so dark that they hold no detail.
    pub crushed: f64,
    /// Share of the pixels that are so light that they hold no detail.
    pub clipped: f64,
    /// Standard deviation of the noise, of eight-bit luma (Immerkær, "Fast Noise Variance Estimation", 1996).
    pub noise: f64,
    /// How much larger steps across the borders of 8 x 8 blocks are than elsewhere: 1 where nothing shows, 2 where JPEG's
    /// blocks are plain to see. After Wang, Sheikh and Bovik, "No-Reference Perceptual Quality Assessment of JPEG Compressed
    /// Images" (2002).
    pub blocking: f64,
}

impl Measures {
    /// Measures a picture.
    pub fn of(picture: &Picture) -> Self {
        let (width, height) = (picture.width as usize, picture.height as usize);
        let luma = luma(picture);
        let share = |is: fn(f32) -> bool| luma.iter().filter(|value| is(**value)).count() as f64 / luma.len() as f64;
        let mean = luma.iter().map(|value| f64::from(*value)).sum::<f64>() / luma.len() as f64;
        Self {
            sharpness: sharpness(picture),
            brightness: mean / 255.0,
            crushed: share(|value| value < BLACK),
            clipped: share(|value| value > WHITE),
            noise: noise(&luma, width, height),
            blocking: blocking(&luma, width, height),
        }
    }
}

/// The mean of what a kernel that is blind to edges and slopes finds, which only noise gives.
fn noise(luma: &[f32], width: usize, height: usize) -> f64 {
    if width < 3 || height < 3 {
        return 0.0;
    }
    let mut sum = 0.0;
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            let at = y * width + x;
            let row = |middle: usize| luma[middle - 1] - 2.0 * luma[middle] + luma[middle + 1];
            sum += f64::from((row(at - width) - 2.0 * row(at) + row(at + width)).abs());
        }
    }
    let places = ((width - 2) * (height - 2)) as f64;
    (std::f64::consts::PI / 2.0).sqrt() * sum / (6.0 * places)
}

/// Mean step across the borders of blocks over the mean step elsewhere.
fn blocking(luma: &[f32], width: usize, height: usize) -> f64 {
    let mut sums = [0.0f64; 2];
    let mut counts = [0u64; 2];
    let mut add = |is_border: bool, step: f32| {
        sums[usize::from(is_border)] += f64::from(step.abs());
        counts[usize::from(is_border)] += 1;
    };
    for y in 0..height {
        for x in 0..width {
            let at = y * width + x;
            if x > 0 {
                add(x.is_multiple_of(BLOCK), luma[at] - luma[at - 1]);
            }
            if y > 0 {
                add(y.is_multiple_of(BLOCK), luma[at] - luma[at - width]);
            }
        }
    }
    let mean = |side: usize| sums[side] / counts[side].max(1) as f64;
    // A step of a tenth of a tone is what rounding leaves of a flat picture.
    if counts[1] == 0 { 1.0 } else { (mean(1) + 0.1) / (mean(0) + 0.1) }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A soft slope, with noise of a standard deviation.
    fn slope(deviation: f64) -> Picture {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut grey = |x: u32, y: u32| {
            let noise: f64 = (0..12).map(|_| random.random_range(-0.5..0.5)).sum();
            (60.0 + f64::from(x + y) * 0.5 + noise * deviation).round().clamp(0.0, 255.0) as u8
        };
        let rgb = (0..128 * 128).flat_map(|at| [grey(at % 128, at / 128); 3]).collect();
        Picture::new(128, 128, rgb).unwrap()
    }

    #[test]
    fn noise_is_measured_in_its_own_unit() {
        for deviation in [4.0, 10.0] {
            let measured = Measures::of(&slope(deviation)).noise;
            assert!((measured / deviation - 1.0).abs() < 0.15, "{deviation} was measured as {measured}");
        }
        assert!(Measures::of(&slope(0.0)).noise < 1.0);
    }

    #[test]
    fn strong_jpeg_compression_shows_and_light_does_not() {
        let picture = slope(6.0);
        let pressed = |quality| Picture::decode(&picture.encode_jpeg(quality)).unwrap();
        let (strong, light) = (Measures::of(&pressed(8)).blocking, Measures::of(&pressed(95)).blocking);
        assert!(strong > 1.5 && light < 1.1, "strong {strong}, light {light}");
    }

    #[test]
    fn lost_shadows_and_lights_are_counted() {
        let black = Measures::of(&Picture::filled(16, 16, [0; 3]));
        assert_eq!((black.crushed, black.clipped, black.brightness), (1.0, 0.0, 0.0));
        let white = Measures::of(&Picture::filled(16, 16, [255; 3]));
        assert_eq!((white.crushed, white.clipped), (0.0, 1.0));
        assert!((Measures::of(&slope(0.0)).crushed, Measures::of(&slope(0.0)).clipped) == (0.0, 0.0));
    }
}

//! The sheet that scenes are drawn on, and the seeded noise that gives it paper, grain and clouds.

use crate::image::Picture;

/// A colour as sRGB values between 0 and 1. Blending happens in this space, as it does in most drawing programs.
pub(super) type Rgb = [f32; 3];

/// A square sheet of `size` x `size` colours; positions are given in units of its edge, (0, 0) is the top left.
pub(super) struct Canvas {
    pub size: usize,
    pub pixels: Vec<Rgb>,
}

impl Canvas {
    /// A sheet whose every pixel is `colour_at(x, y)` of its centre.
    pub fn from_fn(size: usize, mut colour_at: impl FnMut(f32, f32) -> Rgb) -> Self {
        let step = 1.0 / size as f32;
        let mut pixels = Vec::with_capacity(size * size);
        for row in 0..size {
            for column in 0..size {
                pixels.push(colour_at((column as f32 + 0.5) * step, (row as f32 + 0.5) * step));
            }
        }
        Self { size, pixels }
    }

    /// The edge of one pixel in units of the sheet.
    pub fn pixel(&self) -> f32 {
        1.0 / self.size as f32
    }

    /// Calls `paint(x, y, pixel)` for every pixel whose centre lies within `reach` of (`x`, `y`) on both axes.
    pub fn around(&mut self, x: f32, y: f32, reach: f32, mut paint: impl FnMut(f32, f32, &mut Rgb)) {
        let size = self.size as f32;
        let bound = |value: f32| (value * size).clamp(0.0, size) as usize;
        let step = self.pixel();
        let (left, right) = (bound(x - reach), bound(x + reach + step));
        for row in bound(y - reach)..bound(y + reach + step) {
            let vertical = (row as f32 + 0.5) * step;
            for column in left..right {
                paint((column as f32 + 0.5) * step, vertical, &mut self.pixels[row * self.size + column]);
            }
        }
    }

    /// Calls `paint(x, y, pixel)` for every pixel.
    pub fn everywhere(&mut self, paint: impl FnMut(f32, f32, &mut Rgb)) {
        self.around(0.5, 0.5, 0.5, paint);
    }

    /// Blurs with three box passes, which is close to a Gaussian of `radius` (in units of the sheet).
    pub fn blur(&mut self, radius: f32) {
        let reach = (radius * self.size as f32).round() as usize;
        if reach == 0 {
            return;
        }
        let mut line = vec![[0.0; 3]; self.size];
        for _ in 0..3 {
            for index in 0..self.size {
                box_pass(&mut self.pixels, index * self.size, 1, reach, &mut line);
                box_pass(&mut self.pixels, index, self.size, reach, &mut line);
            }
        }
    }

    /// The sheet as eight-bit colours.
    pub fn into_picture(self) -> Picture {
        let size = self.size as u32;
        let rgb = self.pixels.iter().flatten().map(|value| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8).collect();
        Picture { width: size, height: size, rgb }
    }
}

/// One box blur along a row or a column: `line.len()` pixels from `start`, `stride` apart; the border repeats.
fn box_pass(pixels: &mut [Rgb], start: usize, stride: usize, reach: usize, line: &mut [Rgb]) {
    let last = line.len() - 1;
    for (index, value) in line.iter_mut().enumerate() {
        *value = pixels[start + index * stride];
    }
    let share = 1.0 / (2 * reach + 1) as f32;
    let mut sum = [0.0f32; 3];
    for offset in 0..=2 * reach {
        let index = offset.saturating_sub(reach).min(last);
        (0..3).for_each(|channel| sum[channel] += line[index][channel]);
    }
    for index in 0..line.len() {
        let (leaving, entering) = (line[index.saturating_sub(reach)], line[(index + reach + 1).min(last)]);
        for channel in 0..3 {
            pixels[start + index * stride][channel] = sum[channel] * share;
            sum[channel] += entering[channel] - leaving[channel];
        }
    }
}

/// `a` at 0, `b` at 1.
pub(super) fn mix(a: Rgb, b: Rgb, share: f32) -> Rgb {
    [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share]
}

/// Every channel times `factor`.
pub(super) fn scaled(colour: Rgb, factor: f32) -> Rgb {
    colour.map(|value| value * factor)
}

/// Channel by channel product.
pub(super) fn times(a: Rgb, b: Rgb) -> Rgb {
    [a[0] * b[0], a[1] * b[1], a[2] * b[2]]
}

/// Rec. 601 luma of a colour, 0 to 1.
pub(super) fn luma(colour: Rgb) -> f32 {
    0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
}

/// 0 below `from`, 1 above `to`, smooth between; `from` may be above `to`.
pub(super) fn smoothstep(from: f32, to: f32, value: f32) -> f32 {
    let t = ((value - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A random value in 0..1 that belongs to a lattice point.
pub(super) fn lattice(x: i32, y: i32, seed: u32) -> f32 {
    let mut hash = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77) ^ seed;
    hash = (hash ^ (hash >> 15)).wrapping_mul(0x2C1B_3C6D);
    hash = (hash ^ (hash >> 12)).wrapping_mul(0x297A_2D39);
    (hash ^ (hash >> 15)) as f32 * (1.0 / 4_294_967_296.0)
}

/// Value noise in 0..1: smooth between the lattice points of the integer grid.
pub(super) fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (column, row) = (x.floor(), y.floor());
    let (u, v) = (x - column, y - row);
    let (u, v) = (u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v));
    let (column, row) = (column as i32, row as i32);
    let top = lattice(column, row, seed) * (1.0 - u) + lattice(column + 1, row, seed) * u;
    let bottom = lattice(column, row + 1, seed) * (1.0 - u) + lattice(column + 1, row + 1, seed) * u;
    top + (bottom - top) * v
}

/// Noise summed over octaves, each twice as fine and `roughness` times as strong; mean about 0.5. A roughness near
/// 0.5 gives the 1/f amplitude spectrum of natural pictures.
pub(super) fn fractal_noise(x: f32, y: f32, octaves: u32, roughness: f32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut amplitude, mut frequency) = (0.0, 0.0, 1.0, 1.0);
    for octave in 0..octaves {
        sum += amplitude * noise(x * frequency, y * frequency, seed.wrapping_add(octave * 7919));
        weight += amplitude;
        amplitude *= roughness;
        frequency *= 2.03;
    }
    sum / weight
}

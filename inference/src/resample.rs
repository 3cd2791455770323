//! Scaling with the arithmetic of Pillow (`src/libImaging/Resample.c`), where a result must be that of the reference
//! implementation to the last bit. [`Picture::resized`] is for everything else.

use std::ops::Range;

use crate::image::{Part, Picture};

/// Binary places of the weights, which are whole numbers there.
const PRECISION: u32 = 32 - 8 - 2;

/// A kernel, and how far it reaches on either side.
#[derive(Clone, Copy)]
struct Filter {
    support: f64,
    kernel: fn(f64) -> f64,
}

/// A sine cardinal in the window of a wider one, three lobes on either side.
const LANCZOS: Filter =
    Filter { support: 3.0, kernel: |x| if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 } };

/// Keys' cubic convolution with a = -0.5.
const BICUBIC: Filter = Filter { support: 2.0, kernel: cubic };

/// What goes into one pixel along an axis.
struct Window {
    start: usize,
    weights: Vec<i32>,
}

/// How the pixels that are wanted along an axis are made.
struct Axis {
    /// The pixels that go into them.
    needed: Range<u32>,
    /// Their windows, which count from the first that is needed; none where the length stays as it is.
    windows: Option<Vec<Window>>,
}

impl Axis {
    /// The `wanted` ones of `to` pixels that `from` are brought to.
    fn new(from: u32, to: u32, wanted: Range<u32>, filter: Filter) -> Self {
        if from == to {
            return Self { needed: wanted, windows: None };
        }
        let mut windows = windows(from, to, wanted, filter);
        let first = windows.iter().map(|window| window.start).min().unwrap_or_default();
        let end = windows.iter().map(|window| window.start + window.weights.len()).max().unwrap_or_default();
        windows.iter_mut().for_each(|window| window.start -= first);
        Self { needed: first as u32..end as u32, windows: Some(windows) }
    }

    /// The pixels of an axis across, made of those that are needed.
    fn across(&self, needed: Picture) -> Picture {
        let Some(windows) = &self.windows else { return needed };
        let mut rgb = Vec::with_capacity(windows.len() * needed.height as usize * 3);
        for row in needed.rgb.chunks_exact(needed.width as usize * 3) {
            for window in windows {
                for channel in 0..3 {
                    rgb.push(mix(window, |place| row[place * 3 + channel]));
                }
            }
        }
        Picture { width: windows.len() as u32, height: needed.height, rgb }
    }

    /// The same of an axis down.
    fn down(&self, needed: Picture) -> Picture {
        let Some(windows) = &self.windows else { return needed };
        let row = needed.width as usize * 3;
        let mut rgb = Vec::with_capacity(row * windows.len());
        for window in windows {
            rgb.extend((0..row).map(|column| mix(window, |place| needed.rgb[place * row + column])));
        }
        Picture { width: needed.width, height: windows.len() as u32, rgb }
    }
}

/// The picture at exactly this size, by a Lanczos kernel of three lobes; edges of 0 become 1.
pub fn lanczos(picture: &Picture, width: u32, height: u32) -> Picture {
    resized(picture, width, height, LANCZOS)
}

/// The same by cubic convolution.
pub fn bicubic(picture: &Picture, width: u32, height: u32) -> Picture {
    resized(picture, width, height, BICUBIC)
}

/// A part of what [`bicubic`] makes, which lies inside of it, to the last bit: only what the part is made of is looked at, so that it
/// costs what the part costs, however large the whole would be.
pub fn bicubic_part(picture: &Picture, (width, height): (u32, u32), part: Part) -> Picture {
    resized_part(picture, (width, height), part, BICUBIC)
}

fn resized(picture: &Picture, width: u32, height: u32, filter: Filter) -> Picture {
    let (width, height) = (width.max(1), height.max(1));
    resized_part(picture, (width, height), Part { left: 0, top: 0, width, height }, filter)
}

fn resized_part(picture: &Picture, (width, height): (u32, u32), part: Part, filter: Filter) -> Picture {
    let columns = Axis::new(picture.width, width, part.left..part.left + part.width, filter);
    let rows = Axis::new(picture.height, height, part.top..part.top + part.height, filter);
    let needed = picture.cropped(Part {
        left: columns.needed.start,
        top: rows.needed.start,
        width: columns.needed.len() as u32,
        height: rows.needed.len() as u32,
    });
    if begins_down(picture, width, height) {
        columns.across(rows.down(needed))
    } else {
        rows.down(columns.across(needed))
    }
}

/// Whether height comes before width. What lies between is rounded, so that the order shows. Pillow 13 decides so where
/// proportions are kept, and where one axis grows; its choice for other sizes is not published.
fn begins_down(picture: &Picture, width: u32, height: u32) -> bool {
    height < picture.height && (width > picture.width || picture.height > picture.width.saturating_mul(2))
}

/// The weighted sum over a window, rounded and kept within eight bits.
fn mix(window: &Window, value: impl Fn(usize) -> u8) -> u8 {
    let half = 1i32 << (PRECISION - 1);
    let products = window.weights.iter().zip(window.start..).map(|(weight, place)| weight * i32::from(value(place)));
    ((half + products.sum::<i32>()) >> PRECISION).clamp(0, 255) as u8
}

/// The windows of the `wanted` ones of `to` pixels of an axis.
fn windows(from: u32, to: u32, wanted: Range<u32>, filter: Filter) -> Vec<Window> {
    let scale = f64::from(from) / f64::from(to);
    // Scaled up, the kernel stays as wide as it is.
    let filter_scale = scale.max(1.0);
    let support = filter.support * filter_scale;
    let window = |pixel: u32| {
        let centre = (f64::from(pixel) + 0.5) * scale;
        let start = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from as usize);
        let weights = (start..end).map(|place| (filter.kernel)((place as f64 - centre + 0.5) / filter_scale));
        let weights: Vec<f64> = weights.collect();
        let sum: f64 = weights.iter().sum();
        let whole = |weight: f64| (weight / sum * f64::from(1u32 << PRECISION)).round() as i32;
        Window { start, weights: weights.into_iter().map(whole).collect() }
    };
    wanted.map(window).collect()
}

fn cubic(x: f64) -> f64 {
    let x = x.abs();
    match x {
        _ if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        _ if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        _ => 0.0,
    }
}

fn sinc(x: f64) -> f64 {
    let angle = x * std::f64::consts::PI;
    if x == 0.0 { 1.0 } else { angle.sin() / angle }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_what_pillow_makes_of_it() {
        let grey = |values: &[u8]| values.iter().flat_map(|value| [*value; 3]).collect::<Vec<u8>>();
        let row = Picture { width: 8, height: 1, rgb: grey(&[0, 255, 30, 200, 7, 90, 180, 255]) };
        assert_eq!(lanczos(&row, 5, 1).rgb, grey(&[103, 145, 84, 82, 239]));
        let column = Picture { width: 1, height: 8, ..row };
        assert_eq!(lanczos(&column, 1, 3).rgb, grey(&[123, 89, 171]));
        // A picture that is more than twice as high as it is wide is scaled down its height first.
        let high =
            Picture { width: 3, height: 8, rgb: grey(&(0..24).map(|at| (at * 83 % 256) as u8).collect::<Vec<_>>()) };
        assert_eq!(bicubic(&high, 2, 5).rgb, grey(&[88, 134, 186, 117, 168, 106, 156, 94, 145, 83]));
    }

    #[test]
    fn a_part_is_that_of_the_whole() {
        let colour = |at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8;
        // (the picture, the size that it is brought to, the part)
        let cases = [
            ((40, 30), (20, 15), [3, 2, 12, 9]),
            ((40, 30), (120, 90), [50, 31, 17, 40]),
            ((9, 41), (18, 20), [0, 7, 18, 13]),
            ((9, 41), (9, 60), [2, 0, 5, 60]),
            ((41, 9), (20, 9), [19, 8, 1, 1]),
            ((200, 1), (44_800, 224), [22_288, 0, 224, 224]),
        ];
        for ((width, height), size, [left, top, across, down]) in cases {
            let picture = Picture { width, height, rgb: (0..width * height * 3).map(colour).collect() };
            let part = Part { left, top, width: across, height: down };
            let whole = bicubic(&picture, size.0, size.1);
            assert!(bicubic_part(&picture, size, part) == whole.cropped(part), "{part:?} of {size:?} differs");
        }
    }
}

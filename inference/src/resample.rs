//! Scaling with the arithmetic of Pillow (`src/libImaging/Resample.c`), where a result must be that of the reference
//! implementation to the last bit. [`Picture::resized`] is for everything else.

use crate::image::Picture;

/// Binary places of the weights, which are whole numbers there.
const PRECISION: u32 = 32 - 8 - 2;

/// Lobes of the kernel on either side.
const LOBES: f64 = 3.0;

/// What goes into one pixel along an axis.
struct Window {
    start: usize,
    weights: Vec<i32>,
}

/// The picture at exactly this size, by a Lanczos kernel of three lobes, first across and then down; edges of 0 become 1.
pub fn lanczos(picture: &Picture, width: u32, height: u32) -> Picture {
    let (width, height) = (width.max(1), height.max(1));
    let across = if width == picture.width { picture.clone() } else { across(picture, width) };
    if height == across.height { across } else { down(&across, height) }
}

fn across(picture: &Picture, width: u32) -> Picture {
    let windows = windows(picture.width, width);
    let mut rgb = Vec::with_capacity(width as usize * picture.height as usize * 3);
    for row in picture.rgb.chunks_exact(picture.width as usize * 3) {
        for window in &windows {
            for channel in 0..3 {
                rgb.push(mix(window, |place| row[place * 3 + channel]));
            }
        }
    }
    Picture { width, height: picture.height, rgb }
}

fn down(picture: &Picture, height: u32) -> Picture {
    let row = picture.width as usize * 3;
    let mut rgb = Vec::with_capacity(row * height as usize);
    for window in windows(picture.height, height) {
        rgb.extend((0..row).map(|column| mix(&window, |place| picture.rgb[place * row + column])));
    }
    Picture { width: picture.width, height, rgb }
}

/// The weighted sum over a window, rounded and kept within eight bits.
fn mix(window: &Window, value: impl Fn(usize) -> u8) -> u8 {
    let half = 1i32 << (PRECISION - 1);
    let products = window.weights.iter().zip(window.start..).map(|(weight, place)| weight * i32::from(value(place)));
    ((half + products.sum::<i32>()) >> PRECISION).clamp(0, 255) as u8
}

/// The windows of all pixels of an axis.
fn windows(from: u32, to: u32) -> Vec<Window> {
    let scale = f64::from(from) / f64::from(to);
    // Scaled up, the kernel stays as wide as it is.
    let filter_scale = scale.max(1.0);
    let support = LOBES * filter_scale;
    let window = |pixel: u32| {
        let centre = (f64::from(pixel) + 0.5) * scale;
        let start = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from as usize);
        let weights = (start..end).map(|place| kernel((place as f64 - centre + 0.5) / filter_scale));
        let weights: Vec<f64> = weights.collect();
        let sum: f64 = weights.iter().sum();
        let whole = |weight: f64| (weight / sum * f64::from(1u32 << PRECISION)).round() as i32;
        Window { start, weights: weights.into_iter().map(whole).collect() }
    };
    (0..to).map(window).collect()
}

fn kernel(x: f64) -> f64 {
    if (-LOBES..LOBES).contains(&x) { sinc(x) * sinc(x / LOBES) } else { 0.0 }
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
    }
}

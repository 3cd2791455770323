//! Sharpening that follows edges: what scaling up made soft becomes steep again, flat parts keep their noise as it is, and no
//! halo is drawn around anything.

use crate::{image::Picture, quality::luma};

/// Difference in luma between neighbours from which a place is an edge altogether.
const EDGE: f32 = 12.0;

/// How much of the difference to its surroundings an edge gains.
const AMOUNT: f32 = 0.8;

/// Sharpens edges: each pixel moves away from the mean around it as far as it lies on an edge, but not beyond the lightest
/// and darkest of its surroundings. `reach` is how many pixels an edge is wide: the factor of the scaling before.
pub fn sharpened(picture: &Picture, reach: u32) -> Picture {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let reach = (reach as usize).clamp(1, 8);
    let luma = luma(picture);
    let windows = Windows::of(&luma, width, height, reach);
    let mut rgb = Vec::with_capacity(picture.rgb.len());
    for (at, pixel) in picture.rgb.chunks_exact(3).enumerate() {
        let here = luma[at];
        let (least, mean, most) = (windows.least[at], windows.mean[at], windows.most[at]);
        let share = ((most - least) / EDGE - 0.5).clamp(0.0, 1.0);
        let wanted = (here + AMOUNT * share * (here - mean)).clamp(least, most);
        rgb.extend(pixel.iter().map(|value| (f32::from(*value) + wanted - here).round().clamp(0.0, 255.0) as u8));
    }
    Picture { width: picture.width, height: picture.height, rgb }
}

/// Least, mean and most of the square around every place.
struct Windows {
    least: Vec<f32>,
    mean: Vec<f32>,
    most: Vec<f32>,
}

impl Windows {
    fn of(values: &[f32], width: usize, height: usize, reach: usize) -> Self {
        let two_ways = |fold: fn(&[f32]) -> f32| {
            let across = along_rows(values, width, reach, fold);
            let turned = transposed(&across, width, height);
            transposed(&along_rows(&turned, height, reach, fold), height, width)
        };
        Self {
            least: two_ways(|window| window.iter().copied().fold(f32::INFINITY, f32::min)),
            mean: two_ways(|window| window.iter().sum::<f32>() / window.len() as f32),
            most: two_ways(|window| window.iter().copied().fold(f32::NEG_INFINITY, f32::max)),
        }
    }
}

/// Folds the window around every place of every row; windows end at the picture's edge.
fn along_rows(values: &[f32], width: usize, reach: usize, fold: fn(&[f32]) -> f32) -> Vec<f32> {
    let of_row = |row: &[f32]| -> Vec<f32> {
        (0..width).map(|x| fold(&row[x.saturating_sub(reach)..(x + reach + 1).min(width)])).collect()
    };
    values.chunks_exact(width).flat_map(of_row).collect()
}

fn transposed(values: &[f32], width: usize, height: usize) -> Vec<f32> {
    (0..width).flat_map(|x| (0..height).map(move |y| values[y * width + x])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resample;

    /// Dark on the left, light on the right.
    fn step(edge: u32) -> Picture {
        let rgb = (0..edge * edge).flat_map(|at| [if at % edge < edge / 2 { 60 } else { 190 }; 3]).collect();
        Picture::new(edge, edge, rgb).unwrap()
    }

    #[test]
    fn an_edge_becomes_steeper_without_a_halo() {
        let soft = resample::bicubic(&step(16), 64, 64);
        let sharp = sharpened(&soft, 4);
        let steepest = |picture: &Picture| {
            let row = &picture.rgb[32 * 64 * 3..33 * 64 * 3];
            row.windows(4).map(|pair| u32::from(pair[0].abs_diff(pair[3]))).max()
        };
        assert!(steepest(&sharp) > steepest(&soft), "{:?} and {:?}", steepest(&sharp), steepest(&soft));
        let range = |picture: &Picture| (picture.rgb.iter().min().copied(), picture.rgb.iter().max().copied());
        assert_eq!(range(&sharp), range(&soft));
    }

    #[test]
    fn what_is_flat_stays_as_it_is() {
        let rgb = (0..32 * 32).flat_map(|at| [120 + (at * 7 % 5) as u8; 3]).collect();
        let flat = Picture::new(32, 32, rgb).unwrap();
        assert_eq!(sharpened(&flat, 4), flat);
    }
}

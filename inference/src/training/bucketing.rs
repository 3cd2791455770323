//! Aspect-ratio buckets: pictures of like shape are brought to one size, so that they can stand in one batch.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::image::Picture;

/// Shapes are told apart only where an edge has so many latent tokens or more: with fewer, one token more or less would
/// already be another shape, and small models know one shape only.
const FEWEST_TOKENS: u32 = 8;

/// The longest edge over the shortest.
const MOST_STRETCHED: f64 = 2.5;

/// A crop keeps at least this share of an edge.
const SMALLEST_CROP: f64 = 0.6;

/// Sizes that pictures are brought to: multiples of `multiple` with at most as many pixels as a square of `resolution`.
pub fn sizes(resolution: u32, multiple: u32) -> Vec<(u32, u32)> {
    let square = (resolution / multiple).max(1);
    if square < FEWEST_TOKENS {
        return vec![(square * multiple, square * multiple)];
    }
    let longest = (f64::from(square) * MOST_STRETCHED.sqrt()) as u32;
    let mut sizes = Vec::new();
    for long in square..=longest {
        let short = square * square / long;
        if f64::from(long) <= f64::from(short) * MOST_STRETCHED {
            sizes.push((long * multiple, short * multiple));
            sizes.push((short * multiple, long * multiple));
        }
    }
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// The size whose shape is nearest to a picture's.
pub fn nearest(sizes: &[(u32, u32)], width: u32, height: u32) -> (u32, u32) {
    let shape = |width: u32, height: u32| (f64::from(width) / f64::from(height)).ln();
    let wanted = shape(width, height);
    let apart = |size: &(u32, u32)| (shape(size.0, size.1) - wanted).abs();
    let best = sizes.iter().copied().min_by(|a, b| apart(a).total_cmp(&apart(b)));
    best.unwrap_or((width, height))
}

/// A view of a picture in a size: number 0 is as much of it as fits, later ones are crops that the seed decides, every
/// other one mirrored.
pub fn view(picture: &Picture, (width, height): (u32, u32), number: u32, seed: u64) -> Picture {
    if number == 0 {
        return picture.resized_covering(width, height);
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(u64::from(number));
    // The largest part of the right shape, and a share of it.
    let fitting = (f64::from(picture.width) / f64::from(width)).min(f64::from(picture.height) / f64::from(height));
    let scale = fitting * random.random_range(SMALLEST_CROP..=1.0);
    let part = |edge: u32, most: u32| ((f64::from(edge) * scale).round() as u32).clamp(1, most);
    let (part_width, part_height) = (part(width, picture.width), part(height, picture.height));
    let left = random.random_range(0..=picture.width - part_width);
    let top = random.random_range(0..=picture.height - part_height);
    let cut = crop(picture, (left, top), (part_width, part_height));
    let resized = cut.resized_covering(width, height);
    if number.is_multiple_of(2) { mirrored(&resized) } else { resized }
}

fn crop(picture: &Picture, (left, top): (u32, u32), (width, height): (u32, u32)) -> Picture {
    let row = |y: u32| {
        let start = ((y * picture.width + left) * 3) as usize;
        &picture.rgb[start..start + width as usize * 3]
    };
    Picture { width, height, rgb: (top..top + height).flat_map(row).copied().collect() }
}

fn mirrored(picture: &Picture) -> Picture {
    let rows = picture.rgb.chunks_exact(picture.width as usize * 3);
    let rgb = rows.flat_map(|row| row.chunks_exact(3).rev().flatten()).copied().collect();
    Picture { rgb, ..picture.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_multiples_within_the_square() {
        let sizes = sizes(1024, 16);
        assert!(sizes.contains(&(1024, 1024)) && sizes.contains(&(1152, 896)));
        for (width, height) in sizes {
            assert!(width % 16 == 0 && height % 16 == 0 && width * height <= 1024 * 1024, "{width} × {height}");
        }
        assert_eq!(super::sizes(64, 16), [(64, 64)]);
        assert_eq!(super::sizes(8, 16), [(16, 16)]);
    }

    #[test]
    fn pictures_go_where_they_are_cut_least() {
        let sizes = sizes(1024, 16);
        assert_eq!(nearest(&sizes, 500, 500), (1024, 1024));
        let (width, height) = nearest(&sizes, 1920, 1080);
        assert!((f64::from(width) / f64::from(height) - 16.0 / 9.0).abs() < 0.08, "{width} × {height}");
    }

    #[test]
    fn views_have_the_size_and_differ() {
        let rgb = (0..120 * 90 * 3).map(|index| (index * 7 % 251) as u8).collect();
        let picture = Picture { width: 120, height: 90, rgb };
        let views: Vec<_> = (0..4).map(|number| view(&picture, (64, 64), number, 5)).collect();
        assert!(views.iter().all(|view| (view.width, view.height) == (64, 64) && view.rgb.len() == 64 * 64 * 3));
        assert_ne!(views[1], views[2]);
        assert_eq!(views[2], view(&picture, (64, 64), 2, 5));
        assert_eq!(mirrored(&mirrored(&views[1])), views[1]);
    }
}

//! Aspect-ratio buckets: pictures of like shape are brought to one size, so that they can stand in one batch.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::image::{Part, Picture};

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

/// Which part of a picture a view shows, as a model is told that is conditioned on it (Podell et al., "SDXL", 2023,
/// section 2.2). All in pixels, down before across.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Height and width of the whole picture, as it was given.
    pub original: (u32, u32),
    /// What is cut off above and on the left, once the picture is scaled as the view is.
    pub corner: (u32, u32),
    /// Height and width of the view.
    pub target: (u32, u32),
}

/// A view of a picture in a size: number 0 is as much of it as fits, later ones are crops that the seed decides, every
/// other one mirrored. And what it shows of the picture; of a mirrored view, of the mirrored picture.
pub fn view(picture: &Picture, (width, height): (u32, u32), number: u32, seed: u64) -> (Picture, Frame) {
    if number == 0 {
        let shown = picture.covering_part(width, height);
        return (picture.resized_covering(width, height), frame(picture, shown, (width, height)));
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
    let cut = picture.cropped(Part { left, top, width: part_width, height: part_height });
    let resized = cut.resized_covering(width, height);
    // Rounding can leave a part of not quite the right shape, of which a little more is cut off.
    let kept = cut.covering_part(width, height);
    let mut shown = Part { left: left + kept.left, top: top + kept.top, ..kept };
    if number.is_multiple_of(2) {
        shown.left = picture.width - shown.left - shown.width;
        return (mirrored(&resized), frame(picture, shown, (width, height)));
    }
    (resized, frame(picture, shown, (width, height)))
}

fn frame(picture: &Picture, shown: Part, (width, height): (u32, u32)) -> Frame {
    let scaled = |cut: u32, part: u32, edge: u32| (f64::from(cut) * f64::from(edge) / f64::from(part)).round() as u32;
    Frame {
        original: (picture.height, picture.width),
        corner: (scaled(shown.top, shown.height, height), scaled(shown.left, shown.width, width)),
        target: (height, width),
    }
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
        let views: Vec<_> = (0..4).map(|number| view(&picture, (64, 64), number, 5).0).collect();
        assert!(views.iter().all(|view| (view.width, view.height) == (64, 64) && view.rgb.len() == 64 * 64 * 3));
        assert_ne!(views[1], views[2]);
        assert_eq!(views[2], view(&picture, (64, 64), 2, 5).0);
        assert_eq!(mirrored(&mirrored(&views[1])), views[1]);
    }
    #[test]
    fn frames_say_where_a_view_lies() {
        // Each pixel says where it is, so that a view shows what its frame claims.
        let rgb = (0..90u32).flat_map(|y| (0..120u32).flat_map(move |x| [x as u8, y as u8, 0])).collect();
        let picture = Picture { width: 120, height: 90, rgb };
        let (_, whole) = view(&picture, (64, 64), 0, 5);
        // 90 pixels become 64, so 120 become 85, of which 11 are cut off on each side.
        assert_eq!(whole, Frame { original: (90, 120), corner: (0, 11), target: (64, 64) });
        for number in 1..9 {
            let (shown, frame) = view(&picture, (64, 64), number, 5);
            let last = shown.rgb.len() - 3;
            let (left, top) = (f64::from(shown.rgb[0]), f64::from(shown.rgb[1]));
            let across = f64::from(shown.rgb[last]) - left;
            // Pixels of the picture on one of the view.
            let scale = across.abs() / 63.0;
            let left = if number % 2 == 0 { 119.0 - left } else { left };
            let (above, beside) = (f64::from(frame.corner.0) * scale, f64::from(frame.corner.1) * scale);
            assert!((above - top).abs() < 2.5 && (beside - left).abs() < 2.5, "view {number}: {frame:?}");
            assert_eq!(across < 0.0, number % 2 == 0, "every other view is mirrored");
        }
    }
}

//! A picture in tiles that overlap, and one picture of what became of them.

use crate::image::{Part, Picture};

/// Tiles of at most `edge` pixels that cover a picture, overlap by `overlap` pixels or more, and begin at multiples of
/// `multiple`, of which the picture's edges and `edge` are multiples as well.
pub fn tiles(width: u32, height: u32, edge: u32, overlap: u32, multiple: u32) -> Vec<Part> {
    let columns = starts(width, edge, overlap, multiple);
    let rows = starts(height, edge, overlap, multiple);
    let tile = |(left, top)| Part { left, top, width: edge.min(width), height: edge.min(height) };
    rows.iter().flat_map(|top| columns.iter().map(|left| (*left, *top))).map(tile).collect()
}

/// Where tiles begin along an edge: evenly, the first at its beginning and the last at its end.
fn starts(length: u32, edge: u32, overlap: u32, multiple: u32) -> Vec<u32> {
    if length <= edge {
        return vec![0];
    }
    let stride = (edge.saturating_sub(overlap) / multiple).max(1);
    let last = (length - edge) / multiple;
    let count = last.div_ceil(stride);
    (0..=count).map(|number| (u64::from(last) * u64::from(number) / u64::from(count)) as u32 * multiple).collect()
}

/// A picture that is put together from tiles: where they overlap, one fades into the other.
pub struct Blend {
    width: u32,
    height: u32,
    fade: u32,
    sums: Vec<f32>,
    weights: Vec<f32>,
}

impl Blend {
    /// An empty picture of so many pixels, whose tiles fade over `fade` pixels.
    pub fn new(width: u32, height: u32, fade: u32) -> Self {
        let pixels = width as usize * height as usize;
        Self { width, height, fade, sums: vec![0.0; 3 * pixels], weights: vec![0.0; pixels] }
    }

    /// Lays a tile down. `colour` gives its red, green and blue, 0 to 255, at a place in it.
    pub fn add(&mut self, tile: Part, colour: impl Fn(u32, u32) -> [f32; 3]) {
        let across = ramps(tile.left, tile.width, self.width, self.fade);
        let down = ramps(tile.top, tile.height, self.height, self.fade);
        for (y, row) in (0..tile.height).zip(&down) {
            for (x, column) in (0..tile.width).zip(&across) {
                let weight = row * column;
                let at = (tile.top + y) as usize * self.width as usize + (tile.left + x) as usize;
                self.weights[at] += weight;
                for (sum, value) in self.sums[3 * at..].iter_mut().zip(colour(x, y)) {
                    *sum += weight * value;
                }
            }
        }
    }

    /// The picture, once tiles cover it.
    pub fn finish(self) -> Picture {
        let weights = self.weights.iter().flat_map(|weight| [weight.max(f32::MIN_POSITIVE); 3]);
        let rgb = self.sums.iter().zip(weights).map(|(sum, weight)| (sum / weight).round().clamp(0.0, 255.0) as u8);
        Picture { width: self.width, height: self.height, rgb: rgb.collect() }
    }
}

/// How much each place of a tile counts along an edge: it rises from an end that lies inside of the picture, and never is 0.
fn ramps(start: u32, length: u32, whole: u32, fade: u32) -> Vec<f32> {
    let rise = |from_end: u32| ((from_end as f32 + 1.0) / (fade as f32 + 1.0)).min(1.0);
    let at = |place: u32| {
        let before = if start == 0 { 1.0 } else { rise(place) };
        let after = if start + length >= whole { 1.0 } else { rise(length - 1 - place) };
        f32::min(before, after)
    };
    (0..length).map(at).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tiles_cover_the_picture_and_overlap(
            (width, height, edge) in (1u32..100, 1u32..100, 3u32..16),
            (overlap, multiple) in (0u32..7, 1u32..5),
        ) {
            let (width, height, edge) = (width * multiple, height * multiple, edge * multiple);
            let tiles = tiles(width, height, edge, overlap, multiple);
            let mut covered = vec![false; (width * height) as usize];
            for tile in &tiles {
                prop_assert!(tile.left.is_multiple_of(multiple) && tile.top.is_multiple_of(multiple));
                prop_assert!(tile.left + tile.width <= width && tile.top + tile.height <= height);
                for y in tile.top..tile.top + tile.height {
                    covered[(y * width + tile.left) as usize..(y * width + tile.left + tile.width) as usize].fill(true);
                }
            }
            prop_assert!(covered.into_iter().all(|is| is));
            for pair in tiles.windows(2).filter(|pair| pair[0].top == pair[1].top) {
                let shared = pair[0].left + pair[0].width - pair[1].left;
                prop_assert!(shared >= overlap.min(edge - multiple));
            }
        }

        #[test]
        fn what_is_cut_to_tiles_and_put_together_is_the_same(width in 1u32..80, height in 1u32..80, seed in any::<u8>()) {
            let value = |x: u32, y: u32| [x, y, x ^ y].map(|value| (value as u8).wrapping_mul(7).wrapping_add(seed));
            let mut blend = Blend::new(width, height, 5);
            for tile in tiles(width, height, 24, 8, 1) {
                blend.add(tile, |x, y| value(tile.left + x, tile.top + y).map(f32::from));
            }
            let rgb: Vec<u8> = (0..height).flat_map(|y| (0..width).flat_map(move |x| value(x, y))).collect();
            prop_assert_eq!(blend.finish().rgb, rgb);
        }
    }
}

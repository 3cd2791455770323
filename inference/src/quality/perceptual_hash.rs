//! A hash that near-duplicates share.

use super::luma;
use crate::image::Picture;

/// Edge of the small grey picture that is transformed.
const EDGE: usize = 32;

/// Edge of the block of lowest frequencies that is kept.
const KEPT: usize = 8;

/// How far above the median, relative to the strength of all frequencies, one counts as above it.
const ROUNDING: f32 = 0.02;

/// The frequency of a wave that swings by one grey level to each side: a quarter of the pixels.
const ONE_LEVEL: f32 = (EDGE * EDGE / 4) as f32;

/// The 64-bit perceptual hash of a picture (pHash): the lowest 8 x 8 frequencies of the discrete cosine transform of
/// its 32 x 32 grey copy, each a bit that says whether it lies above their median. Scaling, recompression and small
/// changes of tone flip a few bits, another picture flips about half.
///
/// Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), chapter 3.
pub fn perceptual_hash(picture: &Picture) -> u64 {
    let grey = luma(&picture.resized(EDGE as u32, EDGE as u32));
    let mut frequencies = [0.0f32; KEPT * KEPT];
    let wave = |frequency: usize, place: usize| {
        (std::f32::consts::PI * frequency as f32 * (place as f32 + 0.5) / EDGE as f32).cos()
    };
    for down in 0..KEPT {
        // Along the columns first, then along the row of results.
        let column = |x: usize| (0..EDGE).map(|y| grey[y * EDGE + x] * wave(down, y)).sum::<f32>();
        let columns: Vec<f32> = (0..EDGE).map(column).collect();
        for across in 0..KEPT {
            frequencies[down * KEPT + across] =
                columns.iter().enumerate().map(|(x, value)| value * wave(across, x)).sum();
        }
    }
    // The first frequency is the brightness, which would only shift the median.
    let mut sorted = frequencies[1..].to_vec();
    sorted.sort_by(f32::total_cmp);
    let median = sorted[sorted.len() / 2];
    // Frequencies that are zero but for rounding, as regular and even pictures have them, must not decide bits.
    let strength = (sorted.iter().map(|value| value * value).sum::<f32>() / sorted.len() as f32).sqrt();
    let limit = median + (ROUNDING * strength).max(ONE_LEVEL);
    frequencies.iter().enumerate().fold(0, |hash, (bit, value)| hash | (u64::from(*value > limit) << bit))
}

/// In how many of their 64 bits two hashes differ.
pub fn hamming_distance(a: u64, b: u64) -> u32 {
    (a ^ b).count_ones()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::starter::scenes::scene;

    #[test]
    fn copies_are_near_and_others_far() {
        let mut nearest_other = 64;
        for seed in 0..12 {
            let picture = scene(seed, 128).picture;
            let hash = perceptual_hash(&picture);
            let smaller = perceptual_hash(&picture.thumbnail(70));
            let recompressed = perceptual_hash(&Picture::decode(&picture.encode_jpeg(60)).unwrap());
            assert!(hamming_distance(hash, smaller) <= 6, "{seed}: {}", hamming_distance(hash, smaller));
            assert!(hamming_distance(hash, recompressed) <= 6, "{seed}: {}", hamming_distance(hash, recompressed));
            for other in 0..seed {
                let other = perceptual_hash(&scene(other, 128).picture);
                nearest_other = nearest_other.min(hamming_distance(hash, other));
            }
        }
        assert!(nearest_other > 8, "{nearest_other}");
    }
}

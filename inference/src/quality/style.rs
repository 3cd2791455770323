//! How far the styles of two sets of pictures lie apart, in colour and in texture.

use super::luma;
use crate::image::Picture;
use serde::{Deserialize, Serialize};

/// Edge at which pictures are compared: the smallest that the models draw, so that every set shows the same fineness.
const EDGE: u32 = 64;

/// Directions through the Lab space along which colours are compared: the axes and the diagonals of a cube.
const DIRECTIONS: [[f32; 3]; 13] = [
    [1.0, 0.0, 0.0],
    [0.0, 1.0, 0.0],
    [0.0, 0.0, 1.0],
    [1.0, 1.0, 0.0],
    [1.0, -1.0, 0.0],
    [1.0, 0.0, 1.0],
    [1.0, 0.0, -1.0],
    [0.0, 1.0, 1.0],
    [0.0, 1.0, -1.0],
    [1.0, 1.0, 1.0],
    [1.0, 1.0, -1.0],
    [1.0, -1.0, 1.0],
    [1.0, -1.0, -1.0],
];

/// Bins of each histogram, over -`REACH` to `REACH` Lab units.
const BINS: usize = 96;
const REACH: f32 = 192.0;

/// Orientations into which gradients are sorted, over half a turn.
const ORIENTATIONS: usize = 8;

/// Scales at which gradients are taken: 64 pixels and 32 pixels along the edge.
const SCALES: usize = 2;

/// Lab units of colour distance that count 1; a clearly visible difference of the whole palette.
const COLOUR_UNIT: f64 = 10.0;

/// What the pictures of a set have in common in colour and texture, averaged over the set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StyleStatistics {
    /// How many pictures were measured.
    pub pictures: u32,
    /// For each of 13 directions through CIE Lab the histogram of the colours' projections; each sums to 1.
    pub colour: Vec<Vec<f64>>,
    /// For each of 2 scales and 8 orientations the mean gradient of the lightness, in Lab units a pixel.
    pub gradients: Vec<Vec<f64>>,
}

/// Measures a set of pictures, each scaled to cover 64 x 64 pixels first. An empty set has no statistics: its distance
/// to any other is not a number.
pub fn style_statistics(pictures: &[Picture]) -> StyleStatistics {
    let mut colour = vec![vec![0.0; BINS]; DIRECTIONS.len()];
    let mut gradients = vec![vec![0.0; ORIENTATIONS]; SCALES];
    let share = 1.0 / pictures.len() as f64;
    for picture in pictures {
        let full = picture.resized_covering(EDGE, EDGE);
        add_colours(&full, share, &mut colour);
        for (scale, sums) in gradients.iter_mut().enumerate() {
            let edge = EDGE >> scale;
            add_gradients(&full.resized(edge, edge), share, sums);
        }
    }
    StyleStatistics { pictures: pictures.len() as u32, colour, gradients }
}

/// Distance between the styles of two sets of pictures: 0 for equal statistics, symmetric, and never larger by way of
/// a third set. About 0.1 to 0.4 lies between two halves of one consistent set, above 2 between unlike looks.
///
/// distance = C / 10 + T with
/// - C, colour: the mean over 13 directions of the Wasserstein-1 distance of the projected histograms (the sliced
///   Wasserstein distance of the joint Lab distributions), in Lab units: how far the palette has to be moved;
/// - T, texture: the mean over scales and orientations of |ln(1 + gradient) - ln(1 + other gradient)|.
///
/// Not a number when one of the sets is empty.
pub fn style_distance(a: &StyleStatistics, b: &StyleStatistics) -> f64 {
    if a.pictures == 0 || b.pictures == 0 {
        return f64::NAN;
    }
    let width = f64::from(2.0 * REACH) / BINS as f64;
    let moved = |(one, other): (&Vec<f64>, &Vec<f64>)| {
        let mut surplus = 0.0;
        let carry = |(here, there): (&f64, &f64)| {
            surplus += here - there;
            f64::abs(surplus) * width
        };
        one.iter().zip(other).map(carry).sum::<f64>()
    };
    let colour = a.colour.iter().zip(&b.colour).map(moved).sum::<f64>() / DIRECTIONS.len() as f64;
    let pairs = a.gradients.iter().flatten().zip(b.gradients.iter().flatten());
    let texture = pairs.map(|(one, other)| (one.ln_1p() - other.ln_1p()).abs()).sum::<f64>();
    colour / COLOUR_UNIT + texture / (SCALES * ORIENTATIONS) as f64
}

fn add_colours(picture: &Picture, share: f64, histograms: &mut [Vec<f64>]) {
    let each = share / f64::from(picture.width * picture.height);
    for pixel in picture.rgb.chunks_exact(3) {
        let lab = lab([pixel[0], pixel[1], pixel[2]]);
        for (direction, histogram) in DIRECTIONS.iter().zip(histograms.iter_mut()) {
            let length = direction.iter().map(|part| part * part).sum::<f32>().sqrt();
            let along = direction.iter().zip(&lab).map(|(part, value)| part * value).sum::<f32>() / length;
            // Shared between the two nearest bins, so that a small change of colour is a small change here.
            let place = ((along + REACH) / (2.0 * REACH) * BINS as f32 - 0.5).clamp(0.0, (BINS - 1) as f32 - 1e-3);
            let (bin, part) = (place as usize, f64::from(place.fract()));
            histogram[bin] += each * (1.0 - part);
            histogram[bin + 1] += each * part;
        }
    }
}

fn add_gradients(picture: &Picture, share: f64, sums: &mut [f64]) {
    let (width, height) = (picture.width as usize, picture.height as usize);
    // Lightness from luma: the cube root of CIE L*, close to the eye's response, without the linear part near black.
    let light: Vec<f32> = luma(picture).into_iter().map(|value| lightness(value / 255.0)).collect();
    let each = share / ((width - 2) * (height - 2)) as f64;
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            let at = y * width + x;
            let (dx, dy) = ((light[at + 1] - light[at - 1]) / 2.0, (light[at + width] - light[at - width]) / 2.0);
            let strength = f64::from((dx * dx + dy * dy).sqrt());
            let turn = dy.atan2(dx).rem_euclid(std::f32::consts::PI) / std::f32::consts::PI;
            let place = f64::from(turn) * ORIENTATIONS as f64;
            let (bin, part) = (place as usize % ORIENTATIONS, place.fract());
            sums[bin] += each * strength * (1.0 - part);
            sums[(bin + 1) % ORIENTATIONS] += each * strength * part;
        }
    }
}

fn linear(value: f32) -> f32 {
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

fn lab_root(value: f32) -> f32 {
    if value > 0.008_856 { value.cbrt() } else { 7.787 * value + 16.0 / 116.0 }
}

/// CIE L* of a grey sRGB value between 0 and 1.
fn lightness(value: f32) -> f32 {
    116.0 * lab_root(linear(value)) - 16.0
}

/// CIE Lab (D65) of an sRGB colour.
pub(crate) fn lab(rgb: [u8; 3]) -> [f32; 3] {
    let [red, green, blue] = rgb.map(|value| linear(f32::from(value) / 255.0));
    let x = lab_root((0.412_456 * red + 0.357_576 * green + 0.180_437 * blue) / 0.950_47);
    let y = lab_root(0.212_673 * red + 0.715_152 * green + 0.072_175 * blue);
    let z = lab_root((0.019_334 * red + 0.119_192 * green + 0.950_304 * blue) / 1.088_83);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::starter::scenes::{SceneSpec, Style, scene_from};
    use rand::SeedableRng;

    fn set(style: Style, seeds: std::ops::Range<u64>, size: u32) -> Vec<Picture> {
        let draw = |seed| {
            let mut spec = SceneSpec::draw(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
            spec.style = style;
            scene_from(&spec, seed, size).picture
        };
        seeds.map(draw).collect()
    }

    #[test]
    fn it_is_a_distance() {
        let sets = [Style::Sepia, Style::Poster, Style::Pastel].map(|style| style_statistics(&set(style, 0..12, 64)));
        for a in &sets {
            assert_eq!(style_distance(a, a), 0.0);
            for b in &sets {
                assert_eq!(style_distance(a, b), style_distance(b, a));
                for c in &sets {
                    assert!(style_distance(a, c) <= style_distance(a, b) + style_distance(b, c) + 1e-12);
                }
            }
        }
        assert!(style_distance(&sets[0], &style_statistics(&[])).is_nan());
    }

    /// Other scenes in the same style lie nearer than the same scenes in another style.
    #[test]
    fn it_sees_the_style_and_not_the_scene() {
        for (style, other) in
            [(Style::Sepia, Style::Photo), (Style::Neon, Style::Chalk), (Style::Pastel, Style::Poster)]
        {
            let [a, b, c] = [(style, 0..24), (style, 100..124), (other, 0..24)]
                .map(|(style, seeds)| style_statistics(&set(style, seeds, 64)));
            let (near, far) = (style_distance(&a, &b), style_distance(&a, &c));
            assert!(near < 0.6 * far, "{style:?}: {near} against {far} to {other:?}");
        }
    }

    #[test]
    fn size_hardly_matters() {
        let small = style_statistics(&set(Style::Flat, 0..12, 64));
        let large = style_statistics(&set(Style::Flat, 0..12, 256));
        let other = style_statistics(&set(Style::Night, 0..12, 64));
        assert!(style_distance(&small, &large) < 0.15 * style_distance(&small, &other));
    }

    #[test]
    fn lab_matches_published_values() {
        // Reference values of sRGB primaries under D65 (Lindbloom).
        for (rgb, expected) in [
            ([255, 255, 255], [100.0, 0.0, 0.0]),
            ([255, 0, 0], [53.24, 80.09, 67.20]),
            ([0, 0, 255], [32.30, 79.19, -107.86]),
        ] {
            for (found, expected) in lab(rgb).into_iter().zip(expected) {
                assert!((found - expected).abs() < 0.1, "{rgb:?}: {found} for {expected}");
            }
        }
    }
}

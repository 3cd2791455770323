//! How a picture looks, as one vector: near vectors are near looks. Colour and texture as [`super::style_distance`] sees them, in
//! a form that an index of near neighbours takes.

use super::style::{StyleStatistics, style_statistics};
use crate::image::Picture;

/// Places along each direction of the colours at which the share of the picture below is taken.
const PLACES: usize = 16;

/// What a texture counts beside the colours.
const TEXTURE: f64 = 1.0;

/// A number that every look has. With it the cosine of two looks falls with their distance and not with the angle alone: grey
/// pictures would be like everything otherwise.
const CONSTANT: f64 = 4.0;

/// Numbers of a look.
pub const LOOK_LENGTH: usize = 13 * PLACES + 16 + 1;

/// The look of a picture, of length one. The cosine of two looks is 1 for equal ones, and falls with their distance.
pub fn look(picture: &Picture) -> Vec<f32> {
    let StyleStatistics { colour, gradients, .. } = style_statistics(std::slice::from_ref(picture));
    let mut look = Vec::with_capacity(LOOK_LENGTH);
    for histogram in &colour {
        let bins = histogram.len();
        let mut below = 0.0;
        for (bin, share) in histogram.iter().enumerate() {
            below += share;
            // The outer quarters hold nothing: no colour is so far out.
            let place = (bin + 1) * 2 * PLACES / bins;
            let begins = place * bins == (bin + 1) * 2 * PLACES;
            if begins && (PLACES / 2..PLACES / 2 + PLACES).contains(&place) {
                look.push(below - 0.5);
            }
        }
    }
    look.extend(gradients.iter().flatten().map(|gradient| TEXTURE * (gradient.ln_1p() - 1.0)));
    look.push(CONSTANT);
    debug_assert_eq!(look.len(), LOOK_LENGTH);
    let length = look.iter().map(|value| value * value).sum::<f64>().sqrt();
    look.into_iter().map(|value| (value / length) as f32).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::quality::style_distance;
    use crate::starter::scenes::{SceneSpec, Style, scene_from};

    fn drawn(style: Style, seed: u64, size: u32) -> Picture {
        let mut spec = SceneSpec::draw(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
        spec.style = style;
        scene_from(&spec, seed, size).picture
    }

    fn cosine(one: &[f32], other: &[f32]) -> f32 {
        one.iter().zip(other).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn equal_pictures_look_the_same_and_size_hardly_matters() {
        let look_of = |size| look(&drawn(Style::Flat, 3, size));
        let (small, large) = (look_of(64), look_of(256));
        assert_eq!(small.len(), LOOK_LENGTH);
        assert!((cosine(&small, &small) - 1.0).abs() < 1e-5);
        assert!(cosine(&small, &large) > 0.99, "{}", cosine(&small, &large));
    }

    /// Of single pictures in six styles, the nearest by look is of the same style as often as the nearest by the distance of
    /// styles, and far more often than by chance, which is one in seven.
    #[test]
    fn the_nearest_look_is_of_the_same_style() {
        let styles = [Style::Sepia, Style::Neon, Style::Pastel, Style::Poster, Style::Chalk, Style::Night];
        let pictures: Vec<(usize, Picture)> = (0..styles.len())
            .flat_map(|style| (0..8).map(move |seed| (style, seed)))
            .map(|(style, seed)| (style, drawn(styles[style], seed, 64)))
            .collect();
        let looks: Vec<Vec<f32>> = pictures.iter().map(|(_, picture)| look(picture)).collect();
        let sets: Vec<StyleStatistics> =
            pictures.iter().map(|(_, picture)| style_statistics(std::slice::from_ref(picture))).collect();
        let right = |distance: &dyn Fn(usize, usize) -> f64| {
            let nearest = |one: usize| {
                let others = (0..pictures.len()).filter(|other| *other != one);
                others.min_by(|a, b| distance(one, *a).total_cmp(&distance(one, *b)))
            };
            (0..pictures.len()).filter(|one| nearest(*one).is_some_and(|n| pictures[n].0 == pictures[*one].0)).count()
        };
        let by_look = right(&|one, other| -f64::from(cosine(&looks[one], &looks[other])));
        let by_distance = right(&|one, other| style_distance(&sets[one], &sets[other]));
        assert!(
            by_look + 2 >= by_distance && 2 * by_look >= pictures.len(),
            "{by_look} by look, {by_distance} by distance"
        );
    }
}

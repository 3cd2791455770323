//! What stands out from a plain ground.

use super::mask::Mask;
use crate::image::Picture;

/// Half of the least [`distance`] between two colours that scenes put on each other: what differs from the ground by
/// less does not stand out.
pub(super) const STANDS_OUT: f32 = 86.0;

/// Pixels along the border that show the ground.
const BORDER: usize = 2;

pub(super) type Rgb = [f32; 3];

/// A picture in two layers.
pub(super) struct Layers {
    /// Colour of the ground.
    pub ground: Rgb,
    /// How much of each pixel the figure covers, 0 to 1.
    pub cover: Vec<f32>,
    /// Pixels that the figure covers more than half.
    pub figure: Mask,
}

/// Distance between two colours, with the weights that scenes measure contrast with.
pub(super) fn distance(a: Rgb, b: Rgb) -> f32 {
    let part = |channel: usize, weight: f32| weight * (a[channel] - b[channel]).powi(2);
    (part(0, 2.0) + part(1, 4.0) + part(2, 3.0)).sqrt()
}

/// Colours of all pixels, each mixed with its neighbours (1 : 2 : 1, across and down): what autoencoders add to plain
/// surfaces goes from pixel to pixel and is not looked at.
pub(super) fn colours(picture: &Picture) -> Vec<Rgb> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let sharp: Vec<Rgb> =
        picture.rgb.chunks_exact(3).map(|pixel| [0, 1, 2].map(|channel| f32::from(pixel[channel]))).collect();
    let mixed = |before: Rgb, here: Rgb, after: Rgb| {
        [0, 1, 2].map(|channel| (before[channel] + 2.0 * here[channel] + after[channel]) / 4.0)
    };
    let row = |index: usize| index / width * width;
    let across = (0..sharp.len()).map(|index| {
        let (column, row) = (index - row(index), row(index));
        mixed(sharp[row + column.saturating_sub(1)], sharp[index], sharp[row + (column + 1).min(width - 1)])
    });
    let across: Vec<Rgb> = across.collect();
    let down = (0..across.len()).map(|index| {
        let (column, row) = (index % width, index / width);
        let at = |row: usize| across[row * width + column];
        mixed(at(row.saturating_sub(1)), at(row), at((row + 1).min(height - 1)))
    });
    down.collect()
}

/// Median of each channel.
pub(super) fn median_colour(colours: impl Iterator<Item = Rgb>) -> Option<Rgb> {
    quantile_colour(colours, 0.5)
}

fn quantile_colour(colours: impl Iterator<Item = Rgb>, share: f32) -> Option<Rgb> {
    let colours: Vec<Rgb> = colours.collect();
    if colours.is_empty() {
        return None;
    }
    Some([0, 1, 2].map(|channel| quantile(colours.iter().map(|colour| colour[channel]).collect(), share)))
}

/// The value below which this share of the values lies.
pub(super) fn quantile(mut values: Vec<f32>, share: f32) -> f32 {
    values.sort_by(f32::total_cmp);
    let place = (values.len().saturating_sub(1)) as f32 * share;
    values.get(place.round() as usize).copied().unwrap_or(0.0)
}

/// Colour of the ground: what most of the border shows.
pub(super) fn ground_colour(picture: &Picture) -> Rgb {
    border_colour(picture, 0.5)
}

/// The colour, channel by channel, that this share of the border is darker than.
pub(super) fn border_colour(picture: &Picture, share: f32) -> Rgb {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let on_border = |index: &usize| {
        let (column, row) = (index % width, index / width);
        column.min(row).min(width - 1 - column).min(height - 1 - row) < BORDER
    };
    let colours = colours(picture);
    let border = (0..width * height).filter(on_border).map(|index| colours[index]);
    quantile_colour(border, share).unwrap_or([0.0; 3])
}

/// Tells a plain figure from the ground. None when nothing stands out.
pub(super) fn layers(picture: &Picture) -> Option<Layers> {
    let ground = ground_colour(picture);
    let distances: Vec<f32> = colours(picture).into_iter().map(|colour| distance(colour, ground)).collect();
    let threshold = two_groups(&distances);
    let far: Vec<f32> = distances.iter().copied().filter(|far| *far > threshold).collect();
    let level = quantile(far, 0.5);
    if level < STANDS_OUT {
        return None;
    }
    // Along an edge the distance grows evenly from the ground to the figure's own colour.
    let cover: Vec<f32> = distances.iter().map(|distance| (distance / level).min(1.0)).collect();
    let pixels = cover.iter().map(|cover| *cover > 0.5).collect();
    let figure = Mask { width: picture.width as usize, height: picture.height as usize, pixels };
    Some(Layers { ground, cover, figure })
}

/// Pixels that stand out from the ground, whatever colours they have.
pub(super) fn outstanding(picture: &Picture) -> Mask {
    let ground = ground_colour(picture);
    let pixels = colours(picture).into_iter().map(|colour| distance(colour, ground) > STANDS_OUT).collect();
    Mask { width: picture.width as usize, height: picture.height as usize, pixels }
}

/// The threshold that parts values into the two tightest groups (Otsu, 1979).
pub(super) fn two_groups(values: &[f32]) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let total: f64 = sorted.iter().map(|value| f64::from(*value)).sum();
    let count = sorted.len() as f64;
    let (mut below, mut best, mut threshold) = (0.0, -1.0, 0.0);
    for (index, pair) in sorted.windows(2).enumerate() {
        below += f64::from(pair[0]);
        let (low, high) = ((index + 1) as f64, count - (index + 1) as f64);
        let apart = low * high * (below / low - (total - below) / high).powi(2);
        if apart > best {
            (best, threshold) = (apart, (pair[0] + pair[1]) / 2.0);
        }
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_told_from_the_ground() {
        let mut picture = Picture::filled(20, 20, [240, 240, 240]);
        for (x, y) in (6..14).flat_map(|y| (6..14).map(move |x| (x, y))) {
            let at = (y * 20 + x) * 3;
            picture.rgb[at..at + 3].copy_from_slice(&[200, 30, 30]);
        }
        let layers = layers(&picture).unwrap();
        assert_eq!((layers.ground, layers.figure.area()), ([240.0; 3], 64));
        assert!(outstanding(&picture).area() >= 64);
        assert!(super::layers(&Picture::filled(20, 20, [90; 3])).is_none());
    }

    #[test]
    fn values_fall_into_two_groups() {
        let threshold = two_groups(&[1.0, 2.0, 1.5, 9.0, 8.0, 9.5]);
        assert!((2.0..8.0).contains(&threshold), "{threshold}");
    }
}

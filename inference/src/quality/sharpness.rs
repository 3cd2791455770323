//! How sharp a picture is.

use super::luma;
use crate::image::Picture;

/// A picture below this sharpness is called blurred.
///
/// A step between two tones in the middle of a 64-pixel tile that a Gaussian of standard deviation s has blurred has
/// the sharpness 0.0088 / s³, so that this limit is an s of one pixel where the longer edge has 512. Photographs have
/// more than one step: of fifteen in focus the measure was 0.2 to 5.4, of the same ones blurred with an s of 4 pixels
/// 0.0006 to 0.0115, where close-ups of bricks, grass and gravel alone stay above the limit.
pub const BLURRED_BELOW: f64 = 0.008;

/// Longer edge at which pictures are compared.
const EDGE: u32 = 512;

/// Edge of the tiles that are judged each on its own.
const TILE: usize = 64;

/// Standard deviation of the luma (0 to 255) below which a tile shows too little to be judged.
const FLAT: f64 = 10.0;

/// Variance of the Laplacian that rounding to eight bits alone causes: 1/12 a channel, times the squares of the luma
/// weights (0.447) and of the kernel (20).
const ROUNDING: f64 = 0.447 * 20.0 / 12.0;

/// Sharpness of the sharper parts of a picture: the variance of the Laplacian divided by the variance of the luma, in
/// tiles of 64 pixels of the picture at most 512 pixels long; of the tiles that show something, the upper quartile, so
/// that a soft background does not count against a sharp subject. 0 for a picture without any detail; a blurred one
/// lies below [`BLURRED_BELOW`], photographs in focus lie above 0.1, pure noise at 20.
///
/// Source: the variance of the Laplacian as a measure of focus, Pech-Pacheco et al. (2000); the normalisation makes it
/// independent of contrast.
pub fn sharpness(picture: &Picture) -> f64 {
    let picture = picture.thumbnail(EDGE);
    let (width, height) = (picture.width as usize, picture.height as usize);
    let grey = luma(&picture);
    let mut tiles = Vec::new();
    for top in starts(height) {
        for left in starts(width) {
            let (right, bottom) = ((left + TILE).min(width), (top + TILE).min(height));
            tiles.extend(tile_sharpness(&grey, width, left..right, top..bottom));
        }
    }
    tiles.sort_by(f64::total_cmp);
    tiles.get(tiles.len() * 3 / 4).copied().unwrap_or(0.0)
}

/// Where the tiles along an edge start; a rest narrower than half a tile belongs to no tile.
fn starts(length: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(TILE).filter(move |start| *start == 0 || length - start >= TILE / 2)
}

/// Variance of the Laplacian over the variance of the luma; none where a tile is flat or too small.
fn tile_sharpness(
    grey: &[f32],
    width: usize,
    columns: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
) -> Option<f64> {
    let mut tones = Moments::default();
    let mut laplacian = Moments::default();
    for y in rows.start + 1..rows.end.checked_sub(1)? {
        for x in columns.start + 1..columns.end.checked_sub(1)? {
            let at = y * width + x;
            tones.add(grey[at]);
            laplacian.add(grey[at - 1] + grey[at + 1] + grey[at - width] + grey[at + width] - 4.0 * grey[at]);
        }
    }
    let variance = tones.variance();
    (variance >= FLAT * FLAT).then(|| (laplacian.variance() - ROUNDING).max(0.0) / variance)
}

#[derive(Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f32) {
        let value = f64::from(value);
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    fn variance(&self) -> f64 {
        if self.count == 0.0 {
            return 0.0;
        }
        let mean = self.sum / self.count;
        (self.squares / self.count - mean * mean).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::starter::scenes::{
        Arrangement, Background, Colour, Motif, Place, SceneSpec, Size, Style, Subject, Texture, Thing, scene_from,
    };

    fn drawing(style: Style) -> Picture {
        let subject =
            Subject { motif: Motif::Thing(Thing::House), colour: None, texture: Texture::Plain, size: Size::Large };
        let arrangement = Arrangement::One(subject, Place::Centre);
        scene_from(&SceneSpec { arrangement, background: Background::Plain(Colour::Teal), style }, 3, 512).picture
    }

    fn blurred(picture: &Picture, factor: u32) -> Picture {
        picture.resized(picture.width / factor, picture.height / factor).resized(picture.width, picture.height)
    }

    #[test]
    fn blur_lowers_it_and_contrast_does_not() {
        for style in [Style::Flat, Style::PaperCut, Style::Photo] {
            let sharp = drawing(style);
            assert!(sharpness(&sharp) > BLURRED_BELOW, "{style:?}: {}", sharpness(&sharp));
            let soft = blurred(&sharp, 8);
            assert!(sharpness(&soft) < BLURRED_BELOW, "{style:?}: {}", sharpness(&soft));
            assert!(sharpness(&blurred(&sharp, 4)) < sharpness(&sharp));
        }
        let sharp = drawing(Style::Flat);
        let faint = Picture { rgb: sharp.rgb.iter().map(|value| 64 + value / 2).collect(), ..sharp.clone() };
        // Not equal: tiles with little in them drop out when the contrast halves.
        let ratio = sharpness(&faint) / sharpness(&sharp);
        assert!((0.5..2.0).contains(&ratio), "{ratio}");
        assert_eq!(sharpness(&Picture::filled(300, 200, [9, 9, 9])), 0.0);
    }
}

//! Captioned drawings that the starter model is trained on, and captionless pictures for its autoencoder.
//!
//! A [`SceneSpec`] says what a picture shows: one or several subjects (shapes, or things put together from shapes) with
//! colour, texture, size, number and place, a background or a landscape, and one of fifteen rendering styles. The same
//! description gives both the drawing and its captions, so that a test can ask a model for a known scene and read the
//! answer back. Everything follows from a seed; nothing is read from outside. Each motif is a signed distance function,
//! so that edges, outlines, glows, shadows and relief come from one description at any size.

mod background;
mod brush;
mod canvas;
mod caption;
mod draw_lots;
mod form;
mod layout;
mod motif;
mod natural;
mod spec;
mod style;

pub use spec::{
    Arrangement, Background, Colour, Hour, Land, Motif, Pattern, Place, Relation, SceneSpec, Shape, Size, Style,
    Subject, Texture, Thing,
};

use self::background::Backdrop;
use self::brush::Look;
use self::canvas::Canvas;
use crate::image::Picture;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A picture and what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionedPicture {
    /// The picture.
    pub picture: Picture,
    /// An English phrase that describes it.
    pub caption: String,
}

/// Seeds of [`scene`] from here to twice as far are studies: single shapes before something simple.
pub const STUDIES: u64 = 1 << 40;

/// The seed that is drawn where every second scene shall be a study: even seeds become those of studies.
pub fn with_studies(seed: u64) -> u64 {
    if seed.is_multiple_of(2) { STUDIES + seed } else { seed }
}

/// What a seed's scene shows.
fn spec_of(seed: u64) -> SceneSpec {
    let random = &mut ChaCha8Rng::seed_from_u64(seed);
    if (STUDIES..2 * STUDIES).contains(&seed) { SceneSpec::draw_study(random) } else { SceneSpec::draw(random) }
}

/// A random scene of `size` x `size` pixels with a caption. The same seed gives the same scene and caption; other
/// sizes show the same scene.
pub fn scene(seed: u64, size: u32) -> CaptionedPicture {
    scene_from(&spec_of(seed), seed, size)
}

/// What [`scene`] shows for a seed and says of it, without drawing it.
pub fn description(seed: u64) -> (SceneSpec, String) {
    let spec = spec_of(seed);
    (spec, spec.caption(&mut wording(seed)))
}

/// What decides the words of a caption.
fn wording(seed: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(2);
    random
}

/// A drawing of `spec` with a caption; `seed` decides what the description leaves open (exact places, light, wording).
pub fn scene_from(spec: &SceneSpec, seed: u64, size: u32) -> CaptionedPicture {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // The description came from stream 0 in `scene`; drawing and wording have their own, so that neither disturbs
    // the other.
    random.set_stream(1);
    let canvas = draw(spec, &mut random, size.max(1) as usize);
    CaptionedPicture { picture: canvas.into_picture(), caption: spec.caption(&mut wording(seed)) }
}

/// A captionless picture of `size` x `size` pixels with the statistics of a photograph, for the autoencoder. One in
/// four is a scene, one of which in three is drawn as a photograph.
pub fn texture_picture(seed: u64, size: u32) -> Picture {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(3);
    let size = size.max(1) as usize;
    if random.random_bool(0.25) {
        let mut spec = SceneSpec::draw(&mut random);
        if random.random_bool(0.33) {
            spec.style = Style::Photo;
        }
        return draw(&spec, &mut random, size).into_picture();
    }
    natural::texture(&mut random, size).into_picture()
}

fn draw(spec: &SceneSpec, random: &mut ChaCha8Rng, size: usize) -> Canvas {
    if spec.style != Style::Pixel {
        return draw_smooth(spec, random, size);
    }
    // About 21 coarse pixels across: three pixels each at 64.
    let block = (size / 21).max(1);
    let coarse = draw_smooth(spec, random, size.div_ceil(block));
    let mut fine = Canvas::from_fn(size, |_, _| [0.0; 3]);
    for row in 0..size {
        for column in 0..size {
            fine.pixels[row * size + column] = coarse.pixels[row / block * coarse.size + column / block];
        }
    }
    fine
}

fn draw_smooth(spec: &SceneSpec, random: &mut ChaCha8Rng, size: usize) -> Canvas {
    let look = Look::new(spec.style, random);
    if let Arrangement::Abstract(first, second) = spec.arrangement {
        let mut canvas = natural::abstract_picture(random, size, first, second);
        look.finish(&mut canvas);
        return canvas;
    }
    let backdrop = Backdrop::new(spec.background, random);
    let sheet = look.sheet();
    let pixel = 1.0 / size as f32;
    let mut canvas =
        Canvas::from_fn(size, |x, y| look.ground(backdrop.colour_at(x, y, sheet, pixel), spec.background, x, y));
    let placed = layout::place(spec.arrangement, spec.background, random);
    let photographic = matches!(spec.style, Style::Photo | Style::Monochrome | Style::Sepia);
    if photographic && !placed.is_empty() {
        canvas.blur(look.depth);
    }
    let tint = backdrop.tint();
    let texture_seed = random.random();
    for place in &placed {
        look.paint(&mut canvas, &brush::stamps(place, tint, texture_seed));
    }
    look.finish(&mut canvas);
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_scene() {
        assert_eq!(scene(7, 64), scene(7, 64));
        assert_ne!(scene(7, 64).picture, scene(8, 64).picture);
        assert_eq!(scene(7, 64).caption, description(7).1);
        assert_eq!(texture_picture(7, 64), texture_picture(7, 64));
        assert_ne!(texture_picture(7, 64), texture_picture(8, 64));
        // The same scene at another size: scaled to the same size they agree but for edges and noise.
        let (small, large) = (scene(5, 64).picture, scene(5, 128).picture.resized(64, 64));
        let difference = small.rgb.iter().zip(&large.rgb).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
        assert!(difference / (small.rgb.len() as u64) < 8, "{difference}");
    }

    /// What the description says can be read back from the drawing: the colour, and where it is.
    #[test]
    fn drawings_show_what_captions_say() {
        for (index, &colour) in Colour::ALL.iter().filter(|colour| **colour != Colour::White).enumerate() {
            let place = [Place::Left, Place::Right, Place::Top, Place::Bottom][index % 4];
            let subject = Subject {
                motif: Motif::Shape(Shape::Circle),
                colour: Some(colour),
                texture: Texture::Plain,
                size: Size::Medium,
            };
            let arrangement = Arrangement::One(subject, place);
            let spec = SceneSpec { arrangement, background: Background::Plain(Colour::White), style: Style::Flat };
            let drawn = scene_from(&spec, index as u64, 64);
            assert!(drawn.caption.contains(colour.word()) || drawn.caption.contains("gray"), "{}", drawn.caption);
            let (mut count, mut across, mut down) = (0, 0, 0);
            for (x, y) in (0..64).flat_map(|y| (0..64).map(move |x| (x, y))) {
                if Colour::nearest(drawn.picture.pixel(x, y)) == colour {
                    (count, across, down) = (count + 1, across + x, down + y);
                }
            }
            // A circle of radius 0.23 covers a sixth of the picture.
            assert!((400..1200).contains(&count), "{}: {count} pixels", drawn.caption);
            let (across, down) = (across / count, down / count);
            let there = match place {
                Place::Left => across < 26,
                Place::Right => across > 38,
                Place::Top => down < 26,
                _ => down > 38,
            };
            assert!(there, "{} at {across}, {down}", drawn.caption);
        }
    }

    #[test]
    fn captions_are_short_clean_english() {
        let colours: Vec<&str> = Colour::ALL.iter().map(|colour| colour.word()).collect();
        for seed in (0..4000).chain(STUDIES..STUDIES + 1000) {
            let spec = spec_of(seed);
            let caption = spec.caption(&mut ChaCha8Rng::seed_from_u64(seed + 1));
            let words: Vec<&str> = caption.split(' ').collect();
            assert!((2..=26).contains(&words.len()) && words.iter().all(|word| !word.is_empty()), "{caption}");
            for pair in words.windows(2) {
                let vowel = pair[1].starts_with(['a', 'e', 'i', 'o', 'u']);
                assert!(!(pair[0] == "a" && vowel || pair[0] == "an" && !vowel), "{caption}");
            }
            if !spec.style.shows_colours() {
                let green_lands = ["green hills", "green field", "green grass", "green meadow"];
                let bare = green_lands.iter().fold(format!(" {caption} "), |text, land| text.replace(land, ""));
                let bare = bare.replace("black and white", "");
                assert!(!colours.iter().any(|colour| bare.contains(&format!(" {colour} "))), "{caption}");
            }
        }
    }
}

//! Random scene descriptions: what goes with what, and how often.

use super::spec::{
    Arrangement, Background, CONTRAST, Colour, Hour, Land, Motif, Pattern, Place, Relation, SceneSpec, Shape, Size,
    Style, Subject, Texture, Thing, colour_distance,
};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

impl SceneSpec {
    /// A random scene.
    pub fn draw(random: &mut ChaCha8Rng) -> Self {
        let style = draw_style(random);
        match random.random_range(0..100) {
            0..32 => {
                let background = background(random, style);
                let subject = subject(random, style, background);
                let place = if random.random_bool(0.3) { Place::Centre } else { pick(random, Place::ALL) };
                Self { arrangement: Arrangement::One(subject, place), background, style }
            }
            32..47 => {
                let background = background(random, style);
                let subject = Subject { size: Size::Medium, ..subject(random, style, background) };
                let count = random.random_range(2..=4);
                Self { arrangement: Arrangement::Several(subject, count), background, style }
            }
            47..51 => {
                let style = if style == Style::Pixel { Style::Flat } else { style };
                let background = plain_background(random, style);
                let subject = Subject { size: Size::Medium, ..subject(random, style, background) };
                Self { arrangement: Arrangement::Grid(subject), background, style }
            }
            51..75 => two(random, style),
            75..85 => {
                let style = if paper_only(style) { Style::Flat } else { style };
                Self { arrangement: Arrangement::Nothing, background: landscape(random), style }
            }
            85..90 => {
                let style = if paper_only(style) { Style::Flat } else { style };
                let (first, second) = contrasting(random);
                let background = match random.random_bool(0.7) {
                    true => Background::Pattern(pick(random, PATTERNS), first, second),
                    false => Background::Gradient(first, second),
                };
                Self { arrangement: Arrangement::Nothing, background, style }
            }
            _ => {
                let (first, second) = contrasting(random);
                let style = pick(random, &[Style::Photo, Style::Photo, Style::Photo, Style::Monochrome, Style::Sepia]);
                Self { arrangement: Arrangement::Abstract(first, second), background: Background::Sheet, style }
            }
        }
    }
}

impl SceneSpec {
    /// A random study: one shape before something simple, so that what it is, and what its surface is like, decides the
    /// whole picture. Among all scenes these are too few to learn shapes and surfaces from.
    pub fn draw_study(random: &mut ChaCha8Rng) -> Self {
        let style = if random.random_bool(0.6) { Style::Flat } else { draw_style(random) };
        let about = random.random_range(0..100);
        let background = match about {
            85.. if !paper_only(style) => {
                let (first, second) = contrasting(random);
                Background::Pattern(pick(random, PATTERNS), first, second)
            }
            _ => plain_background(random, style),
        };
        let (texture, size) = match about {
            // Smaller things have textures too fine to be seen.
            50..85 if !paper_only(style) => (pick(random, Texture::ALL), pick(random, LARGE_MOSTLY)),
            _ => (Texture::Plain, pick(random, Size::ALL)),
        };
        let colour = Some(contrast_to(random, &colours_of(background, style)));
        let subject = Subject { motif: Motif::Shape(pick(random, Shape::ALL)), colour, texture, size };
        let place = if random.random_bool(0.4) { Place::Centre } else { pick(random, Place::ALL) };
        Self { arrangement: Arrangement::One(subject, place), background, style }
    }
}

const LARGE_MOSTLY: &[Size] = &[Size::Medium, Size::Large, Size::Large];

const PATTERNS: &[Pattern] = &[Pattern::Stripes, Pattern::Dots, Pattern::Checks];

fn pick<T: Copy>(random: &mut ChaCha8Rng, from: &[T]) -> T {
    *from.choose(random).expect("invariant: picked from a list that is never empty")
}

fn draw_style(random: &mut ChaCha8Rng) -> Style {
    match random.random_range(0..10) {
        0..2 => Style::Flat,
        2..4 => Style::Photo,
        _ => pick(random, Style::ALL),
    }
}

/// Styles whose sheet is part of the style, so that a landscape or a coloured ground would hide it.
fn paper_only(style: Style) -> bool {
    matches!(style, Style::Outline | Style::Sketch | Style::Neon | Style::Chalk | Style::Blueprint)
}

fn contrasting(random: &mut ChaCha8Rng) -> (Colour, Colour) {
    let first = pick(random, Colour::ALL);
    (first, contrast_to(random, &[first]))
}

/// A colour that stands out from all of `others`, or the one that does so best among twelve draws.
fn contrast_to(random: &mut ChaCha8Rng, others: &[Colour]) -> Colour {
    let nearest = |colour: Colour| {
        others.iter().map(|other| colour_distance(colour.rgb(), other.rgb())).min().unwrap_or(i32::MAX)
    };
    let mut best = pick(random, Colour::ALL);
    for _ in 0..12 {
        if nearest(best) >= CONTRAST {
            break;
        }
        let next = pick(random, Colour::ALL);
        if nearest(next) > nearest(best) {
            best = next;
        }
    }
    best
}

fn plain_background(random: &mut ChaCha8Rng, style: Style) -> Background {
    if paper_only(style) {
        return Background::Sheet;
    }
    match random.random_range(0..10) {
        0..2 => Background::Plain(Colour::White),
        2..8 => Background::Plain(pick(random, Colour::ALL)),
        8 => {
            let (first, second) = contrasting(random);
            Background::Gradient(first, second)
        }
        _ => Background::Sheet,
    }
}

fn background(random: &mut ChaCha8Rng, style: Style) -> Background {
    if paper_only(style) {
        return Background::Sheet;
    }
    match random.random_range(0..10) {
        0..5 => plain_background(random, style),
        5 => {
            let (first, second) = contrasting(random);
            Background::Gradient(first, second)
        }
        6 if random.random_bool(0.5) => {
            let (first, second) = contrasting(random);
            Background::Pattern(pick(random, PATTERNS), first, second)
        }
        _ => landscape(random),
    }
}

fn landscape(random: &mut ChaCha8Rng) -> Background {
    let hour = if random.random_bool(0.4) { Hour::Day } else { pick(random, Hour::ALL) };
    let land = pick(random, Land::ALL);
    // Neither fog nor storm shows in a room or under water.
    let hour = match (land, hour) {
        (Land::Table, Hour::Fog | Hour::Storm) | (Land::Underwater, Hour::Fog | Hour::Storm | Hour::Sunset) => {
            Hour::Day
        }
        _ => hour,
    };
    Background::Land(land, hour)
}

/// The colours that a background shows behind a subject.
fn colours_of(background: Background, style: Style) -> Vec<Colour> {
    match background {
        Background::Plain(colour) => vec![colour],
        Background::Gradient(first, second) | Background::Pattern(_, first, second) => vec![first, second],
        Background::Land(..) => Vec::new(),
        Background::Sheet => match style {
            Style::Neon | Style::Night | Style::Chalk => vec![Colour::Black],
            Style::Blueprint => vec![Colour::Blue],
            _ => vec![Colour::White],
        },
    }
}

fn subject(random: &mut ChaCha8Rng, style: Style, background: Background) -> Subject {
    let motif = match random.random_bool(0.5) {
        true => Motif::Shape(pick(random, Shape::ALL)),
        false => Motif::Thing(pick(random, Thing::ALL)),
    };
    let behind = colours_of(background, style);
    let colour = contrast_to(random, &behind);
    let natural = super::motif::natural_colour(motif);
    let natural_shows =
        behind.iter().all(|other| colour_distance(natural.rgb(), other.rgb()) >= CONTRAST) && random.random_bool(0.3);
    let texture = match random.random_range(0..10) {
        0..3 if !paper_only(style) => pick(random, Texture::ALL),
        _ => Texture::Plain,
    };
    let size = match random.random_range(0..10) {
        // Coarse pixels cannot show a small thing.
        0..2 if style != Style::Pixel => Size::Small,
        2..4 => Size::Large,
        _ => Size::Medium,
    };
    let named = matches!(motif, Motif::Shape(_)) || !natural_shows;
    Subject { motif, colour: named.then_some(colour), texture, size }
}

fn two(random: &mut ChaCha8Rng, style: Style) -> SceneSpec {
    let background = background(random, style);
    let first = subject(random, style, background);
    let mut second = subject(random, style, background);
    for _ in 0..8 {
        if second.motif != first.motif || second.colour != first.colour {
            break;
        }
        second = subject(random, style, background);
    }
    let relation = pick(random, Relation::ALL);
    let (first, second) = match relation {
        Relation::Inside => {
            // Only a filled shape has an inside, and the two must stand out from each other.
            let outer = pick(random, &[Shape::Circle, Shape::Square, Shape::Heart, Shape::Hexagon, Shape::Diamond]);
            let mut seen = colours_of(background, style);
            let outer_colour = contrast_to(random, &seen);
            seen.push(outer_colour);
            let inner = Subject {
                size: Size::Small,
                texture: Texture::Plain,
                colour: Some(contrast_to(random, &seen[seen.len() - 1..])),
                ..first
            };
            let outer = Subject {
                motif: Motif::Shape(outer),
                colour: Some(outer_colour),
                texture: Texture::Plain,
                size: Size::Large,
            };
            (inner, outer)
        }
        _ => (Subject { size: modest(first.size), ..first }, Subject { size: modest(second.size), ..second }),
    };
    SceneSpec { arrangement: Arrangement::Two(first, relation, second), background, style }
}

/// Two large subjects would not fit beside each other.
fn modest(size: Size) -> Size {
    if size == Size::Large { Size::Medium } else { size }
}

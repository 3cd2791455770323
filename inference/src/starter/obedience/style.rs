//! In which of the styles that plain measurements can tell apart a picture is drawn.

use super::{
    ground::{Layers, Rgb, border_colour, colours, distance, ground_colour, layers, quantile},
    mask::Mask,
    question::Sight,
};
use crate::{image::Picture, starter::scenes::Style};

/// The styles that are told apart.
pub(super) const STYLES: [Style; 7] =
    [Style::Monochrome, Style::Sepia, Style::Neon, Style::Night, Style::Blueprint, Style::Outline, Style::Chalk];

/// The styles that bring a dark sheet along, with its colour.
const SHEETS: [(Style, Rgb); 4] = [
    (Style::Neon, [13.0, 10.0, 23.0]),
    (Style::Night, [19.0, 27.0, 66.0]),
    (Style::Blueprint, [26.0, 66.0, 143.0]),
    (Style::Chalk, [38.0, 52.0, 46.0]),
];

/// Paper is white.
const PAPER: Rgb = [252.0, 252.0, 250.0];

/// A sheet may differ from its colour by so much.
const OF_SHEET: f32 = 60.0;

/// The share of the border that is darker than what is taken for a dark sheet's colour.
const DARKER: f32 = 0.25;

/// Nearly all pixels of a grey picture have channels that differ by less.
const GREY_BELOW: f32 = 24.0;

/// Pixels of a sepia photograph lie this near to its row of tones, in shares of their red.
const SEPIA_BELOW: f32 = 0.08;

/// A line drawing is weaker inside its lines than this share of the lines.
const LINE_BELOW: f32 = 0.8;

/// The innermost share of a figure, which its outline does not reach.
const CORE: f32 = 0.25;

/// Lines are the strongest tenth of a figure.
const STRONGEST: f32 = 0.9;

/// The style of a picture.
pub(super) fn see(picture: &Picture) -> Sight {
    let colours = colours(picture);
    if quantile(colours.iter().map(|colour| chroma(*colour)).collect(), 0.98) < GREY_BELOW {
        return Sight::Style(Style::Monochrome);
    }
    if off_sepia(&colours) < SEPIA_BELOW {
        return Sight::Style(Style::Sepia);
    }
    let lines = layers(picture).is_some_and(|layers| is_line_drawing(&colours, &layers));
    if distance(ground_colour(picture), PAPER) < OF_SHEET && lines {
        return Sight::Style(Style::Outline);
    }
    // What glows may light the border up.
    let sheet = border_colour(picture, DARKER);
    let nearest = SHEETS.into_iter().min_by(|a, b| distance(a.1, sheet).total_cmp(&distance(b.1, sheet)));
    match nearest {
        Some((style, known)) if distance(known, sheet) < OF_SHEET && (lines || !is_lines_only(style)) => {
            Sight::Style(style)
        }
        _ => Sight::Unclear("another style"),
    }
}

/// Whether a style on a dark sheet leaves its figures empty.
fn is_lines_only(style: Style) -> bool {
    matches!(style, Style::Neon | Style::Chalk)
}

fn chroma(colour: Rgb) -> f32 {
    colour.into_iter().fold(f32::MIN, f32::max) - colour.into_iter().fold(f32::MAX, f32::min)
}

/// How far colours lie from the tones of a sepia photograph that have the same red, over their red: dark colours are
/// near to everything and count little.
fn off_sepia(colours: &[Rgb]) -> f32 {
    let off = |[red, green, blue]: Rgb| {
        let grey = (red / 255.0).powf(1.25);
        let (toned_green, toned_blue) = (0.93 * grey.powf(1.02) * 255.0, 0.78 * grey.powf(1.25) * 255.0);
        ((green - toned_green).abs() + (blue - toned_blue).abs()) / 2.0
    };
    let red: f32 = colours.iter().map(|colour| colour[0]).sum();
    colours.iter().map(|colour| off(*colour)).sum::<f32>() / red.max(1.0)
}

/// Whether the largest figure is a line around something that is nearer to the ground than the line is.
fn is_line_drawing(colours: &[Rgb], layers: &Layers) -> bool {
    // Faint lines have gaps.
    let closed = layers.figure.dilated().filled().eroded();
    let largest = closed.components().into_iter().next().unwrap_or_default();
    let figure = Mask::of(closed.width, closed.height, &largest);
    let mut ever_smaller = std::iter::successors(Some(figure.clone()), |mask| Some(mask.eroded())).take(figure.width);
    let small = |mask: &Mask| mask.area() as f32 <= CORE * figure.area() as f32;
    let core = ever_smaller.find(small).unwrap_or_else(|| figure.clone());
    let strength = |mask: &Mask, share: f32| {
        quantile(mask.indices().map(|index| distance(colours[index], layers.ground)).collect(), share)
    };
    strength(&core, 0.5) < LINE_BELOW * strength(&figure, STRONGEST)
}

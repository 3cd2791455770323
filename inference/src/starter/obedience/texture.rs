//! What a surface looks like: plain, striped, dotted or checkered.
//!
//! Stripes are waves in one direction; dots and checks are waves in two that cross at a right angle, along the rows of
//! the dots or the diagonals of the checks. Blur takes the edges of a texture away, but not its waves.

use std::ops::Range;

use super::{
    ground::{Rgb, colours, outstanding},
    mask::Mask,
    question::Sight,
};
use crate::{image::Picture, starter::scenes::Texture};

/// Waves lower than this are no texture, in the units in which the distance of two colours is measured.
const LEAST_HEIGHT: f32 = 42.0;

/// A second wave across the first of more than this share of its height makes dots or checks of stripes.
const CROSSED_FROM: f32 = 0.45;

/// How far from a right angle, in degrees, two waves still cross.
const CROSSING: f32 = 20.0;

/// Directions in which waves are looked for.
const DIRECTIONS: usize = 24;

/// Lengths of waves, and the shortest and longest in pixels of pictures that are 64 pixels wide.
const LENGTHS: usize = 14;
const SHORTEST: f32 = 6.0;
const LONGEST: f32 = 24.0;

/// Square roots of the weights with which channels count in the distance of two colours.
const WEIGHTS: Rgb = [1.414, 2.0, 1.732];

/// Where a subject of medium size in the middle stands, in shares of the picture's edge.
const SUBJECT: Range<f32> = 0.22..0.78;

/// Where a large one does, but for the tips of some.
const LARGE_SUBJECT: Range<f32> = 0.12..0.88;

/// Pixels of the smallest surface that is looked at.
const LEAST_SURFACE: usize = 40;

/// The pattern around a subject in the middle of the picture.
pub(super) fn of_background(picture: &Picture) -> Sight {
    if !is_patterned(picture) {
        return Sight::Texture(Texture::Plain);
    }
    of_region(picture, &frame(picture, SUBJECT))
}

/// The surface of the largest thing in the picture.
pub(super) fn of_subject(picture: &Picture) -> Sight {
    if is_patterned(picture) {
        return Sight::Unclear("a pattern on the ground");
    }
    // Where two colours of the surface meet, their mixture may be like the ground.
    let figure = outstanding(picture).dilated();
    let Some(largest) = figure.components().into_iter().next() else {
        return Sight::Unclear("nothing stands out");
    };
    let inside = Mask::of(figure.width, figure.height, &largest).filled().eroded().eroded().eroded();
    if inside.area() < LEAST_SURFACE {
        return Sight::Unclear("nothing large enough stands out");
    }
    of_region(picture, &inside)
}

/// Whether the ground along the border has a pattern.
fn is_patterned(picture: &Picture) -> bool {
    let frame = frame(picture, LARGE_SUBJECT);
    Waves::of(&tones(&colours(picture), &frame), &frame).strongest(0.0..180.0).height >= LEAST_HEIGHT
}

/// Everything but a square in the middle.
fn frame(picture: &Picture, square: Range<f32>) -> Mask {
    let mut frame = Mask::whole(picture.width as usize, picture.height as usize);
    let hidden = |place: usize, edge: usize| square.contains(&((place as f32 + 0.5) / edge as f32));
    for (index, inside) in frame.pixels.iter_mut().enumerate() {
        *inside = !(hidden(index % frame.width, frame.width) && hidden(index / frame.width, frame.height));
    }
    frame
}

fn of_region(picture: &Picture, region: &Mask) -> Sight {
    let waves = Waves::of(&tones(&colours(picture), region), region);
    let strongest = waves.strongest(0.0..180.0);
    if strongest.height < LEAST_HEIGHT {
        return Sight::Texture(Texture::Plain);
    }
    let across = strongest.direction + 90.0;
    let crossing = waves.strongest(across - CROSSING..across + CROSSING);
    // Rows of dots repeat along their rows and columns, checks along their diagonals.
    let from_axis = (strongest.direction + 45.0).rem_euclid(90.0) - 45.0;
    Sight::Texture(match crossing.height < CROSSED_FROM * strongest.height {
        true => Texture::Striped,
        false if from_axis.abs() < 22.5 => Texture::Dotted,
        false => Texture::Checkered,
    })
}

/// Each pixel's place on the line along which the colours of a region differ most, from the region's mean; 0 outside of
/// the region.
fn tones(colours: &[Rgb], region: &Mask) -> Vec<f32> {
    let count = region.area().max(1) as f32;
    let mut mean = [0.0; 3];
    for index in region.indices() {
        (0..3).for_each(|channel| mean[channel] += colours[index][channel] / count);
    }
    let apart = |index: usize| [0, 1, 2].map(|channel| WEIGHTS[channel] * (colours[index][channel] - mean[channel]));
    let along = |line: Rgb, index: usize| {
        let apart = apart(index);
        (0..3).map(|channel| line[channel] * apart[channel]).sum::<f32>()
    };
    // Power iteration finds the line.
    let mut line = [0.5, 0.7, 0.5];
    for _ in 0..16 {
        let mut next = [0.0f32; 3];
        for index in region.indices() {
            let (apart, share) = (apart(index), along(line, index));
            (0..3).for_each(|channel| next[channel] += share * apart[channel]);
        }
        let length = next.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length < 1e-6 {
            break;
        }
        line = next.map(|value| value / length);
    }
    (0..colours.len()).map(|index| if region.pixels[index] { along(line, index) } else { 0.0 }).collect()
}

/// A wave on a surface.
#[derive(Debug, Clone, Copy)]
struct Wave {
    /// Where it runs to, in degrees.
    direction: f32,
    /// Half of what lies between its crests and its troughs.
    height: f32,
}

/// The strongest wave in each direction.
struct Waves(Vec<Wave>);

impl Waves {
    fn of(tones: &[f32], region: &Mask) -> Self {
        let directions = (0..DIRECTIONS).map(|step| step as f32 * 180.0 / DIRECTIONS as f32);
        let highest = |direction: f32| {
            let heights =
                (0..LENGTHS).map(|step| SHORTEST * (LONGEST / SHORTEST).powf(step as f32 / (LENGTHS - 1) as f32));
            let height = heights.map(|length| height(tones, region, direction, length)).fold(0.0, f32::max);
            Wave { direction, height }
        };
        Self(directions.map(highest).collect())
    }

    /// The highest in a range of directions, which may go on past 180 degrees.
    fn strongest(&self, range: Range<f32>) -> Wave {
        let within = |wave: &&Wave| [0.0, 180.0].iter().any(|turn| range.contains(&(wave.direction + turn)));
        let calm = Wave { direction: 0.0, height: 0.0 };
        self.0.iter().filter(within).copied().max_by(|a, b| a.height.total_cmp(&b.height)).unwrap_or(calm)
    }
}

/// Height of the wave with a direction and a length in pixels: the Fourier component of a region.
fn height(tones: &[f32], region: &Mask, direction: f32, length: f32) -> f32 {
    let (sine, cosine) = direction.to_radians().sin_cos();
    let step = std::f32::consts::TAU / length;
    let phases = |count: usize, along: f32| -> Vec<(f32, f32)> {
        (0..count).map(|place| (place as f32 * along * step).sin_cos()).collect()
    };
    let (columns, rows) = (phases(region.width, cosine), phases(region.height, sine));
    let (mut real, mut imaginary) = (0.0f32, 0.0f32);
    for (row, tones) in rows.iter().zip(tones.chunks_exact(region.width)) {
        let (mut row_real, mut row_imaginary) = (0.0f32, 0.0f32);
        for (column, tone) in columns.iter().zip(tones) {
            row_real += tone * column.1;
            row_imaginary += tone * column.0;
        }
        real += row_real * row.1 - row_imaginary * row.0;
        imaginary += row_real * row.0 + row_imaginary * row.1;
    }
    2.0 * real.hypot(imaginary) / region.area().max(1) as f32
}

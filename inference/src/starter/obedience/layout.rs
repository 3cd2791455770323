//! Where one subject stands, and how two stand to each other.

use super::{
    ground::{Rgb, colours, distance, ground_colour, layers, outstanding},
    mask::Mask,
    question::Sight,
};
use crate::{
    image::Picture,
    starter::scenes::{Colour, Place, Relation},
};

/// Between these shares of an edge lies its middle: half way between the places in the middle and at the sides.
const MIDDLE: std::ops::Range<f32> = 0.4..0.6;

/// Another thing in the picture of more than this share of the largest is not overlooked.
const SECOND: f32 = 0.25;

/// What has a colour lies nearer to it than three quarters of the contrast that scenes keep between two colours.
const OF_COLOUR: f32 = 130.0;

/// Pixels that a subject has at least.
const LEAST_AREA: usize = 20;

/// Shares of an edge that two subjects stand apart at least.
const LEAST_STEP: f32 = 0.1;

/// Where the only thing in the picture stands.
pub(super) fn place(picture: &Picture) -> Sight {
    let Some(layers) = layers(picture) else {
        return Sight::Unclear("nothing stands out");
    };
    let parts = layers.figure.components();
    let Some(largest) = parts.first() else {
        return Sight::Unclear("nothing stands out");
    };
    // A second thing may have a colour that is much nearer to the ground's.
    let faint = outstanding(picture).eroded().eroded().components();
    if parts.iter().skip(1).chain(faint.iter().skip(1)).any(|part| part.len() as f32 > SECOND * largest.len() as f32) {
        return Sight::Unclear("more than one thing");
    }
    let (across, down) = layers.figure.box_middle(largest);
    let third = |share: f32| match share {
        _ if share < MIDDLE.start => 0,
        _ if share >= MIDDLE.end => 2,
        _ => 1,
    };
    let rows = [
        [Place::TopLeft, Place::Top, Place::TopRight],
        [Place::Left, Place::Centre, Place::Right],
        [Place::BottomLeft, Place::Bottom, Place::BottomRight],
    ];
    Sight::Place(rows[third(down)][third(across)])
}

/// How what has the first colour stands to what has the second.
pub(super) fn relation(picture: &Picture, first: Colour, second: Colour) -> Sight {
    let ground = ground_colour(picture);
    let named = [first, second].map(|colour| colour.rgb().map(f32::from));
    let (Some(first), Some(second)) = (middle(picture, ground, named, 0), middle(picture, ground, named, 1)) else {
        return Sight::Unclear("one of the two colours is missing");
    };
    let (right, down) = (first.0 - second.0, first.1 - second.1);
    if right.abs().max(down.abs()) < LEAST_STEP {
        return Sight::Unclear("both in the same place");
    }
    Sight::Relation(match right.abs() > down.abs() {
        true if right < 0.0 => Relation::LeftOf,
        true => Relation::RightOf,
        false if down < 0.0 => Relation::Above,
        false => Relation::Below,
    })
}

/// The middle of the largest thing whose colour is nearer to `named[which]` than to the other and to the ground.
fn middle(picture: &Picture, ground: Rgb, named: [Rgb; 2], which: usize) -> Option<(f32, f32)> {
    let belongs = |colour: Rgb| {
        let own = distance(colour, named[which]);
        own < OF_COLOUR && own < distance(colour, named[1 - which]) && own < distance(colour, ground)
    };
    let pixels = colours(picture).into_iter().map(belongs).collect();
    let mask = Mask { width: picture.width as usize, height: picture.height as usize, pixels };
    // Where two colours meet, mixed pixels may look like a third: a seam that erosion removes.
    let parts = mask.eroded().components();
    let largest = parts.first().filter(|part| part.len() >= LEAST_AREA)?;
    Some(mask.box_middle(largest))
}

//! Which colours a picture of one subject shows.

use super::{
    ground::{Rgb, colours, layers, median_colour},
    question::Sight,
};
use crate::{image::Picture, starter::scenes::Colour};

/// The colours of the subject and of the ground.
pub(super) fn see(picture: &Picture) -> Sight {
    let Some(layers) = layers(picture) else {
        return Sight::Unclear("nothing stands out");
    };
    let colours = colours(picture);
    let inside = layers.figure.eroded();
    // Something too thin to have an inside is all edge.
    let figure = if inside.area() > 0 { &inside } else { &layers.figure };
    let Some(subject) = median_colour(figure.indices().map(|index| colours[index])) else {
        return Sight::Unclear("nothing stands out");
    };
    Sight::Colours { subject: name(subject), background: name(layers.ground) }
}

fn name(colour: Rgb) -> Colour {
    Colour::nearest(colour.map(|value| value.round().clamp(0.0, 255.0) as u8))
}

//! Reads the answer to a question from a picture.

use super::{
    colour, count, layout,
    question::{Kind, Question, Sight},
    shape, style, texture,
};
use crate::{
    image::Picture,
    starter::scenes::{Arrangement, Background, Colour},
};

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the picture shows what was asked.
    pub right: bool,
    /// What it shows.
    pub seen: Sight,
}

/// The size in which pictures are looked at, in pixels: what is measured in pixels below is measured in these.
const EDGE: u32 = 64;

/// Looks at a picture for what the question is about.
pub fn read(question: &Question, picture: &Picture) -> Verdict {
    if (picture.width, picture.height) != (EDGE, EDGE) {
        return read(question, &picture.resized(EDGE, EDGE));
    }
    let seen = match (question.kind, question.scene.arrangement) {
        (Kind::Colour, _) => colour::see(picture),
        (Kind::Shape, _) => shape::see(picture),
        (Kind::Count, _) => count::see(picture),
        (Kind::Layout, Arrangement::Two(first, _, second)) => {
            // Whoever asks for a relation names both colours.
            let [first, second] = [first, second].map(|subject| subject.colour.unwrap_or(Colour::Grey));
            layout::relation(picture, first, second)
        }
        (Kind::Layout, _) => layout::place(picture),
        (Kind::Texture, _) => match question.scene.background {
            Background::Pattern(..) => texture::of_background(picture),
            _ => texture::of_subject(picture),
        },
        (Kind::Style, _) => style::see(picture),
    };
    Verdict { right: seen == question.wanted, seen }
}

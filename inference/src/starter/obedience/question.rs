//! What is asked of a model, and what may be seen in its answer.

use std::fmt;

use crate::starter::scenes::{Colour, Place, Relation, SceneSpec, Shape, Style, Texture};

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The colours of the subject and of the background.
    Colour,
    /// Which of the plain shapes the subject is.
    Shape,
    /// How many subjects there are.
    Count,
    /// Where a subject stands, or how two stand to each other.
    Layout,
    /// The surface of a subject, or the pattern of a background.
    Texture,
    /// The way in which the scene is drawn.
    Style,
}

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Kind; 6] = [Kind::Colour, Kind::Shape, Kind::Count, Kind::Layout, Kind::Texture, Kind::Style];

    /// The name in tables.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Colour => "colour",
            Kind::Shape => "shape",
            Kind::Count => "count",
            Kind::Layout => "layout",
            Kind::Texture => "texture",
            Kind::Style => "style",
        }
    }
}

/// A caption, and what a picture of it must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What it is about.
    pub kind: Kind,
    /// The caption.
    pub prompt: String,
    /// The scene that the caption describes.
    pub scene: SceneSpec,
    /// What has to be seen.
    pub wanted: Sight,
}

/// What is seen in a picture when one looks for one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// Colours.
    Colours {
        /// The subject's.
        subject: Colour,
        /// The background's.
        background: Colour,
    },
    /// The subject's shape.
    Shape(Shape),
    /// So many subjects.
    Count(usize),
    /// Where the only subject stands.
    Place(Place),
    /// How the first of two subjects stands to the second.
    Relation(Relation),
    /// The surface of the subject, or the pattern of the background.
    Texture(Texture),
    /// How it is drawn.
    Style(Style),
    /// Nothing that has a name; the phrase says why.
    Unclear(&'static str),
}

impl fmt::Display for Sight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sight::Colours { subject, background } => write!(formatter, "{} on {}", subject.word(), background.word()),
            Sight::Shape(shape) => formatter.write_str(shape.word()),
            Sight::Count(count) => write!(formatter, "{count}"),
            Sight::Place(place) => formatter.write_str(place.word()),
            Sight::Relation(relation) => formatter.write_str(relation.word()),
            Sight::Texture(texture) => formatter.write_str(texture.word()),
            Sight::Style(style) => formatter.write_str(style.word()),
            Sight::Unclear(why) => formatter.write_str(why),
        }
    }
}

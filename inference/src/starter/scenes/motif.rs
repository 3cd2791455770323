//! Shapes and things as lists of painted forms in a box from -1 to 1 with y pointing down.

use super::canvas::Rgb;
use super::form::Form;
use super::spec::{Colour, Motif, Shape, Thing};

/// What a part of a thing is painted with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Paint {
    /// The subject's colour and texture.
    Main,
    /// The subject's colour times this factor, without texture.
    Shade(f32),
    /// The subject's colour mixed this far with white.
    Tint(f32),
    /// Always the same colour.
    Fixed(Rgb),
}

/// A painted form at a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub form: Form,
    pub at: [f32; 2],
    /// Clockwise, in radians.
    pub turn: f32,
    /// Factor on the form's own units.
    pub scale: f32,
    pub paint: Paint,
}

impl Part {
    fn new(form: Form, x: f32, y: f32, paint: Paint) -> Self {
        Self { form, at: [x, y], turn: 0.0, scale: 1.0, paint }
    }

    fn turned(self, turn: f32) -> Self {
        Self { turn, ..self }
    }

    fn sized(self, scale: f32) -> Self {
        Self { scale, ..self }
    }
}

const WOOD: Rgb = [0.44, 0.28, 0.16];
const DARK: Rgb = [0.13, 0.13, 0.16];
const PALE: Rgb = [0.97, 0.96, 0.92];
const GLASS: Rgb = [0.72, 0.87, 0.95];
const LIGHT: Rgb = [1.0, 0.88, 0.48];
const LEAF: Rgb = [0.27, 0.58, 0.28];
const METAL: Rgb = [0.55, 0.57, 0.60];

const DIAMOND: &[[f32; 2]] = &[[0.0, -1.0], [0.72, 0.0], [0.0, 1.0], [-0.72, 0.0]];
const TRIANGLE: &[[f32; 2]] = &[[0.0, -0.92], [0.98, 0.78], [-0.98, 0.78]];
const ARROW: &[[f32; 2]] =
    &[[1.0, 0.0], [0.25, -0.7], [0.25, -0.28], [-1.0, -0.28], [-1.0, 0.28], [0.25, 0.28], [0.25, 0.7]];
const ROOF: &[[f32; 2]] = &[[0.0, -0.95], [0.95, -0.12], [-0.95, -0.12]];
const PINE_TOP: &[[f32; 2]] = &[[0.0, -1.0], [0.42, -0.35], [-0.42, -0.35]];
const PINE_MIDDLE: &[[f32; 2]] = &[[0.0, -0.65], [0.58, 0.1], [-0.58, 0.1]];
const PINE_FOOT: &[[f32; 2]] = &[[0.0, -0.25], [0.72, 0.62], [-0.72, 0.62]];
const HULL: &[[f32; 2]] = &[[-0.95, 0.35], [0.95, 0.35], [0.6, 0.85], [-0.6, 0.85]];
const SAIL: &[[f32; 2]] = &[[0.06, -0.95], [0.06, 0.22], [0.8, 0.22]];
const JIB: &[[f32; 2]] = &[[-0.08, -0.7], [-0.08, 0.22], [-0.6, 0.22]];
const CABIN: &[[f32; 2]] = &[[-0.35, -0.5], [0.3, -0.5], [0.58, 0.0], [-0.62, 0.0]];
const PEAK: &[[f32; 2]] = &[[-1.0, 0.85], [-0.25, -0.6], [0.0, -0.9], [0.3, -0.5], [1.0, 0.85]];
const SNOWCAP: &[[f32; 2]] = &[[-0.25, -0.6], [0.0, -0.9], [0.3, -0.5], [0.1, -0.36], [-0.05, -0.48], [-0.2, -0.34]];
const TAIL: &[[f32; 2]] = &[[0.5, 0.0], [1.0, -0.5], [0.9, 0.0], [1.0, 0.5]];
const SHADE: &[[f32; 2]] = &[[-0.38, -0.95], [0.38, -0.95], [0.75, -0.05], [-0.75, -0.05]];
const CUP: &[[f32; 2]] = &[[-0.7, -0.6], [0.5, -0.6], [0.4, 0.7], [-0.6, 0.7]];
const FIN: &[[f32; 2]] = &[[-0.3, 0.1], [-0.72, 0.72], [-0.3, 0.6]];
const FIN_RIGHT: &[[f32; 2]] = &[[0.3, 0.1], [0.72, 0.72], [0.3, 0.6]];
const FLAME: &[[f32; 2]] = &[[-0.2, 0.62], [0.2, 0.62], [0.0, 1.0]];
const EAR: &[[f32; 2]] = &[[-0.72, -0.9], [-0.15, -0.55], [-0.68, -0.1]];
const EAR_RIGHT: &[[f32; 2]] = &[[0.72, -0.9], [0.15, -0.55], [0.68, -0.1]];
const BEAK: &[[f32; 2]] = &[[-0.62, -0.42], [-1.0, -0.25], [-0.62, -0.16]];
const BIRD_TAIL: &[[f32; 2]] = &[[0.45, 0.1], [1.0, -0.25], [0.95, 0.25]];
const BLADE: &[[f32; 2]] =
    &[[0.0, -1.0], [0.4, -0.55], [0.55, -0.05], [0.4, 0.4], [0.0, 0.72], [-0.4, 0.4], [-0.55, -0.05], [-0.4, -0.55]];
const CARROT: &[[f32; 2]] = &[[0.0, -0.62], [0.42, -0.5], [0.0, -0.46]];
const TOWER: &[[f32; 2]] = &[[-0.2, -0.55], [0.2, -0.55], [0.36, 0.95], [-0.36, 0.95]];
const TOWER_BAND: &[[f32; 2]] = &[[-0.25, -0.05], [0.25, -0.05], [0.3, 0.4], [-0.3, 0.4]];
const LANTERN_ROOF: &[[f32; 2]] = &[[-0.26, -0.8], [0.0, -1.0], [0.26, -0.8]];
const TENT: &[[f32; 2]] = &[[0.0, -0.8], [1.0, 0.75], [-1.0, 0.75]];
const TENT_DOOR: &[[f32; 2]] = &[[0.0, -0.1], [0.3, 0.75], [-0.3, 0.75]];
const CONE: &[[f32; 2]] = &[[-0.5, -0.1], [0.5, -0.1], [0.0, 1.0]];
const PAGE_LEFT: &[[f32; 2]] = &[[0.0, -0.45], [-0.85, -0.65], [-0.85, 0.45], [0.0, 0.65]];
const PAGE_RIGHT: &[[f32; 2]] = &[[0.0, -0.45], [0.85, -0.65], [0.85, 0.45], [0.0, 0.65]];
const COVER: &[[f32; 2]] = &[[0.0, -0.3], [1.0, -0.55], [1.0, 0.6], [0.0, 0.82], [-1.0, 0.6], [-1.0, -0.55]];
const BELL: &[[f32; 2]] =
    &[[-0.2, -0.75], [0.2, -0.75], [0.45, -0.5], [0.52, 0.2], [0.85, 0.6], [-0.85, 0.6], [-0.52, 0.2], [-0.45, -0.5]];
const VASE: &[[f32; 2]] = &[
    [-0.28, -0.35],
    [0.28, -0.35],
    [0.2, -0.1],
    [0.5, 0.3],
    [0.45, 0.7],
    [0.25, 0.95],
    [-0.25, 0.95],
    [-0.45, 0.7],
    [-0.5, 0.3],
    [-0.2, -0.1],
];

/// The parts of a motif, painted in this order.
pub(super) fn parts(motif: Motif) -> Vec<Part> {
    match motif {
        Motif::Shape(shape) => vec![shape_part(shape)],
        Motif::Thing(thing) => thing_parts(thing),
    }
}

/// The colour a motif has when none is asked for.
pub(super) fn natural_colour(motif: Motif) -> Colour {
    let Motif::Thing(thing) = motif else { return Colour::Blue };
    match thing {
        Thing::House | Thing::Fish | Thing::Cat => Colour::Orange,
        Thing::Tree | Thing::Leaf | Thing::Cactus => Colour::Green,
        Thing::PineTree => Colour::DarkGreen,
        Thing::Sun | Thing::Bell | Thing::Key | Thing::Face | Thing::Lamp => Colour::Yellow,
        Thing::Moon | Thing::Candle => Colour::Beige,
        Thing::Cloud | Thing::Snowman | Thing::Cup => Colour::White,
        Thing::Boat | Thing::Bridge => Colour::Brown,
        Thing::Flower | Thing::Butterfly | Thing::IceCream => Colour::Pink,
        Thing::Mountain | Thing::Rocket => Colour::Grey,
        Thing::Umbrella => Colour::Purple,
        Thing::Bird | Thing::Book | Thing::Vase => Colour::Blue,
        Thing::Car | Thing::Mushroom | Thing::Apple | Thing::Balloon | Thing::Lighthouse | Thing::Tent => Colour::Red,
    }
}

fn shape_part(shape: Shape) -> Part {
    let form = match shape {
        Shape::Circle => Form::Ellipse(0.92, 0.92),
        Shape::Square => Form::Box(0.8, 0.8, 0.02),
        Shape::Triangle => Form::Polygon(TRIANGLE),
        Shape::Star => Form::Star(5, 0.42),
        Shape::Ring => Form::Ring(0.72, 0.21),
        Shape::Heart => Form::Heart,
        Shape::Cross => Form::Cross(0.3),
        Shape::Diamond => Form::Polygon(DIAMOND),
        // A regular hexagon is a star whose notches lie on its edges, at cos 30°.
        Shape::Hexagon => Form::Star(6, 0.866),
        Shape::Oval => Form::Ellipse(1.0, 0.58),
        Shape::Rectangle => Form::Box(0.98, 0.52, 0.02),
        Shape::Crescent => Form::Crescent(0.82, 0.5),
        Shape::Drop => Form::Drop,
        Shape::Arrow => Form::Polygon(ARROW),
    };
    Part::new(form, 0.0, 0.0, Paint::Main)
}

fn disc(x: f32, y: f32, radius: f32, paint: Paint) -> Part {
    Part::new(Form::Ellipse(radius, radius), x, y, paint)
}

fn oval(x: f32, y: f32, a: f32, b: f32, paint: Paint) -> Part {
    Part::new(Form::Ellipse(a, b), x, y, paint)
}

fn block(x: f32, y: f32, a: f32, b: f32, paint: Paint) -> Part {
    Part::new(Form::Box(a, b, 0.04), x, y, paint)
}

fn poly(corners: &'static [[f32; 2]], paint: Paint) -> Part {
    Part::new(Form::Polygon(corners), 0.0, 0.0, paint)
}

fn stroke(from: [f32; 2], to: [f32; 2], half_width: f32, paint: Paint) -> Part {
    Part::new(Form::Stroke(from, to, half_width), 0.0, 0.0, paint)
}

fn thing_parts(thing: Thing) -> Vec<Part> {
    match thing {
        Thing::House | Thing::Tent | Thing::Lighthouse | Thing::Bridge => building(thing),
        Thing::Tree | Thing::PineTree | Thing::Flower | Thing::Mushroom | Thing::Leaf | Thing::Cactus => plant(thing),
        Thing::Sun | Thing::Moon | Thing::Cloud | Thing::Mountain => nature(thing),
        Thing::Boat | Thing::Car | Thing::Rocket | Thing::Balloon => vehicle(thing),
        Thing::Face | Thing::Fish | Thing::Cat | Thing::Bird | Thing::Butterfly | Thing::Snowman => creature(thing),
        Thing::Lamp | Thing::Cup | Thing::Apple | Thing::Candle | Thing::IceCream => food_and_light(thing),
        Thing::Umbrella | Thing::Book | Thing::Bell | Thing::Key | Thing::Vase => tool(thing),
    }
}

fn building(thing: Thing) -> Vec<Part> {
    use Paint::{Fixed, Main, Shade};
    match thing {
        Thing::House => vec![
            block(0.45, -0.6, 0.1, 0.28, Fixed(METAL)),
            block(0.0, 0.35, 0.7, 0.55, Main),
            poly(ROOF, Shade(0.62)),
            block(-0.28, 0.55, 0.17, 0.35, Fixed(WOOD)),
            block(0.3, 0.3, 0.2, 0.2, Fixed(GLASS)),
        ],
        Thing::Tent => vec![poly(TENT, Main), poly(TENT_DOOR, Fixed(DARK))],
        Thing::Lighthouse => vec![
            poly(TOWER, Fixed(PALE)),
            poly(TOWER_BAND, Main),
            block(0.0, 0.8, 0.32, 0.15, Main),
            block(0.0, -0.56, 0.34, 0.06, Fixed(DARK)),
            block(0.0, -0.7, 0.16, 0.13, Fixed(LIGHT)),
            poly(LANTERN_ROOF, Main),
        ],
        _ => vec![
            block(-0.62, 0.3, 0.12, 0.5, Shade(0.75)),
            block(0.62, 0.3, 0.12, 0.5, Shade(0.75)),
            Part::new(Form::Ring(0.62, 0.09), 0.0, 0.28, Shade(0.85)),
            block(0.0, 0.6, 1.0, 0.22, Fixed([0.45, 0.62, 0.75])),
            block(0.0, -0.1, 1.0, 0.15, Main),
            stroke([-1.0, -0.42], [1.0, -0.42], 0.05, Shade(0.7)),
        ],
    }
}

fn plant(thing: Thing) -> Vec<Part> {
    use Paint::{Fixed, Main, Shade, Tint};
    match thing {
        Thing::Tree => vec![
            block(0.0, 0.6, 0.13, 0.4, Fixed(WOOD)),
            disc(-0.36, 0.02, 0.45, Main),
            disc(0.38, 0.02, 0.43, Main),
            disc(0.0, -0.42, 0.52, Main),
            disc(0.0, 0.02, 0.4, Main),
        ],
        Thing::PineTree => vec![
            block(0.0, 0.78, 0.1, 0.2, Fixed(WOOD)),
            poly(PINE_FOOT, Main),
            poly(PINE_MIDDLE, Tint(0.08)),
            poly(PINE_TOP, Tint(0.16)),
        ],
        Thing::Flower => {
            let mut flower = vec![
                stroke([0.0, 0.0], [0.0, 1.0], 0.07, Fixed(LEAF)),
                oval(0.25, 0.68, 0.27, 0.12, Fixed(LEAF)).turned(-0.5),
            ];
            for petal in 0..6 {
                let angle = petal as f32 * std::f32::consts::TAU / 6.0;
                flower.push(disc(0.38 * angle.cos(), -0.35 + 0.38 * angle.sin(), 0.26, Main));
            }
            flower.push(disc(0.0, -0.35, 0.22, Fixed([0.98, 0.80, 0.25])));
            flower
        }
        Thing::Mushroom => vec![
            Part::new(Form::Box(0.24, 0.5, 0.15), 0.0, 0.45, Fixed([0.94, 0.89, 0.78])),
            Part::new(Form::Dome, 0.0, 0.15, Main).sized(0.95),
            disc(-0.4, -0.2, 0.13, Fixed(PALE)),
            disc(0.1, -0.48, 0.14, Fixed(PALE)),
            disc(0.48, -0.12, 0.11, Fixed(PALE)),
        ],
        Thing::Leaf => vec![
            poly(BLADE, Main),
            stroke([0.0, -0.7], [0.0, 1.0], 0.05, Shade(0.6)),
            stroke([0.0, 0.1], [0.32, -0.22], 0.03, Shade(0.6)),
            stroke([0.0, 0.3], [-0.32, -0.02], 0.03, Shade(0.6)),
        ],
        _ => vec![
            stroke([-0.55, -0.3], [-0.55, 0.2], 0.15, Main),
            stroke([-0.55, 0.2], [0.0, 0.2], 0.15, Main),
            stroke([0.55, -0.5], [0.55, 0.0], 0.15, Main),
            stroke([0.55, 0.0], [0.0, 0.0], 0.15, Main),
            stroke([0.0, -0.72], [0.0, 0.8], 0.24, Main),
            stroke([0.0, -0.6], [0.0, 0.85], 0.03, Shade(0.7)),
        ],
    }
}

fn nature(thing: Thing) -> Vec<Part> {
    use Paint::{Fixed, Main, Shade, Tint};
    match thing {
        Thing::Sun => vec![Part::new(Form::Star(12, 0.66), 0.0, 0.0, Tint(0.25)), disc(0.0, 0.0, 0.62, Main)],
        Thing::Moon => vec![
            disc(0.0, 0.0, 0.85, Main),
            disc(-0.3, -0.25, 0.2, Shade(0.85)),
            disc(0.32, 0.2, 0.26, Shade(0.88)),
            disc(-0.2, 0.45, 0.13, Shade(0.85)),
        ],
        Thing::Cloud => vec![
            disc(-0.5, 0.15, 0.38, Main),
            disc(0.52, 0.18, 0.35, Main),
            disc(0.1, -0.15, 0.5, Main),
            Part::new(Form::Box(0.8, 0.2, 0.2), 0.0, 0.33, Main),
        ],
        _ => vec![poly(PEAK, Main), poly(SNOWCAP, Fixed(PALE))],
    }
}

fn vehicle(thing: Thing) -> Vec<Part> {
    use Paint::{Fixed, Main, Shade};
    match thing {
        Thing::Boat => vec![
            stroke([0.0, -1.0], [0.0, 0.4], 0.05, Fixed(WOOD)),
            poly(SAIL, Fixed(PALE)),
            poly(JIB, Fixed([0.88, 0.86, 0.80])),
            poly(HULL, Main),
        ],
        Thing::Car => vec![
            poly(CABIN, Main),
            block(-0.2, -0.22, 0.2, 0.17, Fixed(GLASS)),
            block(0.2, -0.22, 0.14, 0.17, Fixed(GLASS)),
            Part::new(Form::Box(0.95, 0.28, 0.12), 0.0, 0.2, Main),
            disc(-0.5, 0.45, 0.24, Fixed(DARK)),
            disc(0.5, 0.45, 0.24, Fixed(DARK)),
            disc(-0.5, 0.45, 0.1, Fixed(METAL)),
            disc(0.5, 0.45, 0.1, Fixed(METAL)),
        ],
        Thing::Rocket => vec![
            poly(FLAME, Fixed([0.98, 0.62, 0.15])),
            poly(FIN, Shade(0.65)),
            poly(FIN_RIGHT, Shade(0.65)),
            oval(0.0, -0.15, 0.36, 0.85, Main),
            disc(0.0, -0.3, 0.18, Fixed(GLASS)),
        ],
        _ => vec![
            stroke([0.0, 0.35], [0.08, 1.0], 0.03, Fixed(METAL)),
            oval(0.0, -0.3, 0.6, 0.7, Main),
            oval(-0.2, -0.55, 0.13, 0.18, Paint::Tint(0.6)).turned(0.4),
        ],
    }
}

fn creature(thing: Thing) -> Vec<Part> {
    use Paint::{Fixed, Main, Shade, Tint};
    match thing {
        Thing::Face => vec![
            disc(0.0, 0.0, 0.9, Main),
            disc(-0.33, -0.25, 0.13, Fixed(DARK)),
            disc(0.33, -0.25, 0.13, Fixed(DARK)),
            stroke([-0.42, 0.25], [-0.15, 0.47], 0.07, Fixed(DARK)),
            stroke([-0.15, 0.47], [0.15, 0.47], 0.07, Fixed(DARK)),
            stroke([0.15, 0.47], [0.42, 0.25], 0.07, Fixed(DARK)),
        ],
        Thing::Fish => vec![
            poly(TAIL, Shade(0.75)),
            oval(-0.15, 0.0, 0.8, 0.48, Main),
            disc(-0.55, -0.12, 0.13, Fixed(PALE)),
            disc(-0.57, -0.12, 0.07, Fixed(DARK)),
        ],
        Thing::Cat => vec![
            poly(EAR, Main),
            poly(EAR_RIGHT, Main),
            oval(0.0, 0.15, 0.82, 0.72, Main),
            oval(-0.33, 0.02, 0.13, 0.17, Fixed([0.55, 0.80, 0.35])),
            oval(0.33, 0.02, 0.13, 0.17, Fixed([0.55, 0.80, 0.35])),
            oval(-0.33, 0.02, 0.05, 0.15, Fixed(DARK)),
            oval(0.33, 0.02, 0.05, 0.15, Fixed(DARK)),
            oval(0.0, 0.33, 0.1, 0.07, Fixed([0.90, 0.50, 0.55])),
        ],
        Thing::Bird => vec![
            poly(BIRD_TAIL, Shade(0.7)),
            poly(BEAK, Fixed([0.96, 0.62, 0.15])),
            oval(0.0, 0.12, 0.62, 0.45, Main),
            disc(-0.42, -0.3, 0.32, Main),
            oval(0.15, 0.1, 0.36, 0.2, Shade(0.75)).turned(-0.3),
            disc(-0.5, -0.35, 0.07, Fixed(DARK)),
            stroke([-0.1, 0.55], [-0.1, 0.9], 0.03, Fixed(WOOD)),
            stroke([0.1, 0.55], [0.1, 0.9], 0.03, Fixed(WOOD)),
        ],
        Thing::Butterfly => vec![
            oval(-0.48, -0.32, 0.5, 0.42, Main).turned(0.6),
            oval(0.48, -0.32, 0.5, 0.42, Main).turned(-0.6),
            oval(-0.38, 0.42, 0.36, 0.32, Tint(0.3)).turned(-0.5),
            oval(0.38, 0.42, 0.36, 0.32, Tint(0.3)).turned(0.5),
            oval(0.0, 0.0, 0.09, 0.62, Fixed(DARK)),
            stroke([0.0, -0.5], [-0.25, -0.95], 0.03, Fixed(DARK)),
            stroke([0.0, -0.5], [0.25, -0.95], 0.03, Fixed(DARK)),
        ],
        _ => vec![
            disc(0.0, 0.5, 0.5, Main),
            disc(0.0, -0.1, 0.36, Main),
            disc(0.0, -0.58, 0.27, Main),
            block(0.0, -0.82, 0.32, 0.05, Fixed(DARK)),
            block(0.0, -0.95, 0.19, 0.14, Fixed(DARK)),
            poly(CARROT, Fixed([0.95, 0.52, 0.15])),
            disc(-0.1, -0.64, 0.045, Fixed(DARK)),
            disc(0.1, -0.64, 0.045, Fixed(DARK)),
        ],
    }
}

fn food_and_light(thing: Thing) -> Vec<Part> {
    use Paint::{Fixed, Main, Shade, Tint};
    match thing {
        Thing::Lamp => vec![
            stroke([0.0, -0.2], [0.0, 0.85], 0.06, Fixed(METAL)),
            oval(0.0, 0.88, 0.42, 0.11, Fixed(METAL)),
            disc(0.0, 0.0, 0.15, Fixed(LIGHT)),
            poly(SHADE, Main),
        ],
        Thing::Cup => vec![
            Part::new(Form::Ring(0.3, 0.09), 0.52, -0.05, Shade(0.85)),
            poly(CUP, Main),
            oval(-0.1, -0.6, 0.6, 0.14, Fixed([0.33, 0.20, 0.13])),
        ],
        Thing::Apple => vec![
            disc(-0.26, 0.15, 0.6, Main),
            disc(0.26, 0.15, 0.6, Main),
            stroke([0.0, -0.35], [0.1, -0.85], 0.06, Fixed(WOOD)),
            oval(0.35, -0.68, 0.28, 0.12, Fixed(LEAF)).turned(-0.4),
        ],
        Thing::Candle => vec![
            block(0.0, 0.4, 0.26, 0.55, Main),
            stroke([0.0, -0.15], [0.0, -0.35], 0.03, Fixed(DARK)),
            Part::new(Form::Drop, 0.0, -0.58, Fixed([0.98, 0.66, 0.18])).sized(0.34),
            Part::new(Form::Drop, 0.0, -0.5, Fixed(LIGHT)).sized(0.18),
        ],
        _ => vec![
            poly(CONE, Fixed([0.85, 0.62, 0.35])),
            disc(-0.24, -0.3, 0.34, Main),
            disc(0.24, -0.3, 0.34, Tint(0.35)),
            disc(0.0, -0.62, 0.32, Shade(0.85)),
        ],
    }
}

fn tool(thing: Thing) -> Vec<Part> {
    use Paint::{Fixed, Main, Shade, Tint};
    match thing {
        Thing::Umbrella => vec![
            stroke([0.0, -0.8], [0.0, 0.8], 0.05, Fixed(WOOD)),
            stroke([0.0, 0.8], [0.22, 0.84], 0.05, Fixed(WOOD)),
            Part::new(Form::Dome, 0.0, 0.12, Main).sized(0.98),
            stroke([0.0, -0.8], [-0.35, 0.1], 0.025, Shade(0.7)),
            stroke([0.0, -0.8], [0.35, 0.1], 0.025, Shade(0.7)),
        ],
        Thing::Book => vec![
            poly(COVER, Main),
            poly(PAGE_LEFT, Fixed(PALE)),
            poly(PAGE_RIGHT, Fixed([0.91, 0.89, 0.84])),
            stroke([0.0, -0.4], [0.0, 0.65], 0.03, Fixed(METAL)),
        ],
        Thing::Bell => vec![
            disc(0.0, 0.68, 0.18, Shade(0.6)),
            poly(BELL, Main),
            disc(0.0, -0.8, 0.14, Shade(0.75)),
            stroke([-0.75, 0.55], [0.75, 0.55], 0.06, Shade(0.75)),
        ],
        Thing::Key => vec![
            stroke([-0.1, 0.0], [0.95, 0.0], 0.1, Main),
            stroke([0.55, 0.0], [0.55, 0.35], 0.09, Main),
            stroke([0.85, 0.0], [0.85, 0.42], 0.09, Main),
            Part::new(Form::Ring(0.35, 0.13), -0.48, 0.0, Main),
        ],
        _ => vec![
            stroke([0.0, -0.4], [-0.2, -0.75], 0.04, Fixed(LEAF)),
            stroke([0.0, -0.4], [0.22, -0.7], 0.04, Fixed(LEAF)),
            disc(-0.22, -0.78, 0.18, Fixed([0.93, 0.35, 0.35])),
            disc(0.25, -0.74, 0.17, Fixed([0.97, 0.78, 0.3])),
            poly(VASE, Main),
            stroke([-0.4, 0.3], [0.4, 0.3], 0.05, Tint(0.5)),
        ],
    }
}

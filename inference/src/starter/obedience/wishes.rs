//! What is asked for: every answer of every kind, and scenes that show it.

use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    ground::{STANDS_OUT, distance},
    question::{Kind, Sight},
    style::STYLES,
};
use crate::starter::scenes::{
    Arrangement, Background, Colour, Motif, Pattern, Place, Relation, SceneSpec, Shape, Size, Style, Subject, Texture,
};

/// Shapes with enough surface for a texture to be seen.
const BROAD: &[Shape] =
    &[Shape::Circle, Shape::Square, Shape::Hexagon, Shape::Oval, Shape::Rectangle, Shape::Heart, Shape::Diamond];

/// Shapes that hang together when they are small, and do not reach their neighbours.
const COMPACT: &[Shape] = &[
    Shape::Circle,
    Shape::Square,
    Shape::Triangle,
    Shape::Star,
    Shape::Heart,
    Shape::Cross,
    Shape::Diamond,
    Shape::Hexagon,
    Shape::Drop,
];

/// Shapes whose middle is where they stand.
const CENTRED: &[Shape] = &[
    Shape::Circle,
    Shape::Square,
    Shape::Star,
    Shape::Ring,
    Shape::Heart,
    Shape::Cross,
    Shape::Diamond,
    Shape::Hexagon,
    Shape::Oval,
    Shape::Rectangle,
    Shape::Arrow,
];

/// Colours that have a hue.
const VIVID: &[Colour] =
    &[Colour::Red, Colour::Orange, Colour::Yellow, Colour::Green, Colour::Teal, Colour::Purple, Colour::Pink];

/// How much lighter one colour of a pattern is than the other: an autoencoder that keeps few numbers of 8 x 8 pixels
/// shows no fine patterns of colours that differ in hue alone.
const LIGHTER: u32 = 96;

/// What a question shall be about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish {
    Colour(Colour),
    Shape(Shape),
    Count(u32),
    Place(Place),
    Relation(Relation),
    Surface(Texture),
    Pattern(Pattern),
    Style(Style),
}

/// Everything that is asked in a kind, each as often as it shall come up beside the others.
pub(super) fn wishes(kind: Kind) -> Vec<Wish> {
    match kind {
        Kind::Colour => Colour::ALL.iter().copied().map(Wish::Colour).collect(),
        Kind::Shape => Shape::ALL.iter().copied().map(Wish::Shape).collect(),
        Kind::Count => [1, 2, 3, 4, 9].map(Wish::Count).to_vec(),
        Kind::Layout => {
            let places = Place::ALL.iter().copied().filter(|place| *place != Place::Centre).map(Wish::Place);
            let relations = [Relation::LeftOf, Relation::RightOf, Relation::Above, Relation::Below].map(Wish::Relation);
            places.chain(relations).chain(relations).collect()
        }
        Kind::Texture => {
            let surfaces = [Texture::Plain, Texture::Striped, Texture::Dotted, Texture::Checkered].map(Wish::Surface);
            let patterns = [Pattern::Stripes, Pattern::Dots, Pattern::Checks].map(Wish::Pattern);
            surfaces.into_iter().chain(patterns).collect()
        }
        Kind::Style => STYLES.map(Wish::Style).to_vec(),
    }
}

impl Wish {
    /// A scene that fulfils it, and what is to be seen there.
    pub fn scene(self, random: &mut ChaCha8Rng) -> (SceneSpec, Sight) {
        match self {
            Wish::Colour(colour) => of_colour(colour, random),
            Wish::Shape(shape) => of_shape(shape, random),
            Wish::Count(count) => of_count(count, random),
            Wish::Place(place) => of_place(place, random),
            Wish::Relation(relation) => of_relation(relation, random),
            Wish::Surface(texture) => of_surface(texture, random),
            Wish::Pattern(pattern) => of_pattern(pattern, random),
            Wish::Style(style) => of_style(style, random),
        }
    }
}

fn pick<T: Copy>(random: &mut ChaCha8Rng, from: &[T]) -> T {
    *from.choose(random).expect("invariant: picked from a list that is never empty")
}

/// A colour that stands out from all of `others`.
fn apart_from(random: &mut ChaCha8Rng, others: &[Colour]) -> Colour {
    let apart = |colour: &&Colour| others.iter().all(|other| colour.stands_out_from(*other));
    let fitting: Vec<Colour> = Colour::ALL.iter().filter(apart).copied().collect();
    fitting.choose(random).copied().unwrap_or(Colour::White)
}

fn plain(shape: Shape, colour: Colour, size: Size) -> Subject {
    Subject { motif: Motif::Shape(shape), colour: Some(colour), texture: Texture::Plain, size }
}

fn broad_size(random: &mut ChaCha8Rng) -> Size {
    pick(random, &[Size::Medium, Size::Large])
}

/// Rec. 601 luma, 0 to 255.
fn lightness(colour: Colour) -> u32 {
    let [red, green, blue] = colour.rgb().map(u32::from);
    (299 * red + 587 * green + 114 * blue) / 1000
}

/// A flat drawing on one colour.
fn flat(arrangement: Arrangement, ground: Colour) -> SceneSpec {
    SceneSpec { arrangement, background: Background::Plain(ground), style: Style::Flat }
}

fn of_colour(subject: Colour, random: &mut ChaCha8Rng) -> (SceneSpec, Sight) {
    let background = apart_from(random, &[subject]);
    let shown = plain(pick(random, Shape::ALL), subject, broad_size(random));
    let scene = flat(Arrangement::One(shown, Place::Centre), background);
    (scene, Sight::Colours { subject, background })
}

fn of_shape(shape: Shape, random: &mut ChaCha8Rng) -> (SceneSpec, Sight) {
    let ground = pick(random, Colour::ALL);
    let shown = plain(shape, apart_from(random, &[ground]), broad_size(random));
    (flat(Arrangement::One(shown, Place::Centre), ground), Sight::Shape(shape))
}

fn of_count(count: u32, random: &mut ChaCha8Rng) -> (SceneSpec, Sight) {
    let ground = pick(random, Colour::ALL);
    let shown = plain(pick(random, COMPACT), apart_from(random, &[ground]), Size::Medium);
    let arrangement = match count {
        1 => Arrangement::One(shown, Place::Centre),
        9 => Arrangement::Grid(shown),
        _ => Arrangement::Several(shown, count),
    };
    (flat(arrangement, ground), Sight::Count(count as usize))
}

fn of_place(place: Place, random: &mut ChaCha8Rng) -> (SceneSpec, Sight) {
    let ground = pick(random, Colour::ALL);
    let size = pick(random, &[Size::Small, Size::Medium]);
    let shown = plain(pick(random, CENTRED), apart_from(random, &[ground]), size);
    (flat(Arrangement::One(shown, place), ground), Sight::Place(place))
}

fn of_relation(relation: Relation, random: &mut ChaCha8Rng) -> (SceneSpec, Sight) {
    let (ground, first, second) = three_colours(random);
    let shown = [first, second].map(|colour| plain(pick(random, CENTRED), colour, Size::Medium));
    (flat(Arrangement::Two(shown[0], relation, shown[1]), ground), Sight::Relation(relation))
}

/// Three colours that stand out from each other, none of which is what the edge between two others looks like.
fn three_colours(random: &mut ChaCha8Rng) -> (Colour, Colour, Colour) {
    loop {
        let ground = pick(random, Colour::ALL);
        let first = apart_from(random, &[ground]);
        let second = apart_from(random, &[ground, first]);
        let between = |one: Colour, other: Colour| {
            let (one, other) = (one.rgb(), other.rgb());
            Colour::nearest([0, 1, 2].map(|channel| one[channel].midpoint(other[channel])))
        };
        let seams = [(between(ground, first), second), (between(ground, second), first)];
        let apart = [ground.stands_out_from(second), first.stands_out_from(second)];
        if apart == [true, true] && seams.iter().all(|(seam, other)| seam.stands_out_from(*other)) {
            return (ground, first, second);
        }
    }
}

fn of_surface(texture: Texture, random: &mut ChaCha8Rng) -> (SceneSpec, Sight) {
    // The autoencoder shows the textures of large things only: on others they have a period of half a token.
    let shape = pick(random, BROAD);
    let (colour, ground) = loop {
        // The surface's second colour has to stand out from the ground as well.
        let (colour, ground) = (pick(random, Colour::ALL), pick(random, Colour::ALL));
        let second = distance(colour.second_tone().map(f32::from), ground.rgb().map(f32::from));
        if colour.stands_out_from(ground) && second >= 2.0 * STANDS_OUT {
            break (colour, ground);
        }
    };
    let shown = Subject { texture, ..plain(shape, colour, Size::Large) };
    (flat(Arrangement::One(shown, Place::Centre), ground), Sight::Texture(texture))
}

fn of_pattern(pattern: Pattern, random: &mut ChaCha8Rng) -> (SceneSpec, Sight) {
    let (first, second) = loop {
        let (first, second) = (pick(random, Colour::ALL), pick(random, Colour::ALL));
        if first.stands_out_from(second) && lightness(first).abs_diff(lightness(second)) >= LIGHTER {
            break (first, second);
        }
    };
    let shown = plain(pick(random, Shape::ALL), apart_from(random, &[first, second]), Size::Medium);
    let texture = match pattern {
        Pattern::Stripes => Texture::Striped,
        Pattern::Dots => Texture::Dotted,
        Pattern::Checks => Texture::Checkered,
    };
    let background = Background::Pattern(pattern, first, second);
    let arrangement = Arrangement::One(shown, Place::Centre);
    (SceneSpec { arrangement, background, style: Style::Flat }, Sight::Texture(texture))
}

fn of_style(style: Style, random: &mut ChaCha8Rng) -> (SceneSpec, Sight) {
    let background = match style {
        Style::Monochrome | Style::Sepia => Background::Plain(pick(random, Colour::ALL)),
        _ => Background::Sheet,
    };
    let mut shown = |size: Size| {
        let colour = match background {
            Background::Plain(ground) => {
                let fitting: Vec<Colour> =
                    VIVID.iter().filter(|colour| colour.stands_out_from(ground)).copied().collect();
                fitting.choose(random).copied().unwrap_or(Colour::Red)
            }
            _ => pick(random, VIVID),
        };
        plain(pick(random, COMPACT), colour, size)
    };
    let (first, second) = (shown(Size::Medium), shown(Size::Medium));
    let arrangement = match random.random_range(0..3) {
        0 => Arrangement::One(first, pick(random, Place::ALL)),
        1 => Arrangement::Several(first, random.random_range(2..=4)),
        _ => Arrangement::Two(first, pick(random, &[Relation::LeftOf, Relation::RightOf, Relation::Above]), second),
    };
    (SceneSpec { arrangement, background, style }, Sight::Style(style))
}

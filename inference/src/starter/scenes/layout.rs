//! Where the subjects of a scene stand: centre, radius and turn of each.

use super::spec::{Arrangement, Background, Land, Motif, Place, Relation, Size, Subject, Thing};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A subject at its place, in units of the picture's edge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub subject: Subject,
    pub x: f32,
    pub y: f32,
    /// Half of the subject's box.
    pub radius: f32,
    /// Clockwise, in radians.
    pub turn: f32,
}

/// Where things that stand on the ground of a landscape have their feet.
const GROUND: f32 = 0.86;

/// The subjects of an arrangement at their places; those painted later lie in front.
pub(super) fn place(arrangement: Arrangement, background: Background, random: &mut ChaCha8Rng) -> Vec<Placed> {
    let mut placed = match arrangement {
        Arrangement::One(subject, place) => vec![one(subject, place, background, random)],
        Arrangement::Several(subject, count) => several(subject, count, background, random),
        Arrangement::Grid(subject) => grid(subject),
        Arrangement::Two(first, relation, second) => two(first, relation, second, background, random),
        Arrangement::Nothing | Arrangement::Abstract(..) => Vec::new(),
    };
    for place in &mut placed {
        place.turn = turn(place.subject.motif, random);
    }
    placed
}

fn turn(motif: Motif, random: &mut ChaCha8Rng) -> f32 {
    let most = if matches!(motif, Motif::Shape(_)) { 0.12 } else { 0.06 };
    random.random_range(-most..most)
}

fn radius(size: Size, random: &mut ChaCha8Rng) -> f32 {
    let middle = match size {
        Size::Small => 0.13,
        Size::Medium => 0.25,
        Size::Large => 0.38,
    };
    middle * random.random_range(0.9..1.1)
}

fn at(subject: Subject, x: f32, y: f32, radius: f32) -> Placed {
    Placed { subject, x, y, radius, turn: 0.0 }
}

fn flies(motif: Motif) -> bool {
    match motif {
        Motif::Shape(_) => false,
        Motif::Thing(thing) => {
            matches!(thing, Thing::Sun | Thing::Moon | Thing::Cloud | Thing::Bird | Thing::Balloon | Thing::Butterfly)
        }
    }
}

/// Height of the centre on this background where nothing else is asked for.
fn resting_height(subject: Subject, radius: f32, background: Background) -> f32 {
    match background {
        Background::Land(Land::Sky | Land::Underwater, _) => 0.5,
        Background::Land(..) if flies(subject.motif) => (radius + 0.06).max(0.26),
        Background::Land(Land::Table, _) => 0.8 - radius * 0.9,
        Background::Land(..) => GROUND - radius * 0.92,
        _ => 0.5,
    }
}

fn one(subject: Subject, place: Place, background: Background, random: &mut ChaCha8Rng) -> Placed {
    let mut radius = radius(subject.size, random);
    if place != Place::Centre {
        radius = radius.min(0.31);
    }
    let near = (radius + 0.04).max(0.24);
    let far = 1.0 - near;
    let rest = resting_height(subject, radius, background);
    let (x, y) = match place {
        Place::Centre => (0.5, rest),
        Place::Left => (near, rest),
        Place::Right => (far, rest),
        Place::Top => (0.5, near),
        Place::Bottom => (0.5, far),
        Place::TopLeft => (near, near),
        Place::TopRight => (far, near),
        Place::BottomLeft => (near, far),
        Place::BottomRight => (far, far),
    };
    at(subject, x + random.random_range(-0.02..0.02), y + random.random_range(-0.02..0.02), radius)
}

fn several(subject: Subject, count: u32, background: Background, random: &mut ChaCha8Rng) -> Vec<Placed> {
    let radius = match count {
        2 => 0.21,
        3 => 0.155,
        _ => 0.17,
    } * random.random_range(0.92..1.05);
    let rest = resting_height(subject, radius, background);
    let spots: Vec<(f32, f32)> = match count {
        2 => vec![(0.26, rest), (0.74, rest)],
        3 if random.random_bool(0.6) => vec![(0.18, rest), (0.5, rest), (0.82, rest)],
        3 => vec![(0.5, 0.27), (0.27, 0.7), (0.73, 0.7)],
        _ => vec![(0.27, 0.28), (0.73, 0.28), (0.27, 0.72), (0.73, 0.72)],
    };
    let jitter = |random: &mut ChaCha8Rng| random.random_range(-0.02..0.02);
    spots.into_iter().map(|(x, y)| at(subject, x + jitter(random), y + jitter(random), radius)).collect()
}

fn grid(subject: Subject) -> Vec<Placed> {
    let spots = [0.19, 0.5, 0.81];
    spots.iter().flat_map(|&y| spots.iter().map(move |&x| at(subject, x, y, 0.12))).collect()
}

fn two(
    first: Subject,
    relation: Relation,
    second: Subject,
    background: Background,
    random: &mut ChaCha8Rng,
) -> Vec<Placed> {
    let radius_of = |subject: Subject, random: &mut ChaCha8Rng| {
        let middle = if subject.size == Size::Small { 0.13 } else { 0.2 };
        middle * random.random_range(0.92..1.08)
    };
    let (near, far) = (radius_of(first, random), radius_of(second, random));
    let rest = |subject, radius| resting_height(subject, radius, background);
    let jitter = random.random_range(-0.03..0.03);
    match relation {
        Relation::Inside => vec![at(second, 0.5, 0.5, 0.4), at(first, 0.5, 0.5, 0.17)],
        Relation::Above | Relation::Below => {
            let (upper, lower) = if relation == Relation::Above { (0.26, 0.75) } else { (0.75, 0.26) };
            vec![at(second, 0.5 - jitter, lower, far), at(first, 0.5 + jitter, upper, near)]
        }
        _ => {
            let left = match relation {
                Relation::LeftOf => true,
                Relation::RightOf => false,
                _ => random.random_bool(0.5),
            };
            let (x, other) = if left { (0.27, 0.73) } else { (0.73, 0.27) };
            vec![at(second, other, rest(second, far) + jitter, far), at(first, x, rest(first, near), near)]
        }
    }
}

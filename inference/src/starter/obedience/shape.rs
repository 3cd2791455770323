//! Which of the plain shapes a figure is.

use std::sync::LazyLock;

use super::{
    ground::{Layers, layers},
    mask::Mask,
    question::Sight,
};
use crate::{
    image::Picture,
    starter::scenes::scene_from,
    starter::scenes::{Arrangement, Background, Colour, Motif, Place, SceneSpec, Shape, Size, Style, Subject, Texture},
};

/// Cells across a form.
const CELLS: usize = 44;

/// How far a form is looked at from its centre, in edges of the square that has the same area.
const REACH: f32 = 1.1;

/// Turns of the templates, in radians: a little more than what scenes turn shapes by.
const TURNS: [f32; 5] = [-0.2, -0.1, 0.0, 0.1, 0.2];

/// Edge of the drawings that templates are made from, in pixels.
const TEMPLATE_SIZE: u32 = 192;

/// Another thing in the picture of more than this share of the largest is not overlooked.
const SECOND: f32 = 0.25;

/// The least agreement with a shape at which it has its name.
const LEAST_LIKENESS: f32 = 0.8;

/// How much steeper edges are made.
const SHARPER: f32 = 3.0;

/// A figure moved to the middle and scaled to one area: how much of each cell is covered.
type Form = Vec<f32>;

/// Every shape in several turns.
static TEMPLATES: LazyLock<Vec<(Shape, Form)>> = LazyLock::new(|| {
    let turned = |&shape: &Shape| {
        let drawn = drawing(shape);
        TURNS.map(move |turn| {
            drawn.as_ref().and_then(|layers| form(layers, &layers.figure, turn)).map(|form| (shape, form))
        })
    };
    Shape::ALL.iter().flat_map(turned).flatten().collect()
});

/// The shape as scenes draw it.
fn drawing(shape: Shape) -> Option<Layers> {
    let subject =
        Subject { motif: Motif::Shape(shape), colour: Some(Colour::Black), texture: Texture::Plain, size: Size::Large };
    let arrangement = Arrangement::One(subject, Place::Centre);
    let spec = SceneSpec { arrangement, background: Background::Plain(Colour::White), style: Style::Flat };
    layers(&scene_from(&spec, 0, TEMPLATE_SIZE).picture)
}

/// The shape that the only figure in the picture is most like.
pub(super) fn see(picture: &Picture) -> Sight {
    let Some(layers) = layers(picture) else {
        return Sight::Unclear("nothing stands out");
    };
    let parts = layers.figure.components();
    let Some(largest) = parts.first() else {
        return Sight::Unclear("nothing stands out");
    };
    if parts.get(1).is_some_and(|second| second.len() as f32 > SECOND * largest.len() as f32) {
        return Sight::Unclear("more than one thing");
    }
    let figure = Mask::of(layers.figure.width, layers.figure.height, largest);
    let Some(form) = form(&layers, &figure, 0.0) else {
        return Sight::Unclear("nothing stands out");
    };
    match nearest(&form) {
        Some((shape, likeness)) if likeness >= LEAST_LIKENESS => Sight::Shape(shape),
        _ => Sight::Unclear("no shape that has a name"),
    }
}

/// The most similar template, and how far both agree.
fn nearest(form: &Form) -> Option<(Shape, f32)> {
    let likenesses = TEMPLATES.iter().map(|(shape, template)| (*shape, likeness(form, template)));
    likenesses.max_by(|one, other| one.1.total_cmp(&other.1))
}

/// Intersection over union.
fn likeness(one: &Form, other: &Form) -> f32 {
    let pairs = || one.iter().zip(other);
    let shared: f32 = pairs().map(|(a, b)| a.min(*b)).sum();
    let covered: f32 = pairs().map(|(a, b)| a.max(*b)).sum();
    shared / covered.max(1e-6)
}

/// The figure in its own frame: centre of mass in the middle, area 1, turned.
fn form(layers: &Layers, figure: &Mask, turn: f32) -> Option<Form> {
    let near = figure.dilated();
    let (width, height) = (figure.width, figure.height);
    // Edges are taken to be as sharp as pixels allow, however blurred they are.
    let sharp = |cover: f32| ((cover - 0.5) * SHARPER + 0.5).clamp(0.0, 1.0);
    let near_cover = layers.cover.iter().zip(&near.pixels);
    let cover: Vec<f32> = near_cover.map(|(cover, near)| if *near { sharp(*cover) } else { 0.0 }).collect();
    let area: f32 = cover.iter().sum();
    if area < 1.0 {
        return None;
    }
    let weighted = |place: &dyn Fn(usize) -> usize| {
        let moments = cover.iter().enumerate().map(|(index, cover)| cover * (place(index) as f32 + 0.5));
        moments.sum::<f32>() / area
    };
    let (x, y) = (weighted(&|index| index % width), weighted(&|index| index / width));
    let (edge, (sine, cosine)) = (area.sqrt(), turn.sin_cos());
    let at = |column: i32, row: i32| {
        let inside = (0..width as i32).contains(&column) && (0..height as i32).contains(&row);
        if inside { cover[row as usize * width + column as usize] } else { 0.0 }
    };
    // Between four pixels, in proportion.
    let between = |x: f32, y: f32| {
        let (x, y) = (x - 0.5, y - 0.5);
        let (column, row) = (x.floor(), y.floor());
        let (right, down) = (x - column, y - row);
        let (column, row) = (column as i32, row as i32);
        let upper = at(column, row) * (1.0 - right) + at(column + 1, row) * right;
        let lower = at(column, row + 1) * (1.0 - right) + at(column + 1, row + 1) * right;
        upper * (1.0 - down) + lower * down
    };
    let place = |cell: usize| ((cell as f32 + 0.5) / CELLS as f32 * 2.0 - 1.0) * REACH * edge;
    let cells = (0..CELLS).flat_map(|row| (0..CELLS).map(move |column| (place(column), place(row))));
    Some(cells.map(|(u, v)| between(x + u * cosine - v * sine, y + u * sine + v * cosine)).collect())
}

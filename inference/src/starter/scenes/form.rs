//! Forms as signed distance functions: negative inside, positive outside, in the form's own units. Distances give
//! anti-aliased edges, outlines, glows, shadows and relief from one description.
//!
//! The formulas for segments, ellipses, hearts and polygons follow Inigo Quilez, "2D distance functions".

use std::f32::consts::PI;

/// A form around the origin, roughly within the unit circle; y points down.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// Half axes.
    Ellipse(f32, f32),
    /// Half width, half height, corner radius.
    Box(f32, f32, f32),
    /// Corners in order.
    Polygon(&'static [[f32; 2]]),
    /// Points (at radius 1) and the radius of the notches between them.
    Star(u32, f32),
    /// Radius of the middle line and half the stroke's width.
    Ring(f32, f32),
    /// A heart that fills the unit circle.
    Heart,
    /// Two crossing bars with this half width.
    Cross(f32),
    /// The unit disc without a disc of this radius whose centre lies this far right.
    Crescent(f32, f32),
    /// A stroke from one point to another with half width.
    Stroke([f32; 2], [f32; 2], f32),
    /// The upper half of the unit disc.
    Dome,
    /// A drop with its tip at the top.
    Drop,
}

impl Form {
    /// Distance from (`x`, `y`) to the form's edge, negative inside.
    pub fn distance(&self, x: f32, y: f32) -> f32 {
        match *self {
            Form::Ellipse(a, b) if a == b => length(x, y) - a,
            Form::Ellipse(a, b) => ellipse(x, y, a, b),
            Form::Box(a, b, corner) => rectangle(x, y, a - corner, b - corner) - corner,
            Form::Polygon(corners) => polygon(x, y, corners),
            Form::Star(points, inner) => star(x, y, points as f32, inner),
            Form::Ring(radius, half_width) => (length(x, y) - radius).abs() - half_width,
            Form::Heart => heart(x, y),
            Form::Cross(half) => rectangle(x, y, 1.0, half).min(rectangle(x, y, half, 1.0)),
            Form::Crescent(radius, offset) => (length(x, y) - 1.0).max(radius - length(x - offset, y)),
            Form::Stroke(from, to, half_width) => segment(x, y, from, to) - half_width,
            Form::Dome => (length(x, y) - 1.0).max(y),
            Form::Drop => drop_form(x, y),
        }
    }

    /// Radius of a circle around the origin that holds the form.
    pub fn reach(&self) -> f32 {
        match *self {
            Form::Ellipse(a, b) => a.max(b),
            Form::Box(a, b, _) => length(a, b),
            Form::Polygon(corners) => corners.iter().map(|corner| length(corner[0], corner[1])).fold(0.0, f32::max),
            Form::Ring(radius, half_width) => radius + half_width,
            Form::Stroke(from, to, half_width) => length(from[0], from[1]).max(length(to[0], to[1])) + half_width,
            Form::Cross(half) => length(1.0, half),
            Form::Star(..) | Form::Crescent(..) | Form::Dome => 1.0,
            Form::Heart | Form::Drop => 1.15,
        }
    }
}

fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

fn rectangle(x: f32, y: f32, a: f32, b: f32) -> f32 {
    let (dx, dy) = (x.abs() - a, y.abs() - b);
    length(dx.max(0.0), dy.max(0.0)) + dx.max(dy).min(0.0)
}

/// First-order distance: exact on the edge, which is where it is looked at.
fn ellipse(x: f32, y: f32, a: f32, b: f32) -> f32 {
    let k0 = length(x / a, y / b);
    let k1 = length(x / (a * a), y / (b * b));
    if k1 < 1e-6 { -a.min(b) } else { k0 * (k0 - 1.0) / k1 }
}

fn segment(x: f32, y: f32, from: [f32; 2], to: [f32; 2]) -> f32 {
    let (px, py) = (x - from[0], y - from[1]);
    let (bx, by) = (to[0] - from[0], to[1] - from[1]);
    let share = ((px * bx + py * by) / (bx * bx + by * by).max(1e-9)).clamp(0.0, 1.0);
    length(px - bx * share, py - by * share)
}

fn polygon(x: f32, y: f32, corners: &[[f32; 2]]) -> f32 {
    let mut nearest = f32::MAX;
    let mut inside = false;
    let mut before = corners[corners.len() - 1];
    for &corner in corners {
        nearest = nearest.min(segment(x, y, before, corner));
        if (corner[1] > y) != (before[1] > y)
            && x < (before[0] - corner[0]) * (y - corner[1]) / (before[1] - corner[1]) + corner[0]
        {
            inside = !inside;
        }
        before = corner;
    }
    if inside { -nearest } else { nearest }
}

fn star(x: f32, y: f32, points: f32, inner: f32) -> f32 {
    let half = PI / points;
    // Folded so that one notch lies at angle 0 and one point at angle `half`.
    let angle = (x.atan2(-y).rem_euclid(2.0 * half) - half).abs();
    let radius = length(x, y);
    let (px, py) = (radius * angle.cos(), radius * angle.sin());
    let (tip_x, tip_y) = (half.cos(), half.sin());
    let side = (px - inner) * tip_y - py * (tip_x - inner);
    segment(px, py, [inner, 0.0], [tip_x, tip_y]).copysign(side)
}

fn heart(x: f32, y: f32) -> f32 {
    // The formula's heart stands on its tip at the origin and is about 1.2 tall.
    const SCALE: f32 = 1.65;
    let (x, y) = (x.abs() / SCALE, (0.95 - y) / SCALE);
    let distance = if x + y > 1.0 {
        length(x - 0.25, y - 0.75) - 0.125f32.sqrt()
    } else {
        let shared = 0.5 * (x + y).max(0.0);
        length(x, y - 1.0).min(length(x - shared, y - shared)).copysign(x - y)
    };
    distance * SCALE
}

fn drop_form(x: f32, y: f32) -> f32 {
    // A disc whose upper half narrows towards the tip.
    let (radius, centre, tip) = (0.68f32, 0.35f32, -1.1f32);
    let height = centre - tip;
    let (sine, cosine) = (radius / height, (1.0 - (radius / height).powi(2)).sqrt());
    let (px, py) = (x.abs(), y - tip);
    // Past the tangent point the side is a straight line from the tip, below it the disc.
    let along = px * sine + py * cosine;
    if along < 0.0 {
        length(px, py)
    } else if along > height * cosine {
        length(x, y - centre) - radius
    } else {
        px * cosine - py * sine
    }
}

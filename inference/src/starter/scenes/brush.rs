//! How each style paints the parts of a subject.

use super::canvas::{Canvas, Rgb, fractal_noise, lattice, luma, mix, noise, scaled, smoothstep, times};
use super::layout::Placed;
use super::motif::{Paint, Part, natural_colour, parts};
use super::spec::{Colour, Style, Texture};

/// The chances of a style in one picture.
pub(super) struct Look {
    pub style: Style,
    pub seed: u32,
    /// Direction towards the light; x right, y down, z out of the sheet.
    pub light: [f32; 3],
    /// Strength of the film grain of the photographic styles.
    pub grain: f32,
    /// Blur of the photographic styles' background, in units of the sheet.
    pub depth: f32,
}

/// A part of a subject at its place on the sheet.
pub(super) struct Stamp {
    part: Part,
    subject_x: f32,
    subject_y: f32,
    radius: f32,
    cosine: f32,
    sine: f32,
    part_cosine: f32,
    part_sine: f32,
    /// Centre of the part on the sheet.
    pub x: f32,
    pub y: f32,
    /// Half of the part's box on the sheet.
    pub reach: f32,
    colour: Rgb,
    texture: Texture,
    seed: u32,
}

/// The stamps of a subject, from back to front.
pub(super) fn stamps(placed: &Placed, tint: Rgb, seed: u32) -> Vec<Stamp> {
    let (sine, cosine) = placed.turn.sin_cos();
    let subject = placed.subject;
    let named = subject.colour.unwrap_or_else(|| natural_colour(subject.motif));
    let main = super::background::rgb_of(named);
    let stamp = |part: Part| {
        let [u, v] = part.at;
        let (part_sine, part_cosine) = (placed.turn + part.turn).sin_cos();
        let (colour, texture) = match part.paint {
            Paint::Main => (main, subject.texture),
            Paint::Shade(factor) => (scaled(main, factor), Texture::Plain),
            Paint::Tint(share) => (mix(main, [1.0; 3], share), Texture::Plain),
            Paint::Fixed(colour) => (colour, Texture::Plain),
        };
        Stamp {
            part,
            subject_x: placed.x,
            subject_y: placed.y,
            radius: placed.radius,
            cosine,
            sine,
            part_cosine,
            part_sine,
            x: placed.x + placed.radius * (u * cosine - v * sine),
            y: placed.y + placed.radius * (u * sine + v * cosine),
            reach: part.form.reach() * part.scale * placed.radius,
            colour: times(colour, tint),
            texture,
            seed,
        }
    };
    parts(subject.motif).into_iter().map(stamp).collect()
}

impl Stamp {
    /// Distance to the part's edge in units of the sheet, negative inside.
    pub fn distance(&self, x: f32, y: f32) -> f32 {
        let scale = self.radius * self.part.scale;
        let (dx, dy) = ((x - self.x) / scale, (y - self.y) / scale);
        let (u, v) = (dx * self.part_cosine + dy * self.part_sine, dy * self.part_cosine - dx * self.part_sine);
        self.part.form.distance(u, v) * scale
    }

    /// The surface's colour at a point of the sheet.
    pub fn colour(&self, x: f32, y: f32, pixel: f32) -> Rgb {
        if self.texture == Texture::Plain {
            return self.colour;
        }
        let (dx, dy) = ((x - self.subject_x) / self.radius, (y - self.subject_y) / self.radius);
        let (u, v) = (dx * self.cosine + dy * self.sine, dy * self.cosine - dx * self.sine);
        let second = second_tone(self.colour);
        // Periods are at least six pixels, else they would be grey.
        let period = (6.0 * pixel / self.radius).max(0.48);
        let edge = pixel / self.radius / period;
        let step = |distance: f32| (0.5 - distance / edge).clamp(0.0, 1.0);
        let wave = |value: f32| ((value / period).rem_euclid(1.0) - 0.5).abs() - 0.25;
        let share = match self.texture {
            Texture::Plain => 0.0,
            Texture::Striped => match self.seed % 3 {
                0 => step(wave(u)),
                1 => step(wave(v)),
                _ => step(wave((u + v) * 0.707)),
            },
            Texture::Dotted => {
                let cell = |value: f32| (value / period).rem_euclid(1.0) - 0.5;
                step((cell(u).powi(2) + cell(v).powi(2)).sqrt() - 0.27)
            }
            Texture::Checkered => {
                let (a, b) = (step(wave(u)), step(wave(v)));
                a * (1.0 - b) + b * (1.0 - a)
            }
            Texture::Grainy => {
                let (column, row) = ((x / pixel) as i32, (y / pixel) as i32);
                0.75 * lattice(column, row, self.seed) * lattice(column, row, self.seed ^ 9)
            }
        };
        mix(self.colour, second, share)
    }
}

/// What a textured surface of this colour shows beside it: a lighter tone of dark colours, a darker one of light ones.
fn second_tone(colour: Rgb) -> Rgb {
    if luma(colour) < 0.62 { mix(colour, [1.0; 3], 0.72) } else { scaled(colour, 0.48) }
}

impl Colour {
    /// The second colour, as sRGB, of a striped, dotted or checkered surface of this colour.
    pub fn second_tone(self) -> [u8; 3] {
        second_tone(super::background::rgb_of(self)).map(|value| (value * 255.0).round() as u8)
    }
}

/// 1 inside, 0 outside, straight over one pixel on the edge.
fn coverage(distance: f32, pixel: f32) -> f32 {
    (0.5 - distance / pixel).clamp(0.0, 1.0)
}

/// Toward white and less saturated.
pub(super) fn pastel(colour: Rgb) -> Rgb {
    mix(mix(colour, [luma(colour); 3], 0.15), [1.0, 0.98, 0.96], 0.4)
}

impl Look {
    /// Paints a subject onto the sheet.
    pub fn paint(&self, canvas: &mut Canvas, stamps: &[Stamp]) {
        match self.style {
            Style::Photo | Style::Monochrome | Style::Sepia => self.shadow(canvas, stamps, [0.035, 0.045], 0.05, 0.42),
            Style::PaperCut => self.shadow(canvas, stamps, [0.022, 0.028], 0.02, 0.4),
            _ => {}
        }
        for stamp in stamps {
            match self.style {
                Style::Flat | Style::Night => fill(canvas, stamp),
                Style::Pixel => pixels(canvas, stamp),
                Style::Outline => self.outline(canvas, stamp),
                Style::Poster => self.poster(canvas, stamp),
                Style::Pastel => self.crayon(canvas, stamp),
                Style::PaperCut => self.paper(canvas, stamp),
                Style::Watercolour => self.watercolour(canvas, stamp),
                Style::Sketch => self.sketch(canvas, stamp),
                Style::Chalk => self.chalk(canvas, stamp),
                Style::Blueprint => self.blueprint(canvas, stamp),
                Style::Neon => self.neon(canvas, stamp),
                Style::Photo | Style::Monochrome | Style::Sepia => self.shaded(canvas, stamp),
            }
        }
    }

    /// The soft shadow of all parts together.
    fn shadow(&self, canvas: &mut Canvas, stamps: &[Stamp], offset: [f32; 2], softness: f32, strength: f32) {
        let Some(first) = stamps.first() else { return };
        let (dx, dy) = (-self.light[0].signum() * offset[0], offset[1]);
        let reach = first.radius * 1.2 + softness + 0.05;
        canvas.around(first.subject_x, first.subject_y, reach, |x, y, pixel| {
            let near = |stamp: &&Stamp| (x - dx - stamp.x).abs().max((y - dy - stamp.y).abs()) < stamp.reach + softness;
            let nearest = stamps.iter().filter(near).map(|stamp| stamp.distance(x - dx, y - dy)).fold(1.0, f32::min);
            *pixel = scaled(*pixel, 1.0 - strength * smoothstep(softness, -softness, nearest));
        });
    }

    /// A line of its colour on white, thicker for larger parts; closed parts hide what lies behind them.
    fn outline(&self, canvas: &mut Canvas, stamp: &Stamp) {
        let edge = canvas.pixel();
        let half = (0.011 + 0.02 * stamp.radius).max(0.6 * edge);
        let line = if luma(stamp.colour) > 0.8 { scaled(stamp.colour, 0.6) } else { stamp.colour };
        canvas.around(stamp.x, stamp.y, stamp.reach + half + edge, |x, y, pixel| {
            let distance = stamp.distance(x, y);
            *pixel = mix(*pixel, [0.99, 0.99, 0.98], coverage(distance, edge));
            *pixel = mix(*pixel, line, coverage(distance.abs() - half, edge));
        });
    }

    fn poster(&self, canvas: &mut Canvas, stamp: &Stamp) {
        let edge = canvas.pixel();
        let half = 0.016;
        canvas.around(stamp.x, stamp.y, stamp.reach + half + edge, |x, y, pixel| {
            let distance = stamp.distance(x, y);
            let colour = vivid(stamp.colour(x, y, edge));
            // A second, darker tone falls on the side away from the light.
            let dark = stamp.distance(x + self.light[0].signum() * 0.16 * stamp.radius, y - 0.12 * stamp.radius) > 0.0;
            let colour = if dark { scaled(colour, 0.72) } else { colour };
            *pixel = mix(*pixel, colour, coverage(distance, edge));
            *pixel = mix(*pixel, [0.06, 0.05, 0.08], coverage(distance.abs() - half, edge));
        });
    }

    fn crayon(&self, canvas: &mut Canvas, stamp: &Stamp) {
        let edge = canvas.pixel();
        canvas.around(stamp.x, stamp.y, stamp.reach + 0.03, |x, y, pixel| {
            let tooth = noise(x * 46.0, y * 46.0, self.seed);
            let distance = stamp.distance(x, y) + 0.018 * (tooth - 0.5);
            let share = smoothstep(0.018, -0.018, distance) * (0.8 + 0.2 * tooth);
            *pixel = mix(*pixel, pastel(stamp.colour(x, y, edge)), share);
        });
    }

    fn paper(&self, canvas: &mut Canvas, stamp: &Stamp) {
        let edge = canvas.pixel();
        canvas.around(stamp.x, stamp.y, stamp.reach + edge, |x, y, pixel| {
            let distance = stamp.distance(x, y);
            let fibre = 0.94 + 0.12 * fractal_noise(x * 30.0, y * 30.0, 2, 0.7, stamp.seed);
            // The cut edge catches light towards the light and falls dark away from it.
            let rim = smoothstep(-0.03, 0.0, distance);
            let toward = (x - stamp.x) * self.light[0] + (y - stamp.y) * self.light[1];
            let colour = scaled(stamp.colour(x, y, edge), fibre * (1.0 + 0.22 * rim * toward.signum()));
            *pixel = mix(*pixel, colour, coverage(distance, edge));
        });
    }

    fn watercolour(&self, canvas: &mut Canvas, stamp: &Stamp) {
        let edge = canvas.pixel();
        canvas.around(stamp.x, stamp.y, stamp.reach + 0.05, |x, y, pixel| {
            let wobble = fractal_noise(x * 9.0, y * 9.0, 2, 0.5, stamp.seed) - 0.5;
            let distance = stamp.distance(x, y) + 0.05 * wobble;
            let wash = noise(x * 5.0, y * 5.0, stamp.seed ^ 21);
            let rim = (-(distance / 0.018).powi(2)).exp();
            let strength = smoothstep(0.012, -0.02, distance) * (0.66 + 0.3 * wash) + 0.25 * rim;
            // Water colours are transparent: they multiply what lies below, and cover it only in part.
            let colour = stamp.colour(x, y, edge);
            let glazed = mix(times(*pixel, mix(colour, [1.0; 3], 0.1)), colour, 0.75);
            *pixel = mix(*pixel, glazed, strength.clamp(0.0, 1.0));
        });
    }

    fn sketch(&self, canvas: &mut Canvas, stamp: &Stamp) {
        let edge = canvas.pixel();
        let ink = mix(scaled(stamp.colour, 0.85), [0.22, 0.22, 0.25], 0.12);
        canvas.around(stamp.x, stamp.y, stamp.reach + 0.03, |x, y, pixel| {
            let wobble = |seed: u32| 0.022 * (noise(x * 7.0, y * 7.0, seed) - 0.5);
            let distance = stamp.distance(x, y);
            *pixel = mix(*pixel, [0.97, 0.965, 0.95], coverage(distance, edge) * 0.85);
            let hatch = (((x + y) * 15.0 + 0.6 * noise(x * 5.0, y * 5.0, stamp.seed)).rem_euclid(1.0) - 0.5).abs();
            let strokes = smoothstep(0.4, 0.16, hatch) * 0.72 * coverage(distance + 0.012, edge);
            let first = coverage((distance + wobble(stamp.seed)).abs() - 0.008, 1.4 * edge);
            let second = coverage((distance + wobble(stamp.seed ^ 77)).abs() - 0.006, 1.4 * edge) * 0.6;
            let tooth = 0.7 + 0.3 * lattice((x / edge) as i32, (y / edge) as i32, self.seed);
            *pixel = mix(*pixel, ink, strokes.max(first).max(second) * tooth);
        });
    }

    fn chalk(&self, canvas: &mut Canvas, stamp: &Stamp) {
        let edge = canvas.pixel();
        let colour = mix(stamp.colour, [0.95, 0.95, 0.92], if luma(stamp.colour) < 0.3 { 0.6 } else { 0.28 });
        canvas.around(stamp.x, stamp.y, stamp.reach + 0.04, |x, y, pixel| {
            let distance = stamp.distance(x, y) + 0.015 * (noise(x * 11.0, y * 11.0, stamp.seed) - 0.5);
            let dust = lattice((x / edge) as i32, (y / edge) as i32, self.seed);
            let line = smoothstep(0.026, 0.012, distance.abs()) * (0.6 + 0.4 * dust);
            let body = coverage(distance, edge) * (0.12 + 0.3 * dust * noise(x * 8.0, y * 20.0, self.seed));
            *pixel = mix(*pixel, colour, line.max(body));
        });
    }

    fn blueprint(&self, canvas: &mut Canvas, stamp: &Stamp) {
        let edge = canvas.pixel();
        canvas.around(stamp.x, stamp.y, stamp.reach + 0.03, |x, y, pixel| {
            let distance = stamp.distance(x, y);
            *pixel = mix(*pixel, mix([0.12, 0.28, 0.58], stamp.colour, 0.55), 0.9 * coverage(distance, edge));
            let line = coverage(distance.abs() - 0.009, edge);
            *pixel = mix(*pixel, [0.93, 0.97, 1.0], line * 0.95);
        });
    }

    fn neon(&self, canvas: &mut Canvas, stamp: &Stamp) {
        // Tubes glow; dark paint would not be seen, so it is lifted to the same brightness.
        let strongest = stamp.colour.iter().copied().fold(0.05, f32::max);
        let glow = scaled(vivid(stamp.colour), 1.0 / strongest.max(0.55));
        let edge = canvas.pixel();
        canvas.around(stamp.x, stamp.y, stamp.reach + 0.16, |x, y, pixel| {
            let distance = stamp.distance(x, y);
            *pixel = scaled(*pixel, 1.0 - 0.55 * coverage(distance, edge));
            let halo = (-distance.abs() * 22.0).exp() * 0.75;
            *pixel = [pixel[0] + glow[0] * halo, pixel[1] + glow[1] * halo, pixel[2] + glow[2] * halo];
            let tube = smoothstep(0.026, 0.01, distance.abs());
            *pixel = mix(*pixel, mix(glow, [1.0; 3], 0.35), tube);
        });
    }

    /// A lit body: the part swells from its edge inwards and shines a little where it mirrors the light.
    fn shaded(&self, canvas: &mut Canvas, stamp: &Stamp) {
        let edge = canvas.pixel();
        let swell = 0.5 * stamp.reach.min(stamp.radius);
        canvas.around(stamp.x, stamp.y, stamp.reach + edge, |x, y, pixel| {
            let distance = stamp.distance(x, y);
            let cover = coverage(distance, edge);
            if cover <= 0.0 {
                return;
            }
            let (right, below) = (stamp.distance(x + edge, y), stamp.distance(x, y + edge));
            let (gx, gy) = ((right - distance) / edge, (below - distance) / edge);
            let tilt = (1.0 + distance / swell).clamp(0.0, 1.0) * 0.92;
            let height = (1.0 - tilt * tilt).sqrt();
            let toward = gx * tilt * self.light[0] + gy * tilt * self.light[1] + height * self.light[2];
            let shine = toward.max(0.0).powi(18) * 0.35;
            let body = scaled(stamp.colour(x, y, edge), 0.34 + 0.78 * toward.max(0.0));
            *pixel = mix(*pixel, mix(body, [1.0; 3], shine), cover);
        });
    }
}

fn fill(canvas: &mut Canvas, stamp: &Stamp) {
    let edge = canvas.pixel();
    canvas.around(stamp.x, stamp.y, stamp.reach + edge, |x, y, pixel| {
        *pixel = mix(*pixel, stamp.colour(x, y, edge), coverage(stamp.distance(x, y), edge));
    });
}

/// No half-covered pixels.
fn pixels(canvas: &mut Canvas, stamp: &Stamp) {
    let edge = canvas.pixel();
    canvas.around(stamp.x, stamp.y, stamp.reach + edge, |x, y, pixel| {
        let distance = stamp.distance(x, y);
        if distance < 0.15 * edge {
            let colour = stamp.colour(x, y, edge);
            *pixel = if distance > -0.75 * edge && stamp.reach > 4.0 * edge { scaled(colour, 0.72) } else { colour };
        }
    });
}

/// More saturated.
fn vivid(colour: Rgb) -> Rgb {
    mix([luma(colour); 3], colour, 1.35).map(|value| value.clamp(0.0, 1.0))
}
